"""A client that follows /api/v1/events."""

import http.client
import json
import socket
import threading
import time

from support import eventually


class EventClient:
    """Collects the events that arrive, on its own thread."""

    def __init__(self, gateway, last_id=None, topics=""):
        self.connection = http.client.HTTPConnection(*gateway.address,
                                                     timeout=60)
        self.connection.connect()
        self.socket = self.connection.sock
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self.connection.request(
            "GET", "/api/v1/events" + (f"?topics={topics}" if topics else ""),
            headers=headers)
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.content_type = self.response.getheader("Content-Type")
        # Id, topic, value and time of arrival of each event.
        self.events = []
        self.comments = 0
        self.thread = threading.Thread(target=self.read, daemon=True)
        if self.status == 200:
            self.thread.start()

    def read(self):
        fields = {}
        try:
            while line := self.response.readline():
                line = line.decode().rstrip("\n")
                key, _, value = line.partition(": ")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    fields[key] = value
                else:
                    if "data" in fields:
                        self.events.append((
                            fields.get("id"), fields["event"],
                            json.loads(fields["data"]), time.monotonic()))
                    fields = {}
        except (OSError, ValueError, http.client.HTTPException):
            pass

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.thread.is_alive():
            self.thread.join()
        self.response.close()
        self.connection.close()

    def of(self, topic):
        return [value for _, name, value, _ in self.events if name == topic]

    def wait_for(self, topic, check, what):
        """Waits for an event whose value passes the check; returns its entry."""
        return eventually(
            lambda: next((event for event in list(self.events)
                          if event[1] == topic and check(event[2])), None),
            f"an event shows that {what}")
