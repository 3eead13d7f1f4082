"""Helpers shared by the tests of trainings."""

import json

from event_client import EventClient
from nats_client import NatsClient
from support import eventually

# The members of an answer that depend on the time of the request.
MOMENTARY = {"elapsedSeconds", "remainingSeconds", "remainingIsEstimate",
             "backend"}


def lasting(overview):
    return {key: value for key, value in overview.items()
            if key not in MOMENTARY}


class LifecycleTest:
    """Helpers shared by these tests."""

    def observe(self, gateway, until, patience=30):
        """Watches the job until it is in the state `until`; returns all states
        and percentages in the order in which they were seen."""
        seen = []

        def check():
            job = gateway.training()
            entry = (job["state"], job["percentage"])
            if not seen or seen[-1] != entry:
                seen.append(entry)
            return job["state"] == until
        eventually(check, f"the job is {until}", patience)
        return seen

    def nats_client(self, nats):
        client = NatsClient(nats.port)
        self.addCleanup(client.close)
        return client

    def follow(self, gateway, **how):
        client = EventClient(gateway, **how)
        self.addCleanup(client.close)
        return client

    def act_as_backend(self, nats):
        """Answers requests as a backend does. Only the test reports progress."""
        client = self.nats_client(nats)
        self.watchlist = getattr(self, "watchlist", {})
        self.uuid = getattr(self, "uuid", None)
        self.has_model = getattr(self, "has_model", False)
        # What the store contained when the request came.
        self.stored_before = None
        reader = self.nats_client(nats)

        def train(data):
            request = json.loads(data)
            workloads = request
            if self.kv:
                self.stored_before = reader.value(
                    "model-training-parameters", "modelTrainingParameters")
                self.uuid = request["uuid"]
                workloads = request.get("workloads", {})
            self.watchlist = workloads
            self.has_model = False
            return "training job submitted" if workloads else "model reset"
        client.serve("train_model", train)
        client.serve("gpu_service_running", lambda _: "running")
        if not self.kv:
            client.serve("model_status", lambda _: "not started" if not
                         self.watchlist else "completed" if self.has_model else
                         "training")
            client.serve("workload_parameters",
                         lambda _: json.dumps(self.watchlist))
        client.flush()
        return client

    def report(self, gateway, percentage, **how):
        """Reports progress of the job; returns the gateway's answer."""
        statistics = {"percentageCompleted": percentage,
                      "timeElapsed": 1, "remainingTime": 100 - percentage,
                      "currentEpoch": percentage // 20, "modelAccuracy": 0.5,
                      "stage": "fetching data" if percentage < 10 else "train"}
        if not self.kv:
            return gateway.put_progress(statistics)
        return gateway.put_progress(
            {"status": "training", "statistics": statistics, "uuid": self.uuid,
             **how}, kv=True)

    def report_completed(self, gateway):
        self.has_model = True
        if not self.kv:
            return self.report(gateway, 100)
        return gateway.put_progress({"status": "completed", "statistics": None,
                                     "uuid": self.uuid}, kv=True)
