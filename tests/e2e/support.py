"""Starts the built programs as a user does and observes them from outside."""

import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

BUILD = Path(os.environ.get("AIOPS_BUILD", "build/dev")).resolve()
# The environment may name another version.
NATS_SERVER = os.environ.get("AIOPS_NATS_SERVER") or shutil.which(
    "nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

# Long, because sanitizers and a busy machine make everything slow.
PATIENCE = 30.0

LISTENING = re.compile(r"listening on http://([^:\s]+|\[[^\]]+\]):(\d+)")

WORKLOADS = [
    {"clusterId": "c.1", "namespace": "shop", "deployment": "cart"},
    {"clusterId": "c.1", "namespace": "shop", "deployment": "web.v2"},
    {"clusterId": "c2", "namespace": "pay", "deployment": "ledger"},
]


def eventually(check, what, patience=PATIENCE):
    """Waits until check() is true and returns its value. A failed assertion in
    check() counts as false: a gateway that has just started answers 503."""
    end = time.monotonic() + patience
    pause = threading.Event()
    while True:
        reason = None
        try:
            value = check()
            if value:
                return value
        except AssertionError as failure:
            reason = failure
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience:g} s: {what}") from reason
        pause.wait(0.05)


def free_port():
    """A free port outside the range from which the kernel assigns ports: it must
    still be free when a program starts again."""
    while True:
        port = random.randint(10_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def children(pid):
    """The running processes that `pid` started: name by process id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, tail = entry.read_text().rsplit(")", 1)
        except OSError:
            continue
        state, parent = tail.split()[:2]
        if int(parent) == pid and state != "Z":
            found[int(entry.parent.name)] = head.split("(", 1)[1]
    return found


def running(pid):
    try:
        tail = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1]
    except OSError:
        return False
    return tail.split()[0] != "Z"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class Program:
    """A started program whose standard error is written to a file."""

    def __init__(self, directory, name, command, **how):
        self.name = name
        self.log_file = Path(directory) / f"{name}-{time.monotonic_ns()}.log"
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(("AIOPS_GATEWAY_", "NATS_", "XDG_",
                                              "NKEY_", "STATE_DIRECTORY"))}
        environment["HOME"] = str(directory)
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stderr=log, env=environment,
                **{"stdin": subprocess.DEVNULL, "stdout": log, **how})
        self.pid = self.process.pid

    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_for(self, pattern, patience=PATIENCE):
        def check():
            found = re.search(pattern, self.log())
            if not found and self.process.poll() is not None:
                raise RuntimeError(
                    f"{self.name} ended with {self.process.returncode}")
            return found
        return eventually(check, f"{self.name} writes {pattern!r}", patience)

    def wait(self, patience=PATIENCE):
        return self.process.wait(patience)

    def stop(self, patience=PATIENCE):
        """Stops it as a user does and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(patience)

    def suspend(self):
        """Suspends the program and waits until each of its threads has stopped,
        which takes time on a busy machine."""
        self.process.send_signal(signal.SIGSTOP)
        eventually(lambda: all(
            stat.read_text().rpartition(")")[2].split()[0] == "T"
            for stat in Path(f"/proc/{self.pid}/task").glob("*/stat")),
            f"{self.name} is suspended")

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class WebServer(Program):
    """A program that logs the address at which it serves HTTP."""

    def ready(self):
        """Waits until it listens."""
        host, port = self.wait_for(LISTENING).groups()
        self.address = (host, int(port))
        self.url = f"http://{host}:{port}"
        return self

    def request(self, method, path, body=None, timeout=PATIENCE):
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection = http.client.HTTPConnection(*self.address, timeout=timeout)
        try:
            connection.request(method, path, body)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)


