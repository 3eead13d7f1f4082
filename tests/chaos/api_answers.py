"""Records the answers of JetStream to the gateways, from the proxied traffic."""

import collections
import json
import re
import threading
import time

# The key that gateways change most often, always by conditional writes.
BOOK = "$KV.aiops-gateway.training.book"
READ_BOOK = f'"last_by_subj":"{BOOK}"'.encode()
EXPECTED = re.compile(rb"Nats-Expected-Last-Subject-Sequence: (\d+)")

NO_MESSAGE = 10037

# The verbs in subjects such as $JS.API.STREAM.MSG.GET.KV_x.
VERBS = ("STREAM.INFO", "STREAM.CREATE", "STREAM.MSG.GET", "STREAM.PURGE")


def verb_of(subject):
    if subject.startswith("$KV."):
        return "PUT"
    name = subject.removeprefix("$JS.API.")
    if name == subject:
        return None
    return next((x for x in VERBS if name.startswith(x + ".")), name)


def operations(data):
    """Splits the bytes that one side of a NATS connection sent. Returns words and
    payload of each complete operation, and the number of bytes used."""
    found, at = [], 0
    while (end := data.find(b"\r\n", at)) >= 0:
        words = data[at:end].split()
        next_at = end + 2
        payload = b""
        if words and words[0] in (b"PUB", b"HPUB", b"MSG", b"HMSG"):
            size = int(words[-1])
            if len(data) < next_at + size + 2:
                break
            payload = bytes(data[next_at:next_at + size])
            next_at += size + 2
        found.append(([word.decode(errors="replace") for word in words],
                      payload))
        at = next_at
    return found, at


class Revisions:
    """Detects when the server loses a revision that it acknowledged before the
    request: it answers that there is no book, or accepts a conditional write over
    an older revision."""

    def __init__(self):
        self.acknowledged = 0
        # Pairs of time and description.
        self.losses = []

    def accepted(self, expected, acknowledged_before, revision):
        if expected < acknowledged_before:
            self.note(f"revision {acknowledged_before} of the book was "
                      f"acknowledged, then a write over "
                      f"{expected or 'nothing'} succeeded as {revision}")
        self.acknowledged = max(self.acknowledged, revision)

    def missing(self, acknowledged_before):
        if acknowledged_before:
            self.note(f"revision {acknowledged_before} of the book was "
                      "acknowledged, then there is no book")

    def note(self, what):
        if not any(what == known for _, known in self.losses):
            self.losses.append((time.monotonic(), what))


class ApiAnswers:
    """Counts answers by verb, err_code, code and description."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        # By the same key: the time of the last answer.
        self.last = {}
        self.book = Revisions()

    def tap(self):
        return Tap(self)

    def add(self, verb, err_code, code, description):
        key = verb, err_code, code, description
        with self.lock:
            self.counts[key] += 1
            self.last[key] = time.monotonic()


class Tap:
    """Watches one connection."""

    def __init__(self, answers):
        self.answers = answers
        self.requests = {}
        self.out = bytearray()
        self.back = bytearray()

    def sent(self, data):
        self.out += data
        found, used = operations(self.out)
        del self.out[:used]
        for words, payload in found:
            plain = 4 if words and words[0] == "PUB" else 5
            if words and words[0] in ("PUB", "HPUB") and len(words) == plain:
                verb = verb_of(words[1])
                if verb:
                    self.requests[words[2]] = verb, self.about_book(words[1],
                                                                 payload)

    def about_book(self, subject, payload):
        """For a request about the book, the revision that a write expects (None
        for a read) and the last acknowledged revision. None for all others."""
        expected = EXPECTED.search(payload) if subject == BOOK else None
        if not expected and READ_BOOK not in payload:
            return None
        with self.answers.lock:
            return (int(expected[1]) if expected else None,
                    self.answers.book.acknowledged)

    def received(self, data):
        self.back += data
        found, used = operations(self.back)
        del self.back[:used]
        for words, payload in found:
            if not words or words[0] not in ("MSG", "HMSG"):
                continue
            verb, book = self.requests.pop(words[1], (None, None))
            if verb:
                head = int(words[-2]) if words[0] == "HMSG" else 0
                self.record(verb, book, payload[:head], payload[head:])

    def record(self, verb, book, headers, body):
        if headers.startswith(b"NATS/1.0 503"):
            self.answers.add(verb, 0, 503, "no responders")
            return
        try:
            answer = json.loads(body)
            error = answer.get("error")
        except (ValueError, AttributeError):
            self.answers.add(verb, 0, 0, "unreadable")
            return
        if book:
            self.record_book_answer(*book, answer, error)
        if error:
            text = re.sub(r"\d+", "N", error.get("description", ""))
            self.answers.add(verb, error.get("err_code", 0),
                             error.get("code", 0), text)
        else:
            self.answers.add(verb, 0, 200, "done")

    def record_book_answer(self, expected, acknowledged_before, answer, error):
        book = self.answers.book
        with self.answers.lock:
            if expected is None:
                if error and error.get("err_code") == NO_MESSAGE:
                    book.missing(acknowledged_before)
            elif not error:
                book.accepted(expected, acknowledged_before,
                              answer.get("seq", 0))
