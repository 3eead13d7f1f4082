"""Runs three gateways on a cluster of NATS servers, causes real faults, and
checks whether anything that was acknowledged is lost."""

import argparse
import itertools
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

from api_answers import ApiAnswers
from backend import Backend
from clients import TRAIN_TIMEOUT, Clients, History, Replica
from cluster import (Cluster, Unavailable, find_server, installed_server,
                     newest_version)
from faults import Faults, unavailability
from invariants import Truth, agreement, crashes, shared_state
from proxy import Proxies
from support import eventually

VERSIONS = ("2.10.29", "2.12.3", "newest")
DEFAULT_VERSION = "2.12.3"
# Before it, two writes over one revision could both succeed in a cluster.
FIRST_CLUSTER_VERSION = (2, 9, 21)
# Seconds that the cluster may take to recover after the last fault.
RECOVERY = 90
# Seconds that a submission may be unsettled beyond --train-timeout.
MARGIN = 15
# Exit code when there is nothing to run with.
SKIPPED = 77


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/chaos", description=__doc__,
        epilog=f"Versions of nats-server are built by 'go install' into the "
               f"cache folder. With --version all: {', '.join(VERSIONS)}.")
    parser.add_argument("--version", default=DEFAULT_VERSION,
                        help="nats-server version: a number, 'newest', 'installed' "
                             "or 'all' (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60,
                        help="duration of the faults (default: %(default)s)")
    parser.add_argument("--seed", type=int,
                        help="determines faults and requests (default: random)")
    parser.add_argument("--protocol", choices=("kv", "request-reply"),
                        help="backend protocol (default: depends on the seed)")
    parser.add_argument("--faults", help="only these kinds, comma-separated; with a "
                                         "leading '-' all but these")
    parser.add_argument("--keep", type=Path,
                        help="folder for logs and the history of operations "
                             "(default: kept only after a failure)")
    return parser.parse_args(arguments)


def numbers_of(version):
    return tuple(int(x) for x in version.split("-")[0].split("."))


def servers(version):
    """Pairs of program and version to run with."""
    wanted = VERSIONS if version == "all" else (version,)
    for name in wanted:
        try:
            if name == "installed":
                yield installed_server()
            else:
                number = newest_version() if name == "newest" else name
                yield find_server(number.removeprefix("v")), number
        except Unavailable as reason:
            print(f"chaos: nats-server {name} is skipped: {reason}", flush=True)
            if version != "all" and name != "installed":
                yield installed_server()


