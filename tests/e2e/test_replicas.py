"""Three gateways on one broker: one counts, all of them serve."""

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


class Witness:
    """Watches what gateways store, and collects what they must not do."""

    def __init__(self, broker):
        self.client = NatsClient(broker.port)
        self.wrongs = []
        # By generation (term and number): its values by key.
        self.generations = {}
        self.manifests = set()
        # Generations to which the counts pointed.
        self.pointed = set()
        self.lease_owners = {}
        self.latest = (0, 0)
        self.on_begin = lambda owner: None
        for bucket, see in (("aiops-gateway", self.see_ours),
                            ("os-workload-aggregation", self.see_pointer)):
            eventually(lambda: self.client.follow(f"KV_{bucket}", see),
                       f"there is a bucket {bucket}")

    def wrong(self, what):
        self.wrongs.append(what)

    def see_ours(self, subject, sequence, headers, data):
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
            self.wrong(f"two wrote {part} of {generation}")
        if part == "begin":
            owner = json.loads(data)["owner"]
            # The revision at which the lease changed hands is the term.
            holder = self.lease_owners.get(generation[0], owner)
            if holder != owner:
                self.wrong(f"{owner} writes in the term of {holder}")
            self.on_begin(owner)
        elif "begin" not in parts:
            self.wrong(f"{part} of {generation} has no begin")
        elif part == "manifest":
            self.manifests.add(generation)
        elif generation in self.manifests:
            self.wrong(f"{part} of {generation} comes after its manifest")

    def see_pointer(self, subject, sequence, headers, data):
        sharded = None
        if subject.endswith(".aggregation") and data:
            sharded = json.loads(data).get("sharded")
        if not sharded:
            return
        found = GENERATION.fullmatch(sharded["manifest"])
        generation = (int(found[1]), int(found[2]))
        if generation < self.latest:
            self.wrong(f"{generation} replaces {self.latest}")
        self.latest = generation
        self.pointed.add(generation)

    def generations_left(self):
        subjects = self.client.subjects("KV_aiops-gateway",
                                        "$KV.aiops-gateway.counts.>")
        found = (GENERATION.search(subject) for subject in subjects)
        return {(int(x[1]), int(x[2])) for x in found if x}


class Replica:
    """A gateway that is killed, stopped, continued and started again, and a
    client that never stops to read from it."""

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

    def proceed(self):
        self.gateway.resume()
        self.state = "up"

    def up(self):
        """Up again, whatever happened to it."""
        if self.state == "down":
            self.launch()
        elif self.state == "stopped":
            self.proceed()

    def end(self):
        if self.state == "stopped":
            self.proceed()
        self.done.set()
        self.reader.join()

    def get(self, path, timeout=5):
        """The JSON of an answer; None when there is none now."""
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
            self.check.wrong(f"a reader ended: {problem!r}")
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
    """Counts of which each is the number of the cycle that found it."""

    def __init__(self, clusters, workloads, wrong):
        self.clusters = clusters
        self.workloads = workloads
        self.wrong = wrong
        # By process: the last cycle that it served.
        self.last = {}

    def see(self, gateway, cycles):
        if len(cycles) != 1:
            self.wrong(f"a mix of the cycles {sorted(cycles)}")
            return
        cycle, = cycles
        if cycle < self.last.get(gateway.pid, 0):
            self.wrong(f"{gateway.pid} serves cycle {cycle} after "
                       f"{self.last[gateway.pid]}")
        self.last[gateway.pid] = cycle

    def __call__(self, gateway, clusters):
        self.see(gateway, {item["logCount"] / item["deployments"]
                           for item in clusters})
        workloads = sum(item["deployments"] for item in clusters)
        if (len(clusters), workloads) != (self.clusters, self.workloads):
            self.wrong(f"{len(clusters)} clusters with {workloads} workloads")

    def cluster(self, gateway, items):
        self.see(gateway, {int(item["logCount"]) for item in items})

    def latest(self, replica):
        return self.last.get(replica.gateway.pid, 0)


class GrowingCounts:
    """Counts that never become less."""

    def __init__(self, wrong):
        self.wrong = wrong
        self.last = {}

    def __call__(self, gateway, clusters):
        count = sum(item["logCount"] for item in clusters)
        if count < self.last.get(gateway.pid, 0):
            self.wrong(f"{gateway.pid} serves {count} messages after "
                       f"{self.last[gateway.pid]}")
        self.last[gateway.pid] = count

    def cluster(self, gateway, items):
        pass

    def latest(self, replica):
        return self.last.get(replica.gateway.pid, 0)


class Storm:
    """Kills, stops and continues replicas at random; at least one is up. Lasts
    that long, and until `enough` on a slow machine."""

    def __init__(self, replicas, seconds, wrong, enough=lambda: True):
        seed = int(os.environ.get("AIOPS_STORM_SEED", random.getrandbits(32)))
        print(f"storm with AIOPS_STORM_SEED={seed}", flush=True)
        self.random = random.Random(seed)
        self.replicas = replicas
        self.wrong = wrong
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
                self.wrong(f"{replica.gateway.pid} ended by itself")
        # The one that counts is hit more often than it would be by chance.
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


# -- what the tests share -----------------------------------------------------


def start_replicas(test, *options, check, broker, interval, lease="1s"):
    def start_on(state):
        return lambda: test.launch_gateway(
            "--aggregation-lease", lease, *options, nats=broker.url,
            state=state, interval=interval)
    result = []
    for number in range(3):
        result.append(Replica(start_on(f"state-{number}"), check))
        test.addCleanup(result[-1].end)
    return result


def start_witness(test, broker):
    witness = Witness(broker)
    test.addCleanup(witness.client.close)
    return witness


