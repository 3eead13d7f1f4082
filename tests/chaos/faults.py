"""The faults: which there are, when they happen, and for how long."""

import dataclasses
import random
import threading
import time

from clients import LEASE

# Seconds between two faults, so that their effects can be distinguished.
CALM = (1.5, 3.0)


@dataclasses.dataclass
class Fault:
    kind: str
    begin: float
    target: str
    end: float = 0.0
    # Whether no other fault overlapped.
    alone: bool = True


class Faults:
    """Each kind has a method that causes the fault and returns a function that
    ends it and the name of its target."""

    def __init__(self, cluster, replicas, backend, proxies, seed, log):
        self.cluster = cluster
        self.replicas = replicas
        self.backend = backend
        self.proxies = proxies
        self.random = random.Random(seed)
        self.log = log
        self.records = []
        # By kind: the type of the target, and the minimum and maximum duration.
        self.kinds = {
            "gateway-kill": ("gateway", 0.5, 3),
            "gateway-pause": ("gateway", 0.3, 1.5),
            "gateway-pause-beyond-lease": ("gateway", 2 * LEASE, 3 * LEASE),
            "gateway-partition": ("gateway", 2, 6),
            "gateway-cut": ("gateway", 1, 3),
            "gateway-answers-lost": ("gateway", 1, 5),
            "gateway-requests-late": ("gateway", 1, 5),
            "node-kill": ("node", 0.5, 4),
            "node-pause": ("node", 1, 8),
            "backend-kill": ("backend", 0.5, 4),
            "backend-pause": ("backend", 1, 10),
        }
        if cluster.clustered:
            self.kinds |= {
                "leader-kill": ("node", 0.5, 4),
                "majority-kill": ("node", 0.5, 3),
                "node-partition": ("node", 3, 8),
                "node-partition-asymmetric": ("node", 3, 8),
                "leader-step-down": ("node", 0, 0),
            }
        self.skipped = {}
        problem = next((x.disk.problem for x in cluster.nodes
                        if x.disk.problem), "")
        if problem:
            self.skipped["disk-full"] = f"no tmpfs can be mounted: {problem}"
        else:
            self.kinds["disk-full"] = ("node", 2, 5)

    # -- choosing -------------------------------------------------------------

    def run(self, seconds):
        """Causes each kind once before any is repeated; sometimes two overlap."""
        end = time.monotonic() + seconds
        pause = threading.Event()
        deck = []
        while time.monotonic() < end:
            if not deck:
                deck = sorted(self.kinds)
                self.random.shuffle(deck)
            kind = deck.pop()
            where, shortest, longest = self.kinds[kind]
            duration = self.random.uniform(shortest, longest)
            second = next((x for x in deck if self.kinds[x][0] != where), None)
            if self.random.random() > 0.2:
                second = None
            undo, record = self.strike(kind)
            if second:
                deck.remove(second)
                pause.wait(duration * self.random.uniform(0.1, 0.9))
                other_undo, other = self.strike(second)
                record.alone = other.alone = False
                pause.wait(duration * self.random.uniform(0.1, 0.9))
                self.undo(other_undo, other)
            else:
                pause.wait(duration)
            self.undo(undo, record)
            pause.wait(self.random.uniform(*CALM))

    def strike(self, kind):
        record = Fault(kind, time.monotonic(), "")
        undo, record.target = getattr(self, kind.replace("-", "_"))()
        self.records.append(record)
        self.log(f"{kind} hits {record.target}")
        return undo, record

    def undo(self, undo, record):
        undo()
        record.end = time.monotonic()

    def heal(self):
        """Starts and connects everything again."""
        for link in self.proxies.links:
            self.proxies.heal(link.source, link.target)
        for process in self.cluster.nodes + self.replicas:
            process.up()
        self.backend.up()

    def gateway(self):
        return self.random.choice(
            [x for x in self.replicas if x.state == "up"] or self.replicas)

    def node(self):
        return self.random.choice(
            [x for x in self.cluster.nodes if x.state == "up"]
            or self.cluster.nodes)

    # -- gateways -------------------------------------------------------------

    def gateway_kill(self):
        target = self.gateway()
        target.kill()
        return target.up, target.name

    def gateway_pause(self):
        target = self.gateway()
        target.stop()
        return target.up, target.name

    def gateway_pause_beyond_lease(self):
        """Pauses the gateway that holds the lease of counting, if it is known."""
        def holds(replica):
            answer = replica.get("/api/v1/clusters", timeout=1)
            return bool(answer and answer["aggregating"])
        target = next((x for x in self.replicas if x.state == "up"
                       and holds(x)), None) or self.gateway()
        target.stop()
        return target.up, target.name

    def gateway_link_fault(self, hold, lose):
        target = self.gateway()
        for node in self.cluster.nodes:
            hold(target.name, node.name)

        def undo():
            for node in self.cluster.nodes:
                self.proxies.heal(target.name, node.name, lose)
        return undo, target.name

    def gateway_partition(self):
        return self.gateway_link_fault(self.proxies.hold,
                                       self.random.random() < 0.5)

    def gateway_cut(self):
        return self.gateway_link_fault(self.proxies.refuse, True)

    def gateway_answers_lost(self):
        """Its requests take effect; the answers are lost with the connection."""
        return self.gateway_link_fault(
            lambda us, node: self.proxies.hold(node, us, back_too=False), True)

    def gateway_requests_late(self):
        """Its requests take effect after their deadline."""
        return self.gateway_link_fault(
            lambda us, node: self.proxies.hold(us, node, back_too=False), False)

    # -- nodes ----------------------------------------------------------------

    def node_kill(self):
        target = self.node()
        target.kill()
        return target.up, target.name

    def leader_kill(self):
        target = self.cluster.leader() or self.node()
        target.kill()
        return target.up, target.name

    def majority_kill(self):
        targets = self.random.sample(self.cluster.nodes,
                                     len(self.cluster.nodes) // 2 + 1)
        for target in targets:
            if target.state != "down":
                target.kill()

        def undo():
            for target in targets:
                target.up()
        return undo, " and ".join(x.name for x in targets)

    def node_pause(self):
        target = self.node()
        if self.random.random() < 0.5:
            target = self.cluster.leader() or target
        target.stop()
        return target.up, target.name

    def node_link_fault(self, hold):
        target = self.node()
        lose = self.random.random() < 0.5
        for other in self.cluster.others(target):
            hold(target.name, other.name)

        def undo():
            for other in self.cluster.others(target):
                self.proxies.heal(target.name, other.name, lose)
        return undo, target.name

    def node_partition(self):
        return self.node_link_fault(self.proxies.hold)

    def node_partition_asymmetric(self):
        """It receives from the others but cannot send to them, or the reverse."""
        if self.random.random() < 0.5:
            return self.node_link_fault(
                lambda us, other: self.proxies.hold(us, other, back_too=False))
        return self.node_link_fault(
            lambda us, other: self.proxies.hold(other, us, back_too=False))

    def leader_step_down(self):
        leader = self.cluster.leader()
        self.cluster.ask("$JS.API.STREAM.LEADER.STEPDOWN.KV_aiops-gateway")
        return (lambda: None), leader.name if leader else "no leader"

    def disk_full(self):
        target = self.node()
        if self.random.random() < 0.5:
            target = self.cluster.leader() or target
        target.disk.fill()

        def undo():
            # After a full disk, a server does not store again until its restart.
            target.disk.clear()
            if target.state == "up":
                target.kill()
            target.up()
        return undo, target.name

    # -- the backend ----------------------------------------------------------

    def backend_kill(self):
        self.backend.kill()
        return self.backend.up, "the backend"

    def backend_pause(self):
        self.backend.paused.set()
        return self.backend.up, "the backend"


def longest_gap(writes, begin, end):
    """The longest time without a write between `begin` and `end`."""
    times = [begin, *(x for x in writes if begin < x < end), end]
    return max(later - earlier for earlier, later in zip(times, times[1:]))


def unavailability(records, writes):
    """By kind: for each fault that did not overlap another, the longest time
    without a successful write."""
    result = {}
    for number, record in enumerate(records):
        following = records[number + 1:number + 2]
        until = following[0].begin if following else record.end + CALM[1]
        if record.alone:
            result.setdefault(record.kind, []).append(
                longest_gap(writes, record.begin, until))
    return result
