"""The gateways, their clients, and the answers that the clients received."""

import dataclasses
import http.client
import json
import random
import threading
import time

from cluster import Process, own_port
from proxy import Link
from support import BUILD, Gateway

TRAIN_TIMEOUT = 8
REQUEST_TIMEOUT = 2
LEASE = 2

POOL = [f"d{number}" for number in range(6)]


class Replica(Process):
    """A gateway that reaches each node through its own proxy."""

    def __init__(self, number, directory, nodes, options, tap):
        super().__init__(f"gateway{number}")
        self.directory = directory
        self.port = own_port()
        self.options = options
        self.links = [Link(self.name, node.name, node.port, tap)
                      for node in nodes]

    def make(self):
        urls = ",".join(f"nats://127.0.0.1:{x.port}" for x in self.links)
        return Gateway(self.directory, self.name, [
            BUILD / "aiops-gateway", "--listen", f"127.0.0.1:{self.port}",
            "--nats-url", urls, "--request-timeout", f"{REQUEST_TIMEOUT}s",
            "--train-timeout", f"{TRAIN_TIMEOUT}s", "--aggregation-lease",
            f"{LEASE}s", "--aggregation-interval", "2s",
            "--status-poll-interval", "500ms", "--gpu-source", "none",
            # The disks of the nodes are small.
            "--log-stream-max-bytes", "4MiB",
            *self.options])

    def request(self, method, path, body=None, timeout=5):
        """Status and JSON of an answer; None when there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=timeout)
        try:
            connection.request(method, path,
                               None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        except (OSError, http.client.HTTPException, ValueError):
            return None, None
        finally:
            connection.close()

    def get(self, path, timeout=5):
        """The JSON of an answer with 200; None for any other."""
        status, value = self.request("GET", path, timeout=timeout)
        return value if status == 200 else None

    def jobs(self):
        return (self.get("/api/v1/training/jobs?limit=1000") or {}).get("jobs")


@dataclasses.dataclass
class Operation:
    kind: str
    gateway: str
    begin: float
    end: float = 0.0
    # 0 when there was no answer.
    status: int = 0
    job: str = ""
    action: str = ""
    workloads: frozenset = frozenset()
    effect: int = 0
    percentage: int = 0
    detail: str = ""

    @property
    def acknowledged(self):
        return self.status == 200


class History:
    """The operations of clients and the jobs that they saw. Nothing is removed."""

    def __init__(self):
        self.lock = threading.Lock()
        self.operations = []
        # The record of each job, by id, as last seen in any list.
        self.jobs = {}
        self.violations = []

    def add(self, operation):
        with self.lock:
            self.operations.append(operation)

    def violation(self, what):
        with self.lock:
            if what not in self.violations:
                self.violations.append(what)

    def see_jobs(self, jobs):
        with self.lock:
            for job in jobs:
                known = self.jobs.setdefault(job["id"], job)
                if known["number"] != job["number"]:
                    self.violations.append(
                        f"job {job['id']} has the numbers {known['number']} "
                        f"and {job['number']}")
                self.jobs[job["id"]] = job

    def of(self, *kinds):
        with self.lock:
            return [x for x in self.operations if x.kind in kinds]

    def writes(self):
        """The times at which writes were acknowledged, in order."""
        with self.lock:
            return sorted(x.end for x in self.operations if x.acknowledged)


class Clients:
    """Operators, reporters of progress and a reader, each on its own thread."""

    def __init__(self, replicas, backend, history, kv, seed):
        self.replicas = replicas
        self.backend = backend
        self.history = history
        self.kv = kv
        self.done = threading.Event()
        self.operators_done = threading.Event()
        self.serial = iter(range(1, 1 << 30))
        self.lock = threading.Lock()
        # The last watchlist. An update removes one of its workloads.
        self.last = frozenset()
        self.operators = [
            threading.Thread(target=self.guard, daemon=True, args=(
                self.operators_done, self.operate,
                random.Random(f"{seed}-{number}"))) for number in range(3)]
        work = [(self.report, replica) for replica in replicas]
        work.append((self.read, random.Random(f"{seed}-reader")))
        self.threads = self.operators + [
            threading.Thread(target=self.guard, args=(self.done, *x),
                             daemon=True) for x in work]

    def start(self):
        for thread in self.threads:
            thread.start()

    def end_operators(self):
        self.operators_done.set()
        for thread in self.operators:
            thread.join(TRAIN_TIMEOUT + 30)

    def end(self):
        self.end_operators()
        self.done.set()
        for thread in self.threads:
            thread.join(TRAIN_TIMEOUT + 30)

    def guard(self, done, work, argument):
        try:
            while not done.is_set():
                work(argument)
        except Exception as problem:
            self.history.violation(f"a client ended: {problem!r}")
            raise

    # -- operators ------------------------------------------------------------

    def operate(self, chance):
        idle = self.backend.training is None
        self.operators_done.wait(chance.uniform(0.1, 0.4) if idle
                                 else chance.uniform(0.5, 3))
        replica = chance.choice(self.replicas)
        what = chance.choices(["train", "update", "reset", "delete"],
                              [10, 2, 1, 2])[0]
        if what == "delete":
            self.delete(replica)
        else:
            self.submit(replica, self.choose(what, chance),
                        chance.random() < 0.6)

    def choose(self, what, chance):
        """A watchlist that no client has submitted before."""
        if what == "reset":
            return frozenset()
        if what == "update":
            with self.lock:
                left = sorted(self.last)
            if len(left) > 2:
                left.remove(chance.choice(
                    [x for x in left if x[2] in POOL] or left))
                return frozenset(left)
        names = chance.sample(POOL, 4) + [f"s{next(self.serial)}"]
        return frozenset(("c", "n", name) for name in names)

    def submit(self, replica, workloads, force):
        done = Operation("submit", replica.name, time.monotonic(),
                         workloads=workloads)
        items = [dict(zip(("clusterId", "namespace", "deployment"), x))
                 for x in sorted(workloads)]
        status, answer = replica.request(
            "POST", f"/api/v1/training?force={'true' if force else 'false'}",
            {"items": items}, timeout=TRAIN_TIMEOUT + 5)
        done.end, done.status = time.monotonic(), status or 0
        answer = answer or {}
        done.job = answer.get("jobId") or ""
        done.action = answer.get("action") or ""
        done.detail = answer.get("detail") or ""
        self.history.add(done)
        if done.acknowledged:
            with self.lock:
                self.last = workloads
        return done

    def delete(self, replica):
        done = Operation("delete", replica.name, time.monotonic())
        status, answer = replica.request("DELETE", "/api/v1/training",
                                         timeout=TRAIN_TIMEOUT + 5)
        done.end, done.status = time.monotonic(), status or 0
        answer = answer or {}
        done.job = answer.get("id") or ""
        done.detail = answer.get("state") or answer.get("detail") or ""
        self.history.add(done)
        return done

    # -- the backend's progress -----------------------------------------------

    def report(self, replica):
        """Sends progress to each gateway ten times per second, so that a time in
        which none of them can store is visible."""
        self.done.wait(0.1)
        found = self.backend.next_report()
        if found is None or self.backend.down.is_set():
            return
        training, statistics = found
        percentage = statistics["percentageCompleted"]
        done = Operation("progress", replica.name, time.monotonic(),
                         job=training.uuid or "", effect=training.number,
                         percentage=percentage)
        if self.kv:
            path = "current_status"
            body = {"status": "completed" if percentage == 100 else "training",
                    "statistics": statistics, "uuid": training.uuid}
        else:
            path, body = "statistics", statistics
        status, answer = replica.request(
            "PUT", f"/ModelTraining/model/{path}", body,
            timeout=REQUEST_TIMEOUT * 3)
        done.end, done.status = time.monotonic(), status or 0
        if status not in (200, None):
            done.detail = (answer or {}).get("message", "")
        self.history.add(done)
        if status in (200, 409):
            self.backend.reported(training, percentage, status == 409)

    # -- readers --------------------------------------------------------------

    def read(self, chance):
        self.done.wait(0.5)
        jobs = chance.choice(self.replicas).jobs()
        if jobs:
            self.history.see_jobs(jobs)
            numbers = [x["number"] for x in jobs]
            if len(set(numbers)) < len(numbers):
                self.history.violation(f"a list has duplicate numbers: {numbers}")
