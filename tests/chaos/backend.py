"""A training backend that records what it did, for the checks."""

import json
import random
import threading
import time

TRAINING_TAKES = 12.0
# It stops a training after this many refused reports in a row.
MAX_REFUSALS = 6


def workloads_of(watchlist):
    """The workloads in a map of clusters, namespaces and deployments, as a set."""
    return frozenset((cluster, namespace, deployment)
                     for cluster, namespaces in watchlist.items()
                     for namespace, deployments in namespaces.items()
                     for deployment in deployments)


class Effect:
    """A request that the backend carried out."""

    def __init__(self, number, uuid, workloads, train):
        self.number = number
        self.uuid = uuid
        self.workloads = workloads
        self.train = train
        self.at = time.monotonic()


class Backend:
    """Is connected to one node at a time, and to another when that node is down.
    Its state survives crashes, like that of a real backend in its store."""

    def __init__(self, nodes, kv, seed):
        self.nodes = nodes
        self.kv = kv
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.effects = []
        self.model = "not started"
        # The effect that is being trained; None when there is none.
        self.training = None
        self.ticks = 0
        self.refusals = 0
        self.client = None
        # The number of its crashes.
        self.crashes = 0
        self.paused = threading.Event()
        self.down = threading.Event()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    # -- connections and messages ---------------------------------------------

    def serve(self):
        """Keeps a connection to a node that is up."""
        while not self.done.wait(0.1):
            if self.down.is_set():
                continue
            try:
                if self.client is None:
                    self.connect()
                self.client.flush(timeout=2)
            except Exception:  # any failure of the connection
                self.disconnect()
        self.disconnect()

    def connect(self):
        node = self.random.choice([x for x in self.nodes if x.state == "up"])
        client = node.client()
        subjects = ["train_model", "gpu_service_running"]
        if not self.kv:
            subjects += ["model_status", "workload_parameters"]
        for subject in subjects:
            client.subscribe(subject, self.receiver(client, self.crashes))
        self.client = client

    def disconnect(self):
        client, self.client = self.client, None
        if client:
            client.close()

    def receiver(self, client, crashes):
        def receive(subject, reply, _, data):
            threading.Thread(target=self.answer, daemon=True, args=(
                client, crashes, subject, reply, data)).start()
        return receive

    def answer(self, client, crashes, subject, reply, data):
        if subject == "train_model":
            # Leaves time for a kill both before and after it takes effect.
            time.sleep(self.random.uniform(0, 0.05))
        while self.paused.is_set() and not self.done.wait(0.05):
            pass
        with self.lock:
            # A killed backend does not carry out requests that it received before.
            if self.down.is_set() or crashes != self.crashes:
                return
            text = self.reply_to(subject, data)
        if subject == "train_model":
            time.sleep(self.random.uniform(0, 0.05))
        if reply and not self.down.is_set():
            try:
                client.publish(reply, text.encode())
            except OSError:
                pass

    def reply_to(self, subject, data):
        if subject == "train_model":
            return self.train(json.loads(data))
        if subject == "model_status":
            return self.model
        if subject == "workload_parameters":
            return json.dumps(self.watchlist())
        return "running"

    # -- trainings ------------------------------------------------------------

    def watchlist(self):
        result = {}
        for cluster, namespace, deployment in sorted(self.workloads()):
            result.setdefault(cluster, {}).setdefault(
                namespace, []).append(deployment)
        return result

    def workloads(self):
        return self.effects[-1].workloads if self.effects else frozenset()

    def train(self, request):
        uuid = request["uuid"] if self.kv else None
        watchlist = request.get("workloads", {}) if self.kv else request
        workloads = workloads_of(watchlist)
        # Only new workloads need a training, as in the controllers of Opni.
        train = bool(workloads - self.workloads())
        effect = Effect(len(self.effects) + 1, uuid, workloads, train)
        self.effects.append(effect)
        if train:
            self.training = effect
            self.refusals = 0
            self.model = "training"
        elif not workloads:
            self.training = None
            self.model = "not started"
        elif self.training is None:
            # Nothing is trained, but the completion is reported.
            self.training = effect
            self.refusals = 0
            self.model = "completed"
        return "training job submitted" if workloads else "model reset"

    def next_report(self):
        """The training and its statistics, with 100 % when it has ended. None
        when there is no training."""
        with self.lock:
            if self.training is None:
                return None
            self.ticks += 1
            age = time.monotonic() - self.training.at
            # Each report differs, because the gateway does not store an equal one.
            accuracy = self.ticks / 1e6
            percentage = min(99, int(100 * age / TRAINING_TAKES))
            if age > TRAINING_TAKES or not self.training.train:
                percentage = 100
                # The status that it returns agrees with its next report.
                self.model = "completed"
            return self.training, {
                "timeElapsed": int(age), "percentageCompleted": percentage,
                "remainingTime": 100 - percentage,
                "currentEpoch": self.training.number,
                "modelAccuracy": accuracy, "stage": "train"}

    def reported(self, training, percentage, refused):
        """Records whether a gateway refused a report."""
        with self.lock:
            if self.training is not training:
                return
            self.refusals = self.refusals + 1 if refused else 0
            if percentage == 100 or self.refusals == MAX_REFUSALS:
                self.training = None

    # -- faults ---------------------------------------------------------------

    def kill(self):
        self.down.set()
        self.crashes += 1
        self.disconnect()

    def up(self):
        self.down.clear()
        self.paused.clear()

    def end(self):
        self.done.set()
        self.thread.join(10)