class Gateway(WebServer):
    def status(self):
        return self.get("/ModelTraining/model/status")

    def counts(self, cluster):
        """Log messages of a cluster by namespace and deployment."""
        answer = self.get(f"/ModelTraining/workload_aggregation/{cluster}")
        assert answer.status == 200, answer
        return {(item["namespace"], item["deployment"]): int(item["logCount"])
                for item in answer.json["items"]}

    def train(self, workloads):
        return self.request("POST", "/ModelTraining/model/train",
                            {"items": workloads})

    def put_statistics(self, **fields):
        return self.request("PUT", "/ModelTraining/model/statistics", fields)

    def put_progress(self, body, kv=False):
        path = "current_status" if kv else "statistics"
        return self.request("PUT", f"/ModelTraining/model/{path}", body)

    def submit(self, workloads, query=""):
        """Submits a watchlist by POST /api/v1/training."""
        return self.request("POST", f"/api/v1/training{query}",
                            {"items": workloads})

    def training(self):
        answer = self.get("/api/v1/training")
        assert answer.status == 200, answer
        return answer.json

    def jobs(self):
        answer = self.get("/api/v1/training/jobs")
        assert answer.status == 200, answer
        return answer.json["jobs"]

    def job(self, job_id):
        """A job with its workloads."""
        answer = self.get(f"/api/v1/training/jobs/{job_id}")
        assert answer.status == 200, answer
        return answer.json

    def cancel(self):
        return self.request("DELETE", "/api/v1/training")

    def is_ready(self):
        return self.get("/readyz").status == 200

    def answers_status(self):
        return self.status().status == 200

    def child(self, name):
        """The process id of a child; None when it is not running."""
        # The kernel cuts names to 15 characters.
        return next((pid for pid, found in children(self.pid).items()
                     if found == name[:15]), None)