def wait_for_one_holder(replicas):
    """Answers the one that counts, once all are ready."""
    eventually(lambda: all(x.get("/readyz") for x in replicas),
               "all are ready")

    def look():
        found = [x for x in replicas if x.aggregating()]
        return found[0] if len(found) == 1 else None
    return eventually(look, "exactly one counts")


def wait_for_counts(replicas, counts):
    eventually(lambda: all(counts.latest(x) for x in replicas),
               "all serve counts")


def wait_for_clean_up(witness):
    def look():
        left = witness.generations_left()
        return len(left) <= 3 and witness.latest in left
    eventually(look, "only the latest generations are left")
    eventually(lambda: witness.pointed <= witness.manifests,
               "the counts always pointed to a manifest")


# -- tests --------------------------------------------------------------------


class StormOverShards(E2eTest):
    # One cluster is too large for one value.
    groups = "1x1500", "200x6", "2x150"
    clusters, workloads = 203, 3000

    def test_nobody_sees_a_mix(self):
        broker = self.broker(settings=SMALL_VALUES)
        # Twelve pages: a cycle takes long enough to be hit in the middle, and
        # leaves time for a slow machine.
        opensearch = self.opensearch("--stamp", "--page-delay", "60",
                                     *self.groups)
        wrongs = []
        counts = StampedCounts(self.clusters, self.workloads, wrongs.append)
        replicas = start_replicas(
            self, "--log-source", "opensearch", "--opensearch-url",
            opensearch.url, "--opensearch-page-size", "250", check=counts,
            broker=broker, interval="3s")
        witness = start_witness(self, broker)
        wait_for_counts(replicas, counts)
        storm = Storm(replicas, 60, wrongs.append,
                      enough=lambda: len(witness.pointed) > 5)
        print(f"{storm.events}, {sum(x.answers for x in replicas)} answers, "
              f"{len(witness.generations)} generations, "
              f"{len(witness.manifests)} of them whole", flush=True)
        for replica in replicas:
            replica.up()
        wait_for_one_holder(replicas)
        cycles = int(opensearch.get("/cycles").body)
        eventually(lambda: all(counts.latest(x) > cycles for x in replicas),
                   "all serve the latest counts")
        wait_for_clean_up(witness)
        self.assertEqual(wrongs + witness.wrongs, [])
        self.assertGreater(len(witness.pointed), 5)


class StormOverOneValue(E2eTest):
    def test_counts_never_become_less(self):
        broker = self.broker()
        wrongs = []
        counts = GrowingCounts(wrongs.append)
        replicas = start_replicas(self, check=counts, broker=broker,
                                  interval="300ms")
        feed = self.start(Program(
            self.directory, "log_feed",
            [BUILD / "log_feed", "--nats-url", broker.url, "--cluster", "c",
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
            storm = Storm(replicas, 25, wrongs.append)
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
        self.assertEqual(wrongs, [])


class Takeover(E2eTest):
    def test_within_two_leases_of_a_kill(self):
        broker = self.broker()
        lease = 2
        wrongs = []
        replicas = start_replicas(
            self, check=GrowingCounts(wrongs.append), broker=broker,
            interval="500ms", lease=f"{lease}s")
        for _ in range(3):
            holder = wait_for_one_holder(replicas)
            begin = time.monotonic()
            holder.kill()
            eventually(lambda: any(x.aggregating() for x in replicas),
                       "another one counts")
            self.assertLess(time.monotonic() - begin, 2 * lease)
            holder.up()

    def test_at_once_when_the_holder_leaves(self):
        broker = self.broker()
        wrongs = []
        replicas = start_replicas(
            self, check=GrowingCounts(wrongs.append), broker=broker,
            interval="500ms", lease="20s")
        holder = wait_for_one_holder(replicas)
        begin = time.monotonic()
        holder.state = "down"
        self.assertEqual(holder.gateway.stop(), 0)
        eventually(lambda: any(x.aggregating() for x in replicas),
                   "another one counts")
        self.assertLess(time.monotonic() - begin, 10)

    def test_a_holder_that_was_stopped_overwrites_nothing(self):
        broker = self.broker(settings=SMALL_VALUES)
        opensearch = self.opensearch("--stamp", "1x1500", "300x5")
        wrongs = []
        counts = StampedCounts(301, 3000, wrongs.append)
        replicas = start_replicas(
            self, "--log-source", "opensearch", "--opensearch-url",
            opensearch.url, check=counts, broker=broker, interval="2s")
        witness = start_witness(self, broker)
        for _ in range(3):
            wait_for_counts(replicas, counts)
            wait_for_one_holder(replicas)
            stopped = self.stop_while_writing(replicas, witness)
            term = witness.latest[0]
            eventually(lambda: witness.latest[0] > term,
                       "another one stores counts")
            cycles = int(opensearch.get("/cycles").body)
            stopped.proceed()
            eventually(lambda: all(counts.latest(x) > cycles
                                   for x in replicas), "all serve new counts")
            self.assertFalse(stopped.aggregating())
            self.assertEqual(wrongs + witness.wrongs, [])
        # Otherwise nobody was stopped in the middle of one.
        self.assertGreater(len(witness.generations), len(witness.manifests))
        wait_for_clean_up(witness)
        self.assertEqual(wrongs + witness.wrongs, [])

    def stop_while_writing(self, replicas, witness):
        """Stops the replica that just has begun a generation."""
        processes = {x.gateway.pid: x for x in replicas}
        hit = []

        def stop(owner):
            replica = processes.get(owner_process(owner))
            if replica and not hit:
                replica.stop()
                hit.append(replica)
        witness.on_begin = stop
        eventually(lambda: hit, "somebody begins a generation")
        witness.on_begin = lambda owner: None
        return hit[0]