class Run:
    def __init__(self, options, server, version, directory):
        self.options = options
        self.seed = options.seed
        self.begin = time.monotonic()
        protocol = options.protocol or random.Random(self.seed).choice(
            ["kv", "request-reply"])
        self.kv = protocol == "kv"
        count = 3 if numbers_of(version) >= FIRST_CLUSTER_VERSION else 1
        print(f"chaos: seed {self.seed}, nats-server {version}, {count} "
              f"node(s), protocol {protocol}", flush=True)
        if count == 1:
            print("chaos: only one node, because in a cluster of this version "
                  "two writes over one revision may succeed", flush=True)
        self.answers = ApiAnswers()
        self.directory = directory
        self.history = History()
        self.cluster = Cluster(directory, server, count)
        self.replicas = [
            Replica(number, directory, self.cluster.nodes,
                    ["--nats-replicas", count, "--backend-protocol", protocol,
                     "--log-level", "debug"], self.answers.tap)
            for number in range(1, 4)]
        self.proxies = None
        self.backend = None
        self.clients = None
        self.faults = None

    def log(self, what):
        print(f"{time.monotonic() - self.begin:7.1f} s  {what}", flush=True)

    def streams(self):
        buckets = ["aiops-gateway", "os-workload-aggregation"]
        if self.kv:
            buckets += ["model-training-statistics",
                        "model-training-parameters"]
        return [f"KV_{x}" for x in buckets] + ["logs"]

    # -- phases ---------------------------------------------------------------

    def start(self):
        self.proxies = Proxies(
            self.cluster.routes + list(itertools.chain.from_iterable(
                x.links for x in self.replicas)))
        self.cluster.start()
        self.backend = Backend(self.cluster.nodes, self.kv, self.seed)
        for replica in self.replicas:
            replica.launch()
        for replica in self.replicas:
            eventually(lambda: replica.get("/readyz"),
                       f"{replica.name} is ready", 60)
        eventually(lambda: self.cluster.settled(self.streams()),
                   "all streams have their copies", 60)
        self.clients = Clients(self.replicas, self.backend, self.history,
                               self.kv, self.seed)
        self.faults = Faults(self.cluster, self.replicas, self.backend,
                             self.proxies, self.seed, self.log)
        if self.options.faults:
            names = self.options.faults.removeprefix("-").split(",")
            for name in names:
                if name not in self.faults.kinds | self.faults.skipped:
                    raise SystemExit(f"chaos: there is no fault '{name}'")
            without = self.options.faults.startswith("-")
            self.faults.kinds = {name: kind for name, kind in self.faults.kinds.items()
                                 if (name in names) != without}
        self.clients.start()
        eventually(self.history.writes, "the first write is acknowledged")

    def heal(self):
        self.faults.heal()
        self.log("the faults stop")
        stopped = time.monotonic()
        eventually(lambda: self.cluster.settled(self.streams()),
                   "the NATS cluster recovers", RECOVERY)
        self.log("the NATS cluster has recovered")
        eventually(lambda: self.history.writes()[-1] > stopped,
                   "a write is acknowledged again", RECOVERY)
        self.clients.end_operators()

    def wait_for_agreement(self):
        """The differences that remain after the deadline."""
        # The clients report progress until the training ends.
        eventually(lambda: self.backend.training is None,
                   "the backend reports the end of its training", RECOVERY)
        begin = time.monotonic()
        last = []

        def check():
            last[:] = agreement(self.replicas)
            if not last:
                last[:] = shared_state(self.replicas[0], self.cluster,
                                       self.backend, self.kv)
            return not last
        try:
            eventually(check, "all agree", TRAIN_TIMEOUT + MARGIN)
            self.log(f"all agree after {time.monotonic() - begin:.1f} s")
        except AssertionError:
            pass
        return [f"at the end: {x}" for x in last]

    def check_submissions(self):
        """Sends DELETE, then POST without force, to each gateway."""
        for number, replica in enumerate(self.replicas):
            done = self.clients.delete(replica)
            if not done.acknowledged:
                yield f"DELETE by {replica.name} answers {done}"
            workloads = frozenset({("c", "n", f"final{number}")})
            done = self.clients.submit(replica, workloads, False)
            if not done.acknowledged:
                yield f"POST after DELETE by {replica.name} answers {done}"
            elif self.backend.workloads() != workloads:
                yield (f"POST after DELETE by {replica.name} did not reach the "
                       "backend")

    def check(self):
        """Losses and other violations."""
        violations = self.wait_for_agreement()
        truth = Truth(self.history, self.backend, self.replicas[0], self.kv)
        losses = truth.losses()
        violations += truth.violations()
        violations += self.check_submissions()
        violations += self.wait_for_agreement()
        violations += crashes(self.replicas)
        return losses, violations

    # -- results --------------------------------------------------------------

    def print_operations(self):
        print("\noperations      sent  acknowledged  other answers")
        for kind in ("submit", "delete", "progress"):
            found = self.history.of(kind)
            acknowledged = sum(x.acknowledged for x in found)
            other = {}
            for x in found:
                if not x.acknowledged:
                    other[x.status] = other.get(x.status, 0) + 1
            shown = ", ".join(f"{status or 'none'}: {count}" for status, count
                              in sorted(other.items()))
            print(f"{kind:12} {len(found):7} {acknowledged:13}  {shown}")

    def print_faults(self):
        gaps = unavailability(self.faults.records, self.history.writes())
        kinds = [x.kind for x in self.faults.records]
        print("\nfault                       count  without a successful write:"
              " median, maximum (s)")
        for kind in sorted(self.faults.kinds):
            shown = "-"
            if kind in gaps:
                shown = (f"{statistics.median(gaps[kind]):.1f}, "
                         f"{max(gaps[kind]):.1f}")
            print(f"{kind:27} {kinds.count(kind):5}  {shown}")
        for kind, reason in self.faults.skipped.items():
            print(f"{kind:27} skipped: {reason}")

    def print_answers(self):
        print("\nanswers of JetStream    err_code  code  count  last at (s)")
        for key, count in sorted(self.answers.counts.items()):
            verb, err_code, code, text = key
            last = self.answers.last[key] - self.begin
            print(f"{verb:22} {err_code:9} {code:5} {count:6} {last:8.1f}  "
                  f"{text[:60]}")

    def print_results(self, losses, violations):
        self.print_operations()
        self.print_faults()
        self.print_answers()
        for node in self.cluster.nodes:
            node.notice_death()
            for death in node.deaths:
                print(f"\nnats-server: {death}")
        for when, what in self.answers.book.losses:
            print(f"\nTHE SERVER LOST: at {when - self.begin:.1f} s {what}")
        for what in losses:
            print(f"\nLOST: {what}")
        for what in violations:
            print(f"\nVIOLATION: {what}")
        print(f"\nlosses: {len(losses)}, other violations: {len(violations)} "
              f"(seed {self.seed})", flush=True)

    def save_history(self):
        def plain(value):
            return sorted(value) if isinstance(value, frozenset) else vars(value)
        (self.directory / "history.json").write_text(json.dumps(
            {"begin": self.begin, "operations": self.history.operations,
             "faults": self.faults.records if self.faults else [],
             "jobs": self.history.jobs, "effects": self.backend.effects
             if self.backend else []}, default=plain, indent=1))

    def run(self):
        """Returns whether there were no violations."""
        losses, violations = [], []
        try:
            self.start()
            self.faults.run(self.options.seconds)
            self.heal()
            losses, violations = self.check()
        except AssertionError as problem:
            violations.append(str(problem))
            violations += agreement(self.replicas)
            violations += crashes(self.replicas)
        finally:
            if self.clients:
                self.clients.end()
            if self.faults:
                self.print_results(losses, violations)
            else:
                print(f"chaos: did not start: {violations}")
            self.save_history()
            self.end()
        return not losses and not violations

    def end(self):
        for replica in self.replicas:
            replica.end()
        if self.backend:
            self.backend.end()
        if self.proxies:
            self.proxies.close()
        self.cluster.end()


def run_once(options, server, version):
    directory = Path(tempfile.mkdtemp(prefix="aiops-chaos-", dir=options.keep))
    good = False
    try:
        good = Run(options, server, version, directory).run()
    finally:
        if good and not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"chaos: logs and history are in {directory}", flush=True)
    return good


def main(arguments):
    options = parse(arguments)
    if options.seed is None:
        options.seed = random.SystemRandom().getrandbits(32)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    good = []
    try:
        for server, version in servers(options.version):
            good.append(run_once(options, server, version))
    except Unavailable as reason:
        print(f"chaos: the installed nats-server is skipped: {reason}")
    if not good:
        return SKIPPED
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