class E2eTest(unittest.TestCase):
    """Stops the programs that a test started, and shows their logs if it failed.

    A class named SomethingWithKv runs the tests of the class Something with the
    other backend protocol."""

    protocol = "request-reply"

    @property
    def kv(self):
        return self.protocol == "kv"

    @property
    def idle_text(self):
        """The status before the first training."""
        return "no model trained" if self.kv else "not started"

    def setUp(self):
        if not NATS_SERVER:
            raise AssertionError("nats-server is not installed: run "
                                 "scripts/bootstrap")
        self.directory = Path(tempfile.mkdtemp(prefix="aiops-e2e-"))
        self.programs = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for program in reversed(self.programs):
            if program.process.poll() is None:
                program.process.terminate()
        for program in reversed(self.programs):
            try:
                program.wait(5)
            except subprocess.TimeoutExpired:
                program.kill()

    def run(self, result=None):
        def bad():
            return len(result.failures) + len(result.errors)
        before = bad() if result else 0
        answer = super().run(result)
        if result and bad() > before:
            for program in getattr(self, "programs", []):
                print(f"---- {program.name} (pid {program.pid}, exit code "
                      f"{program.process.returncode})\n{program.log()[-8000:]}",
                      file=sys.stderr)
        shutil.rmtree(getattr(self, "directory", ""), ignore_errors=True)
        return answer

    # -- starting programs ----------------------------------------------------

    def start(self, program):
        self.programs.append(program)
        return program

    def launch_gateway(self, *options, listen="127.0.0.1:0", nats=None,
                       state="state", interval="1s"):
        """Starts a gateway."""
        command = [BUILD / "aiops-gateway", "--listen", listen, "--state-dir",
                   self.directory / state, "--aggregation-interval", interval,
                   "--backend-protocol", self.protocol]
        if nats:
            command += ["--nats-url", nats]
        return self.start(Gateway(self.directory, "aiops-gateway",
                                  command + list(options)))

    def gateway(self, *options, **how):
        """Starts a gateway and waits until it listens."""
        return self.launch_gateway(*options, **how).ready()

    def ready_gateway(self, *options, **how):
        """Starts a gateway and waits until it is connected to NATS."""
        gateway = self.gateway(*options, **how)
        eventually(gateway.is_ready, "the gateway becomes ready")
        return gateway

    def nats_server(self, port=None, settings=""):
        """Starts a NATS server and waits until it accepts connections. Settings
        are lines of its configuration file."""
        port = port or free_port()
        file = self.directory / f"nats-server-{port}.conf"
        file.write_text(settings)
        nats = self.start(Program(
            self.directory, "nats-server",
            [NATS_SERVER, "-a", "127.0.0.1", "-p", port, "-js", "-sd",
             self.directory / f"jetstream-{port}", "-c", file]))
        nats.port = port
        nats.url = f"nats://127.0.0.1:{port}"
        eventually(lambda: accepts(port), "the NATS server accepts connections")
        return nats

    def opensearch(self, *options):
        """Starts a server of generated workloads and waits until it listens."""
        server = self.start(WebServer(
            self.directory, "bench_composite_server",
            [BUILD / "bench_composite_server", *options]))
        return server.ready()

    def where(self, nats, state):
        return (["--nats-url", nats] if nats
                else ["--state-dir", self.directory / state])

    def backend(self, gateway, *options, nats=None, state="state",
                duration="3s"):
        """Starts a training simulator and waits until it is connected."""
        backend = self.start(Program(
            self.directory, "training_sim",
            [BUILD / "training_sim", "--gateway-url", gateway.url, "--duration",
             duration, "--report-interval", "100ms", "--state-file",
             self.directory / "training_sim.json", "--backend-protocol",
             self.protocol, *options, *self.where(nats, state)]))
        backend.wait_for("is ready for training requests")
        return backend

    def feed(self, text, *options, nats=None, state="state"):
        """Feeds lines to log_feed and returns it after it has ended."""
        if isinstance(text, str):
            text = text.encode()
        source = self.directory / f"lines-{len(self.programs)}"
        source.write_bytes(text)
        with open(source, "rb") as lines:
            feed = self.start(Program(
                self.directory, "log_feed",
                [BUILD / "log_feed", *options, *self.where(nats, state)],
                stdin=lines))
        feed.wait()
        return feed

    def feed_plain(self, count, cluster, namespace, deployment, **where):
        feed = self.feed("a line\n" * count, "--cluster", cluster,
                         "--namespace", namespace, "--deployment", deployment,
                         **where)
        self.assertEqual(feed.process.returncode, 0, feed.log())

    # -- expectations ---------------------------------------------------------

    def assert_error(self, answer, status, code):
        """Checks for an error in the form of the compatibility API."""
        self.assertEqual(answer.status, status, answer)
        error = answer.json
        self.assertEqual(error["code"], code, answer)
        self.assertTrue(error["message"], answer)
        self.assertEqual(error["details"], [], answer)
        if status in (503, 504):
            self.assertIn("Retry-After", answer.headers)

    def assert_counts(self, gateway, cluster, expected):
        """Waits for exactly these counts."""
        eventually(lambda: gateway.counts(cluster) == expected,
                   f"{cluster} has the counts {expected}")

    def wait_for_training(self, gateway, percentage):
        """Waits until the training is at `percentage`; returns its statistics."""
        def check():
            answer = gateway.status()
            if answer.status != 200:
                return None
            statistics = answer.json["statistics"]
            reached = int(statistics["percentageCompleted"]) >= percentage
            return statistics if reached else None
        return eventually(check, f"the training is at {percentage} %")

    def wait_for_job(self, gateway, state):
        """Waits until the job is in that state; returns it."""
        def check():
            answer = gateway.get("/api/v1/training")
            if answer.status == 200 and answer.json["state"] == state:
                return answer.json
            return None
        return eventually(check, f"the job is {state}")

    def wait_for_status(self, gateway, text):
        def check():
            answer = gateway.status()
            if answer.status == 200 and answer.json["status"] == text:
                return answer.json
            return None
        return eventually(check, f"the status is {text!r}")
