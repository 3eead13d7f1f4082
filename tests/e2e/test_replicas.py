"""Three gateways on one NATS server: one counts, and all serve the counts."""

import http.client
import json
import os
import random
import re
import subprocess
import threading
import time

from nats_client import NatsClient
from support import BUILD, LISTENING, E2eTest, Program, eventually, running

GENERATION = re.compile(r"counts\.(\d+)\.(\d+)\.(.+)")
SMALL_VALUES = "max_payload: 65536\n"


def owner_process(owner):
    """The process id in the identity of a replica: host-pid-random."""
    return int(owner.split("-")[-2])


class StoreMonitor:
    """Follows what gateways store, and collects violations."""

    def __init__(self, nats):
        self.client = NatsClient(nats.port)
        self.violations = []
        # For each generation (term and number): its values by key.
        self.generations = {}
        self.manifests = set()
        # Generations to which the pointer of the counts has pointed.
        self.pointed = set()
        self.lease_owners = {}
        self.latest = (0, 0)
        self.on_begin = lambda owner: None
        for bucket, see in (("aiops-gateway", self.see_own_bucket),
                            ("os-workload-aggregation", self.see_pointer)):
            eventually(lambda: self.client.follow(f"KV_{bucket}", see),
                       f"the bucket {bucket} exists")

    def violation(self, what):
        self.violations.append(what)

    def see_own_bucket(self, subject, sequence, headers, data):
        key = subject.removeprefix("$KV.aiops-gateway.")
        if key == "lease.aggregation":
            self.lease_owners[sequence] = json.loads(data)["owner"]
        found = GENERATION.fullmatch(key)
        if found and "KV-Operation" not in headers:
            generation = (int(found[1]), int(found[2]))
            self.see_part(generation, found[3], data)

    def see_part(self, generation, part, data):
        parts = self.generations.setdefault(generation, {})
        if parts.setdefault(part, data) != data:
            self.violation(f"two replicas wrote {part} of {generation}")
        if part == "begin":
            owner = json.loads(data)["owner"]
            # The term is the revision at which the lease was taken.
            holder = self.lease_owners.get(generation[0], owner)
            if holder != owner:
                self.violation(f"{owner} writes in the term of {holder}")
            self.on_begin(owner)
        elif "begin" not in parts:
            self.violation(f"{part} of {generation} has no preceding begin")
        elif part == "manifest":
            self.manifests.add(generation)
        elif generation in self.manifests:
            self.violation(f"{part} of {generation} follows its manifest")

    def see_pointer(self, subject, sequence, headers, data):
        sharded = None
        if subject.endswith(".aggregation") and data:
            sharded = json.loads(data).get("sharded")
        if not sharded:
            return
        found = GENERATION.fullmatch(sharded["manifest"])
        generation = (int(found[1]), int(found[2]))
        if generation < self.latest:
            self.violation(f"{generation} replaces {self.latest}")
        self.latest = generation
        self.pointed.add(generation)

    def generations_left(self):
        subjects = self.client.subjects("KV_aiops-gateway",
                                        "$KV.aiops-gateway.counts.>")
        found = (GENERATION.search(subject) for subject in subjects)
        return {(int(x[1]), int(x[2])) for x in found if x}


