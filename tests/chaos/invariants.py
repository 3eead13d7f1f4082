"""The invariants of the chaos run. Each check returns descriptions of its
violations."""

import collections

from backend import workloads_of

# The members of an answer that depend on the time of the request.
MOMENTARY = {"elapsedSeconds", "remainingSeconds", "remainingIsEstimate",
             "backend"}
CRASH = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
         "terminate called")
# Number of jobs that the gateway keeps.
KEPT = 100


def lasting(record):
    return {key: value for key, value in (record or {}).items()
            if key not in MOMENTARY}


def set_of(items):
    return frozenset((x["clusterId"], x["namespace"], x["deployment"])
                     for x in items)


class Snapshot:
    """The answers of one gateway."""

    def __init__(self, replica):
        self.name = replica.name
        self.ready = replica.get("/readyz") is not None
        training = replica.get("/api/v1/training")
        self.training = lasting(training)
        self.watchlist = replica.get("/api/v1/watchlist")
        self.jobs = [lasting(x) for x in replica.jobs() or []]
        self.complete = bool(self.ready and training and self.watchlist
                             and not training["stale"])

    @property
    def unsettled(self):
        """Jobs without a stored outcome. An accepted job stays `submitted`, with
        the response of the backend, until there is progress."""
        return [x["number"] for x in self.jobs if x["state"] == "submitted"
                and not x["response"] and not x["reason"]]

    def differences(self, other):
        for what in ("training", "watchlist", "jobs"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs:
                yield (f"{self.name} and {other.name} differ in {what}: "
                       f"{difference(mine, theirs)}")


def difference(one, other):
    """The members in which two JSON values differ, truncated."""
    if isinstance(one, dict) and isinstance(other, dict):
        return "; ".join(f"{key}: {one.get(key)!r} and {other.get(key)!r}"
                         for key in sorted(one.keys() | other.keys())
                         if one.get(key) != other.get(key))[:600]
    if isinstance(one, list) and isinstance(other, list):
        for mine, theirs in zip(one, other):
            if mine != theirs:
                return f"job {mine['number']}: {difference(mine, theirs)}"
        return f"{len(one)} and {len(other)} jobs"
    return f"{one!r} and {other!r}"[:600]


def agreement(replicas):
    """The differences between the gateways; empty when they agree."""
    shots = [Snapshot(x) for x in replicas]
    violations = [f"{x.name} is not ready or has stale answers"
              for x in shots if not x.complete]
    for other in shots[1:]:
        violations += shots[0].differences(other)
    violations += [f"{x.name} shows as not settled: {x.unsettled}"
               for x in shots if x.unsettled]
    return violations


class Truth:
    """Compares the final jobs with the records of the clients and the backend."""

    def __init__(self, history, backend, replica, kv):
        self.history = history
        self.backend = backend
        self.kv = kv
        self.jobs = replica.jobs() or []
        self.by_id = {x["id"]: x for x in self.jobs}
        self.newest = max((x["number"] for x in self.jobs), default=0)
        # The watchlist of each job.
        self.lists = {}
        for job in self.jobs:
            record = replica.get(f"/api/v1/training/jobs/{job['id']}")
            if record:
                self.lists[job["id"]] = set_of(record["workloads"])

    def effects_of(self, job_id, workloads):
        return [x for x in self.backend.effects
                if (x.uuid == job_id if self.kv else x.workloads == workloads)]

    def job_of(self, effect):
        if self.kv:
            return self.by_id.get(effect.uuid)
        found = [x for x in self.jobs
                 if self.lists.get(x["id"]) == effect.workloads]
        return found[0] if len(found) == 1 else None

    def named(self, effects):
        """The effects whose progress certainly belongs to one job. With
        request-reply a report names no job, and a report close to the next
        submission may be stored in either job. So only the last effect counts."""
        return effects if self.kv else effects[-1:]

    # -- nothing acknowledged is lost -----------------------------------------

    def lost_submissions(self):
        for done in self.history.of("submit"):
            if not done.acknowledged or not done.job:
                continue
            seen = self.history.jobs.get(done.job)
            if done.job in self.by_id:
                listed = self.lists.get(done.job)
                if listed is not None and listed != done.workloads:
                    yield f"job {done.job} has another watchlist than submitted"
            elif seen is None or seen["number"] > self.newest - KEPT:
                yield (f"the submission {done.job} that {done.gateway} "
                       f"acknowledged is lost")

    def lost_progress(self):
        highest = collections.Counter()
        for done in self.history.of("progress"):
            if done.acknowledged:
                highest[done.effect] = max(highest[done.effect],
                                           done.percentage)
        for effect in self.named(self.backend.effects):
            job = self.job_of(effect)
            # Other actions train nothing, so their jobs show no progress.
            trained = job and job["action"] == "train"
            if trained and job["percentage"] < highest[effect.number]:
                yield (f"job {job['number']} ({job['state']}) shows "
                       f"{job['percentage']} %, acknowledged were "
                       f"{highest[effect.number]} %")

    # -- the gateway and the backend agree -----------------------------------

    def acknowledged_without_effect(self):
        for done in self.history.of("submit"):
            if done.acknowledged and done.job and done.action != "none":
                if not self.effects_of(done.job, done.workloads):
                    yield (f"the submission {done.job} was acknowledged, but "
                           "the backend never carried it out")

    def completed_without_effect(self):
        for job in self.jobs:
            if job["state"] == "completed" and job["action"] == "train":
                if not self.kv and job["epoch"] > 0:
                    # The backend continues a cancelled training, which is shown
                    # as an adopted job.
                    continue
                if not self.effects_of(job["id"], self.lists.get(job["id"])):
                    yield (f"job {job['number']} completed, but the backend "
                           "never received it")

    def repeated_effects(self):
        submitted = collections.Counter(
            x.workloads for x in self.history.of("submit"))
        counts = collections.Counter(
            x.uuid if self.kv else x.workloads for x in self.backend.effects
            if self.kv or submitted[x.workloads] == 1)
        for what, count in counts.items():
            if count > 1:
                yield f"the backend carried out {what} {count} times"

    def foreign_progress(self):
        effects = {x.number: x for x in self.named(self.backend.effects)}
        for job in self.jobs:
            effect = effects.get(job["epoch"])
            if effect is None or job["action"] != "train":
                continue
            mine = (effect.uuid == job["id"] if self.kv
                    else effect.workloads == self.lists.get(job["id"]))
            if not mine:
                yield (f"job {job['number']} has the progress of another "
                       f"training, the backend's {effect.number}")

    # -- numbers --------------------------------------------------------------

    def repeated_numbers(self):
        by_number = collections.defaultdict(set)
        for job_id, job in self.history.jobs.items():
            by_number[job["number"]].add(job_id)
        for number, ids in by_number.items():
            if len(ids) > 1:
                yield f"the number {number} belongs to {sorted(ids)}"

    def losses(self):
        return [*self.lost_submissions(), *self.lost_progress()]

    def violations(self):
        return [*self.acknowledged_without_effect(),
                *self.completed_without_effect(),
                *self.repeated_effects(), *self.foreign_progress(),
                *self.repeated_numbers(), *self.history.violations]


def shared_state(replica, cluster, backend, kv):
    """Differences between a gateway, the backend and the public buckets."""
    watchlist = set_of(replica.get("/api/v1/watchlist")["items"])
    training = replica.get("/api/v1/training")
    violations = []
    if backend.workloads() != watchlist:
        violations.append(f"the backend has {names(backend.workloads())}, the "
                      f"gateways show {names(watchlist)}")
    if kv:
        stored = cluster.value("model-training-parameters",
                               "modelTrainingParameters") or {}
        workloads = workloads_of(stored.get("workloads") or {})
        if workloads != watchlist:
            violations.append(f"the bucket of parameters has {names(workloads)}, "
                          f"the gateways show {names(watchlist)}")
        mirror = cluster.value("model-training-statistics",
                               "modelTrainingStatus") or {}
        if mirror and mirror.get("status") != training["modelStatus"]:
            violations.append(f"the bucket has {mirror.get('status')!r}, the "
                          f"gateways {training['modelStatus']!r}")
    return violations


def names(workloads):
    return sorted(x[2] for x in workloads)


def crashes(replicas):
    """Gateways that exited unexpectedly, crashed, or have sanitizer reports."""
    for replica in replicas:
        replica.notice_death()
        yield from replica.deaths
        for program in replica.programs:
            log = program.log()
            for mark in CRASH:
                if mark in log:
                    at = log.index(mark)
                    yield f"{program.log_file}: {log[at:at + 500]}"
