"""A minimal NATS client, to observe what the gateways write."""

import base64
import json
import queue
import secrets
import socket
import threading


class NatsClient:
    """Sends requests and receives messages, on its own thread."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        # Only connecting has a timeout: a connection may be idle for long.
        self.socket.settimeout(None)
        self.stream = self.socket.makefile("rb")
        self.sending = threading.Lock()
        self.handlers = {}
        # Unique: all clients of a server share its subjects.
        self.inbox = f"_INBOX.{secrets.token_hex(8)}"
        self.stream.readline()
        self.send(b'CONNECT {"verbose":false,"headers":true,'
                  b'"no_responders":true}\r\n')
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join()
        self.stream.close()
        self.socket.close()

    def send(self, data):
        with self.sending:
            self.socket.sendall(data)

    def receive(self):
        try:
            while line := self.stream.readline():
                what, *words = line.split()
                if what == b"PING":
                    self.send(b"PONG\r\n")
                elif what in (b"MSG", b"HMSG"):
                    self.dispatch(what == b"HMSG", [x.decode() for x in words])
        except OSError:
            pass

    def dispatch(self, with_headers, words):
        head = int(words[-2]) if with_headers else 0
        size = int(words[-1])
        data = self.stream.read(size + 2)[:size]
        reply = words[2] if len(words) > (4 if with_headers else 3) else ""
        self.handlers[words[1]](words[0], reply, data[:head].decode(),
                                data[head:])

    def subscribe(self, subject, handler):
        """Calls handler(subject, reply, headers, data) on the client's thread."""
        number = str(len(self.handlers) + 1)
        self.handlers[number] = handler
        self.send(f"SUB {subject} {number}\r\n".encode())

    def expect_one(self):
        """Returns a unique subject that accepts one message, and a queue that
        receives it."""
        arrived = queue.Queue()
        inbox = f"{self.inbox}.{len(self.handlers)}"
        number = str(len(self.handlers) + 1)
        self.handlers[number] = lambda *message: arrived.put(message)
        self.send(f"SUB {inbox} {number}\r\nUNSUB {number} 1\r\n".encode())
        return inbox, arrived

    def publish(self, subject, data):
        self.send(b"PUB %s %d\r\n%s\r\n" % (subject.encode(), len(data), data))

    def serve(self, subject, answer):
        """Replies with the text answer(data) to the requests on a subject."""
        self.subscribe(subject, lambda _, reply, __, data: self.publish(
            reply, answer(data).encode()))

    def flush(self, timeout=10):
        """Waits until the server has received everything that was sent."""
        inbox, arrived = self.expect_one()
        self.publish(inbox, b"")
        arrived.get(timeout=timeout)

    def request(self, subject, payload=None, timeout=10):
        """Returns the JSON of the reply; None when there is no responder."""
        inbox, answers = self.expect_one()
        data = json.dumps(payload or {}).encode()
        self.send(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), inbox.encode(),
                                               len(data), data))
        _, _, headers, data = answers.get(timeout=timeout)
        return None if headers else json.loads(data)

    # -- JetStream ------------------------------------------------------------

    def follow(self, stream, handler):
        """Calls handler(subject, sequence, headers, data) for each message that
        a stream stores. Unlike a subscription to its subjects, this does not
        show what the stream refused. Returns False when the stream does not
        exist or is empty."""
        if not self.holds_messages(stream):
            return False
        inbox = f"{self.inbox}.{len(self.handlers)}"
        self.subscribe(inbox, lambda subject, reply, headers, data: handler(
            subject, int(reply.split(".")[5]), headers, data))
        answer = self.request(f"$JS.API.CONSUMER.CREATE.{stream}", {
            "stream_name": stream,
            "config": {"deliver_subject": inbox, "deliver_policy": "all",
                       "ack_policy": "none", "replay_policy": "instant"}})
        return answer is not None and "error" not in answer

    def value(self, bucket, key):
        """The JSON value of a key; None when there is none."""
        answer = self.request(f"$JS.API.STREAM.MSG.GET.KV_{bucket}",
                              {"last_by_subj": f"$KV.{bucket}.{key}"})
        message = (answer or {}).get("message", {})
        headers = base64.b64decode(message.get("hdrs", ""))
        if "data" not in message or b"KV-Operation" in headers:
            return None
        return json.loads(base64.b64decode(message["data"]))

    def holds_messages(self, stream):
        answer = self.request(f"$JS.API.STREAM.INFO.{stream}")
        return bool(answer and answer.get("state", {}).get("last_seq"))

    def subjects(self, stream, pattern):
        """The subjects of a stream's messages that match the pattern."""
        answer = self.request(f"$JS.API.STREAM.INFO.{stream}",
                              {"subjects_filter": pattern})
        return set(answer["state"].get("subjects") or {})