class Replica:
    """A gateway that is killed, stopped, resumed and restarted, and a client that
    reads from it all the time."""

    def __init__(self, start, check):
        self.start = start
        self.check = check
        self.answers = 0
        self.gateway = None
        self.state = "down"
        self.done = threading.Event()
        self.launch()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def launch(self):
        self.gateway = self.start()
        self.state = "up"

    def kill(self):
        self.gateway.kill()
        self.state = "down"

    def stop(self):
        self.gateway.suspend()
        self.state = "stopped"

    def resume(self):
        self.gateway.resume()
        self.state = "up"

    def up(self):
        """Starts or resumes it, as necessary."""
        if self.state == "down":
            self.launch()
        elif self.state == "stopped":
            self.resume()

    def end(self):
        if self.state == "stopped":
            self.resume()
        self.done.set()
        self.reader.join()

    def get(self, path, timeout=5):
        """The JSON of an answer; None when there is none."""
        found = LISTENING.search(self.gateway.log())
        if not found or self.state != "up":
            return None
        connection = http.client.HTTPConnection("127.0.0.1", int(found[2]),
                                                timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            return json.loads(body) if response.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def aggregating(self):
        answer = self.get("/api/v1/clusters", timeout=1)
        return bool(answer and answer["aggregating"])

    def read(self):
        try:
            while not self.done.wait(0.005):
                self.read_once(self.gateway)
        except Exception as problem:
            self.check.violation(f"a reader ended: {problem!r}")
            raise

    def read_once(self, gateway):
        answer = self.get("/api/v1/clusters")
        if not answer or not answer["clusters"]:
            return
        self.check(gateway, answer["clusters"])
        cluster = random.choice(answer["clusters"])["id"]
        answer = self.get(f"/ModelTraining/workload_aggregation/{cluster}")
        if answer:
            self.check.cluster(gateway, answer["items"])
            self.answers += 1


class StampedCounts:
    """Checks counts that are the number of the cycle that counted."""

    def __init__(self, clusters, workloads, violation):
        self.clusters = clusters
        self.workloads = workloads
        self.violation = violation
        # The last cycle that each process served.
        self.last = {}

    def see(self, gateway, cycles):
        if len(cycles) != 1:
            self.violation(f"an answer mixes the cycles {sorted(cycles)}")
            return
        cycle, = cycles
        if cycle < self.last.get(gateway.pid, 0):
            self.violation(f"{gateway.pid} serves cycle {cycle} after "
                       f"{self.last[gateway.pid]}")
        self.last[gateway.pid] = cycle

    def __call__(self, gateway, clusters):
        self.see(gateway, {item["logCount"] / item["deployments"]
                           for item in clusters})
        workloads = sum(item["deployments"] for item in clusters)
        if (len(clusters), workloads) != (self.clusters, self.workloads):
            self.violation(f"{len(clusters)} clusters with {workloads} workloads")

    def cluster(self, gateway, items):
        self.see(gateway, {int(item["logCount"]) for item in items})

    def latest(self, replica):
        return self.last.get(replica.gateway.pid, 0)


class GrowingCounts:
    """Checks that counts never decrease."""

    def __init__(self, violation):
        self.violation = violation
        self.last = {}

    def __call__(self, gateway, clusters):
        count = sum(item["logCount"] for item in clusters)
        if count < self.last.get(gateway.pid, 0):
            self.violation(f"{gateway.pid} serves {count} messages after "
                       f"{self.last[gateway.pid]}")
        self.last[gateway.pid] = count

    def cluster(self, gateway, items):
        pass

    def latest(self, replica):
        return self.last.get(replica.gateway.pid, 0)


class Storm:
    """Kills, stops and resumes replicas at random, but leaves at least one up.
    Takes `seconds`, and on a slow machine until `enough`."""

    def __init__(self, replicas, seconds, violation, enough=lambda: True):
        seed = int(os.environ.get("AIOPS_STORM_SEED", random.getrandbits(32)))
        print(f"storm with AIOPS_STORM_SEED={seed}", flush=True)
        self.random = random.Random(seed)
        self.replicas = replicas
        self.violation = violation
        self.events = {"kill": 0, "stop": 0, "kill the holder": 0,
                       "stop the holder": 0}
        end = time.monotonic() + seconds
        pause = threading.Event()
        while time.monotonic() < end or (not enough()
                                         and time.monotonic() < end + 120):
            pause.wait(self.random.uniform(0.1, 0.8))
            self.strike()

    def strike(self):
        for replica in self.replicas:
            if replica.state != "down" and not running(replica.gateway.pid):
                self.violation(f"{replica.gateway.pid} ended unexpectedly")
        # The replica that counts is chosen more often than the others.
        holder = next((x for x in self.replicas if x.aggregating()), None)
        target = self.random.choice(self.replicas + [holder, holder])
        if target is None:
            return
        what = self.random.choice(["kill", "stop"])
        if target.state != "up":
            if target.state == "stopped" and what == "kill":
                target.kill()
            else:
                target.up()
        elif sum(x.state == "up" for x in self.replicas) > 1:
            getattr(target, what)()
            self.events[what + " the holder" * (target is holder)] += 1


# -- shared by the tests -----------------------------------------------------


def start_replicas(test, *options, check, nats, interval, lease="1s"):
    def start_on(state):
        return lambda: test.launch_gateway(
            "--aggregation-lease", lease, *options, nats=nats.url,
            state=state, interval=interval)
    result = []
    for number in range(3):
        result.append(Replica(start_on(f"state-{number}"), check))
        test.addCleanup(result[-1].end)
    return result


def start_monitor(test, nats):
    monitor = StoreMonitor(nats)
    test.addCleanup(monitor.client.close)
    return monitor


def wait_for_one_holder(replicas):
    """Returns the replica that counts, after all are ready."""
    eventually(lambda: all(x.get("/readyz") for x in replicas),
               "all replicas are ready")

    def check():
        found = [x for x in replicas if x.aggregating()]
        return found[0] if len(found) == 1 else None
    return eventually(check, "exactly one replica counts")


def wait_for_counts(replicas, counts):
    eventually(lambda: all(counts.latest(x) for x in replicas),
               "all replicas serve counts")


def wait_for_clean_up(monitor):
    def check():
        left = monitor.generations_left()
        return len(left) <= 3 and monitor.latest in left
    eventually(check, "only the latest generations are left")
    eventually(lambda: monitor.pointed <= monitor.manifests,
               "the pointer always pointed to a manifest")


# -- tests --------------------------------------------------------------------


class StormOverShards(E2eTest):
    # One cluster does not fit into one value.
    groups = "1x1500", "200x6", "2x150"
    clusters, workloads = 203, 3000

    def test_answers_never_mix_generations(self):
        nats = self.nats_server(settings=SMALL_VALUES)
        # With twelve pages, a cycle takes long enough to be interrupted, and
        # a slow machine still completes it.
        opensearch = self.opensearch("--stamp", "--page-delay", "60",
                                     *self.groups)
        violations = []
        counts = StampedCounts(self.clusters, self.workloads, violations.append)
        replicas = start_replicas(
            self, "--log-source", "opensearch", "--opensearch-url",
            opensearch.url, "--opensearch-page-size", "250", check=counts,
            nats=nats, interval="3s")
        monitor = start_monitor(self, nats)
        wait_for_counts(replicas, counts)
        storm = Storm(replicas, 60, violations.append,
                      enough=lambda: len(monitor.pointed) > 5)
        print(f"{storm.events}, {sum(x.answers for x in replicas)} answers, "
              f"{len(monitor.generations)} generations, "
              f"{len(monitor.manifests)} of them complete", flush=True)
        for replica in replicas:
            replica.up()
        wait_for_one_holder(replicas)
        cycles = int(opensearch.get("/cycles").body)
        eventually(lambda: all(counts.latest(x) > cycles for x in replicas),
                   "all serve the latest counts")
        wait_for_clean_up(monitor)
        self.assertEqual(violations + monitor.violations, [])
        self.assertGreater(len(monitor.pointed), 5)


class StormOverOneValue(E2eTest):
    def test_counts_never_decrease(self):
        nats = self.nats_server()
        violations = []
        counts = GrowingCounts(violations.append)
        replicas = start_replicas(self, check=counts, nats=nats,
                                  interval="300ms")
        feed = self.start(Program(
            self.directory, "log_feed",
            [BUILD / "log_feed", "--nats-url", nats.url, "--cluster", "c",
             "--namespace", "n", "--deployment", "d"], stdin=subprocess.PIPE))
        fed = 0
        done = threading.Event()

        def feed_lines():
            nonlocal fed
            with feed.process.stdin as lines:
                while not done.wait(0.005):
                    lines.write(b"a line\n")
                    lines.flush()
                    fed += 1
        feeder = threading.Thread(target=feed_lines)
        feeder.start()
        try:
            wait_for_counts(replicas, counts)
            storm = Storm(replicas, 25, violations.append)
        finally:
            done.set()
            feeder.join()
        print(f"{storm.events}, {sum(x.answers for x in replicas)} answers",
              flush=True)
        self.assertEqual(feed.wait(), 0)
        for replica in replicas:
            replica.up()
        wait_for_one_holder(replicas)
        eventually(lambda: all(counts.latest(x) == fed for x in replicas),
                   "all serve the latest counts")
        self.assertEqual(violations, [])


class Takeover(E2eTest):
    def test_within_two_lease_durations_after_a_kill(self):
        nats = self.nats_server()
        lease = 2
        violations = []
        replicas = start_replicas(
            self, check=GrowingCounts(violations.append), nats=nats,
            interval="500ms", lease=f"{lease}s")
        for _ in range(3):
            holder = wait_for_one_holder(replicas)
            begin = time.monotonic()
            holder.kill()
            eventually(lambda: any(x.aggregating() for x in replicas),
                       "another replica counts")
            self.assertLess(time.monotonic() - begin, 2 * lease)
            holder.up()

    def test_immediately_when_the_lease_holder_shuts_down(self):
        nats = self.nats_server()
        violations = []
        replicas = start_replicas(
            self, check=GrowingCounts(violations.append), nats=nats,
            interval="500ms", lease="20s")
        holder = wait_for_one_holder(replicas)
        begin = time.monotonic()
        holder.state = "down"
        self.assertEqual(holder.gateway.stop(), 0)
        eventually(lambda: any(x.aggregating() for x in replicas),
                   "another replica counts")
        self.assertLess(time.monotonic() - begin, 10)

    def test_a_resumed_lease_holder_overwrites_nothing(self):
        nats = self.nats_server(settings=SMALL_VALUES)
        opensearch = self.opensearch("--stamp", "1x1500", "300x5")
        violations = []
        counts = StampedCounts(301, 3000, violations.append)
        replicas = start_replicas(
            self, "--log-source", "opensearch", "--opensearch-url",
            opensearch.url, check=counts, nats=nats, interval="2s")
        monitor = start_monitor(self, nats)
        for _ in range(3):
            wait_for_counts(replicas, counts)
            wait_for_one_holder(replicas)
            stopped = self.stop_while_writing(replicas, monitor)
            term = monitor.latest[0]
            eventually(lambda: monitor.latest[0] > term,
                       "another replica stores counts")
            cycles = int(opensearch.get("/cycles").body)
            stopped.resume()
            eventually(lambda: all(counts.latest(x) > cycles
                                   for x in replicas), "all have new counts")
            self.assertFalse(stopped.aggregating())
            self.assertEqual(violations + monitor.violations, [])
        # Otherwise no replica was stopped while it wrote a generation.
        self.assertGreater(len(monitor.generations), len(monitor.manifests))
        wait_for_clean_up(monitor)
        self.assertEqual(violations + monitor.violations, [])

    def stop_while_writing(self, replicas, monitor):
        """Stops the replica that has just begun a generation."""
        processes = {x.gateway.pid: x for x in replicas}
        hit = []

        def stop(owner):
            replica = processes.get(owner_process(owner))
            if replica and not hit:
                replica.stop()
                hit.append(replica)
        monitor.on_begin = stop
        eventually(lambda: hit, "a replica begins a generation")
        monitor.on_begin = lambda owner: None
        return hit[0]
