"""The life of a training, whatever happens to those who take part."""

import hashlib
import hmac
import http.server
import json
import signal
import threading
import time
import types

from event_client import EventClient
from nats_client import NatsClient
from support import WORKLOADS, E2eTest, eventually, free_port

ORDER = ["submitted", "fetching data", "training", "completed"]

# What an answer has that depends on when it was made.
MOMENTARY = {"elapsedSeconds", "remainingSeconds", "remainingIsEstimate",
             "backend"}


def lasting(overview):
    return {key: value for key, value in overview.items()
            if key not in MOMENTARY}


class LifecycleTest:
    """What these tests have in common."""

    def observe(self, gateway, until, patience=30):
        """Watches the job until it is in that state; answers all states and
        percentages in the order in which they were seen."""
        seen = []

        def look():
            job = gateway.training()
            entry = (job["state"], job["percentage"])
            if not seen or seen[-1] != entry:
                seen.append(entry)
            return job["state"] == until
        eventually(look, f"the job is {until}", patience)
        return seen

    def witness(self, broker):
        client = NatsClient(broker.port)
        self.addCleanup(client.close)
        return client

    def follow(self, gateway, **how):
        client = EventClient(gateway, **how)
        self.addCleanup(client.close)
        return client

    def act_as_backend(self, broker):
        """A backend whose progress only the test reports."""
        client = self.witness(broker)
        self.watchlist = getattr(self, "watchlist", {})
        self.uuid = getattr(self, "uuid", None)
        self.has_model = getattr(self, "has_model", False)
        # What stood in the store when the request came.
        self.stored_before = None
        reader = self.witness(broker)

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
        """Reports progress of the job; answers the answer."""
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


class Lifecycle(LifecycleTest, E2eTest):
    def setUp(self):
        super().setUp()
        self.nats = self.broker()

    def test_of_a_job(self):
        gateway = self.gateway("--status-poll-interval", "200ms",
                               nats=self.nats.url)
        self.backend(gateway, nats=self.nats.url)
        eventually(lambda: gateway.training()["backend"]["reachable"],
                   "the backend is found")
        job = gateway.training()
        self.assertEqual((job["state"], job["id"]), ("none", None))
        self.assertEqual(gateway.jobs(), [])
        self.assertEqual(gateway.get("/api/v1/watchlist").json,
                         {"jobId": None, "submittedAt": None, "items": []})

        answer = gateway.submit(list(reversed(WORKLOADS)))
        self.assertEqual(answer.status, 200, answer)
        job_id = answer.json["jobId"]
        self.assertEqual(answer.json["action"], "train")
        self.assertEqual(answer.json["added"], WORKLOADS)
        self.assertEqual(answer.json["removed"], [])
        seen = self.observe(gateway, "completed")
        places = [ORDER.index(state) for state, _ in seen]
        self.assertEqual(places, sorted(places))
        self.assertIn("training", [state for state, _ in seen])
        percentages = [percentage for _, percentage in seen]
        self.assertEqual(percentages, sorted(percentages))
        self.assertTrue(any(0 < x < 100 for x in percentages), seen)

        job = gateway.training()
        self.assertEqual(job["id"], job_id)
        self.assertEqual((job["percentage"], job["stage"]), (100, "train"))
        self.assertIsNone(job["remainingSeconds"])
        self.assertIsNotNone(job["endedAt"])
        self.assertEqual(job["response"], "training job submitted")
        self.assertEqual([x["id"] for x in gateway.jobs()], [job_id])
        watchlist = gateway.get("/api/v1/watchlist").json
        self.assertEqual(watchlist["jobId"], job_id)
        self.assertEqual(watchlist["items"], WORKLOADS)
        status = gateway.status().json
        self.assertEqual(status["status"], "completed")
        self.assertEqual(status["statistics"]["percentageCompleted"], "100")
        self.assertEqual(status["statistics"]["stage"], "train")

    def test_what_is_submitted_when(self):
        """By the store, and by whoever gets the request."""
        gateway = self.gateway(nats=self.nats.url)
        self.act_as_backend(self.nats)
        answer = gateway.submit(WORKLOADS)
        self.assertEqual(answer.status, 200, answer)
        as_map = {"c.1": {"shop": ["cart", "web.v2"]}, "c2": {"pay": ["ledger"]}}
        self.assertEqual(self.watchlist, as_map)
        if self.kv:
            self.assertEqual(self.uuid, answer.json["jobId"])
            self.assertEqual(self.stored_before,
                             {"uuid": self.uuid, "workloads": as_map})
            eye = self.witness(self.nats)
            self.report(gateway, 50)
            stored = eye.value("model-training-statistics",
                               "modelTrainingStatus")
            self.assertEqual(stored["status"], "training")
            self.assertEqual(int(stored["statistics"]["percentageCompleted"]),
                             50)
        self.report_completed(gateway)
        self.wait_for_status(gateway, "completed")
        self.assertEqual(gateway.submit([]).json["response"], "model reset")
        self.assertEqual(self.watchlist, {})
        if self.kv:
            # An empty watchlist has no `workloads` at all.
            self.assertEqual(set(self.stored_before), {"uuid"})

    def test_what_trains_nothing(self):
        gateway = self.gateway(nats=self.nats.url)
        self.backend(gateway, nats=self.nats.url, duration="300ms")
        gateway.submit(WORKLOADS)
        self.wait_for_job(gateway, "completed")
        for workloads, action in ((WORKLOADS, "none"), (WORKLOADS[:1], "update"),
                                  ([], "reset")):
            answer = gateway.submit(workloads)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json["action"], action)
            job = gateway.training()
            self.assertEqual((job["state"], job["action"]),
                             ("completed", action))
            status = gateway.status().json
            self.assertEqual(status["status"], self.idle_text
                             if action == "reset" else "completed")
            self.assertEqual(status["statistics"]["remainingTime"], "0")
            answer = gateway.get("/ModelTraining/model/training_parameters")
            self.assertEqual(answer.json, {"items": workloads})
        self.assertEqual([x["action"] for x in gateway.jobs()],
                         ["reset", "update", "none", "train"])

    def test_only_one_at_a_time(self):
        gateway = self.gateway(nats=self.nats.url)
        self.act_as_backend(self.nats)
        first = gateway.submit(WORKLOADS[:1]).json["jobId"]
        answer = gateway.submit(WORKLOADS, "?dryRun=true")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["action"], "train")
        self.assertEqual(answer.json["added"], WORKLOADS[1:])
        self.assertEqual(answer.json["running"]["id"], first)
        self.assertIsNone(answer.json["jobId"])

        answer = gateway.submit(WORKLOADS)
        self.assertEqual(answer.status, 409, answer)
        self.assertEqual(answer.json["job"]["id"], first)
        self.assertEqual(gateway.training()["id"], first)

        old = self.uuid
        answer = gateway.submit(WORKLOADS, "?force=true")
        self.assertEqual(answer.status, 200, answer)
        second = answer.json["jobId"]
        self.assertEqual([(x["id"], x["state"]) for x in gateway.jobs()],
                         [(second, "submitted"), (first, "superseded")])
        if self.kv:
            # What comes late of the first changes nothing of the second.
            self.assertEqual(self.report(gateway, 90, uuid=old).status, 409)
        self.assertEqual(gateway.training()["percentage"], 0)

    def test_a_dry_run_changes_nothing(self):
        gateway = self.gateway(nats=self.nats.url)
        self.act_as_backend(self.nats)
        for workloads, action in (WORKLOADS, "train"), ([], "reset"):
            answer = gateway.submit(workloads, "?dryRun=true")
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json["action"], action)
            self.assertTrue(answer.json["dryRun"])
            self.assertIsNone(answer.json["running"])
        self.assertEqual(gateway.jobs(), [])
        self.assertEqual(gateway.training()["state"], "none")
        self.assertEqual(self.watchlist, {})

    def test_what_nobody_takes_leaves_everything_as_it_was(self):
        gateway = self.gateway(nats=self.nats.url)
        backend = self.backend(gateway, nats=self.nats.url, duration="300ms")
        gateway.submit(WORKLOADS[:1])
        self.wait_for_job(gateway, "completed")
        before = gateway.get("/api/v1/watchlist").json
        backend.kill()
        answer = gateway.submit(WORKLOADS)
        self.assertEqual(answer.status, 503, answer)
        self.assertEqual(gateway.get("/api/v1/watchlist").json, before)
        job = gateway.training()
        self.assertEqual((job["id"], job["state"]),
                         (before["jobId"], "completed"))
        self.assertEqual([x["state"] for x in gateway.jobs()],
                         ["failed", "completed"])
        if self.kv:
            stored = self.witness(self.nats).value(
                "model-training-parameters", "modelTrainingParameters")
            self.assertEqual(stored["uuid"], before["jobId"])
            self.assertEqual(gateway.status().json["status"], "completed")

    def test_progress_by_nats(self):
        gateway = self.gateway(nats=self.nats.url)
        nowhere = types.SimpleNamespace(url="http://127.0.0.1:9")
        self.backend(nowhere, "--report-by", "nats", nats=self.nats.url)
        gateway.submit(WORKLOADS)
        seen = self.observe(gateway, "completed")
        self.assertTrue(any(0 < percentage < 100 for _, percentage in seen),
                        seen)


class LifecycleWithKv(Lifecycle):
    protocol = "kv"

    def test_a_backend_that_starts_late_finds_the_watchlist(self):
        """It reads the store when it starts, as the real one does."""
        gateway = self.gateway("--train-timeout", "1s", "--request-timeout",
                               "1s", nats=self.nats.url)
        mute = self.backend(gateway, "--misbehave", "silent",
                            nats=self.nats.url)
        answer = gateway.submit(WORKLOADS)
        self.assertEqual(answer.status, 504, answer)
        mute.kill()
        self.assertEqual(self.wait_for_job(gateway, "submitted")["workloads"],
                         WORKLOADS)
        self.backend(gateway, nats=self.nats.url, duration="500ms")
        self.wait_for_job(gateway, "completed")

    def test_parameters_of_an_older_version(self):
        eye = self.witness(self.nats)
        gateway = self.gateway(nats=self.nats.url)
        self.act_as_backend(self.nats)
        gateway.submit(WORKLOADS[:1])
        self.report_completed(gateway)
        eye.publish("$KV.model-training-parameters.modelTrainingParameters",
                    json.dumps({"c9": {"n": ["d"]}}).encode())
        old = [{"clusterId": "c9", "namespace": "n", "deployment": "d"}]
        eventually(lambda: gateway.get(
            "/ModelTraining/model/training_parameters").json == {"items": old},
            "the bare map is read")


class BadManners(LifecycleTest, E2eTest):
    """The backend misbehaves."""

    def start_with(self, *manners, stall_after="10m", duration="2s"):
        self.nats = self.broker()
        self.under_test = self.gateway(
            "--training-stall-after", stall_after, "--status-poll-interval",
            "200ms", nats=self.nats.url)
        self.manners = list(manners)
        self.duration = duration
        self.misbehaving = self.start_backend(manners)
        answer = self.under_test.submit(WORKLOADS)
        self.assertEqual(answer.status, 200, answer)
        return answer.json["jobId"]

    def start_backend(self, manners=()):
        options = ["--misbehave", ",".join(manners)] if manners else []
        return self.backend(self.under_test, "--slow-by", "400ms", *options,
                            nats=self.nats.url, duration=self.duration)

    def completes(self, job_id):
        seen = self.observe(self.under_test, "completed")
        job = self.under_test.training()
        self.assertEqual((job["id"], job["percentage"]), (job_id, 100))
        self.assertEqual(len(self.under_test.jobs()), 1)
        self.wait_for_status(self.under_test, "completed")
        return [percentage for _, percentage in seen]

    def test_repeats_itself(self):
        percentages = self.completes(self.start_with("repeat"))
        self.assertEqual(percentages, sorted(percentages))

    def test_goes_backwards(self):
        self.completes(self.start_with("backwards"))

    def test_is_late(self):
        self.completes(self.start_with("late"))

    def test_speaks_of_an_older_job(self):
        job_id = self.start_with("older-job")
        percentages = self.completes(job_id)
        self.assertEqual(percentages, sorted(percentages))
        self.misbehaving.wait_for("was refused a report")
        # Of the first, while the second runs.
        answer = self.under_test.submit(
            [*WORKLOADS, {"clusterId": "c9", "namespace": "n",
                          "deployment": "d"}])
        percentages = [x for _, x in self.observe(self.under_test, "completed")]
        self.assertEqual(percentages, sorted(percentages))
        self.assertEqual(self.under_test.training()["id"],
                         answer.json["jobId"])

    def test_leaves_out_the_statistics(self):
        self.completes(self.start_with("null-statistics"))

    def test_writes_numbers_as_strings(self):
        percentages = self.completes(self.start_with("strings"))
        self.assertTrue(any(0 < x < 100 for x in percentages), percentages)

    def test_has_many_bad_manners(self):
        self.completes(self.start_with("repeat", "backwards", "late",
                                       "older-job", "strings"))

    def test_loses_the_completion(self):
        job_id = self.start_with("lose-completion", stall_after="1s")
        if not self.kv:
            # It is asked, and says so.
            return self.completes(job_id)
        job = self.wait_for_job(self.under_test, "stalled")
        self.assertTrue(job["stalled"])
        self.assertTrue(job["reason"])
        self.wait_for_status(self.under_test, "training failed")

    def test_dies_and_comes_back(self):
        job_id = self.start_with("die", stall_after="1s", duration="4s")
        self.assertEqual(self.misbehaving.wait(), 1)
        job = self.wait_for_job(self.under_test, "stalled")
        self.assertEqual(job["id"], job_id)
        self.assertIn("no word", job["reason"])
        self.assertGreater(job["percentage"], 30)
        # The old dashboard unlocks.
        status = self.wait_for_status(self.under_test, "training failed")
        self.assertGreater(int(status["statistics"]["percentageCompleted"]), 30)
        self.start_backend()
        self.assertEqual(self.observe(self.under_test, "completed")[-1],
                         ("completed", 100))
        job = self.under_test.training()
        self.assertEqual((job["id"], job["stalled"], job["reason"]),
                         (job_id, False, ""))

    def test_dies_for_good(self):
        """Nothing is locked: another submission needs no force."""
        self.start_with("die", stall_after="1s")
        self.misbehaving.wait()
        self.wait_for_job(self.under_test, "stalled")
        self.act_as_backend(self.nats)
        answer = self.under_test.submit([{"clusterId": "c9", "namespace": "n",
                                          "deployment": "d"}])
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual([x["state"] for x in self.under_test.jobs()],
                         ["submitted", "superseded"])
        self.report_completed(self.under_test)
        self.wait_for_status(self.under_test, "completed")

    def test_given_up_while_it_is_down(self):
        self.start_with("die")
        self.misbehaving.wait()
        for _ in range(3):
            answer = self.under_test.give_up()
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json["state"], "cancelled")
            self.assertEqual(answer.json["modelStatus"], self.idle_text)
        self.assertEqual(len(self.under_test.jobs()), 1)
        self.wait_for_status(self.under_test, self.idle_text)
        if self.kv:
            eye = self.witness(self.nats)
            for bucket, key in (
                    ("model-training-parameters", "modelTrainingParameters"),
                    ("model-training-statistics", "modelTrainingStatus")):
                self.assertIsNone(eye.value(bucket, key), bucket)
        # Late words do not bring it back.
        job_id = self.under_test.training()["id"]
        self.uuid = job_id
        self.assertEqual(self.report(self.under_test, 60).status, 409)
        self.assertEqual(self.under_test.training()["state"], "cancelled")

        (self.directory / "training_sim.json").unlink()
        self.start_backend()
        self.assertEqual(self.under_test.submit(WORKLOADS).status, 200)
        self.wait_for_job(self.under_test, "completed")


class BadMannersWithKv(BadManners):
    protocol = "kv"


class Restarts(LifecycleTest, E2eTest):
    """The gateway and the broker start again at every step of a job."""

    def setUp(self):
        super().setUp()
        self.listen = f"127.0.0.1:{free_port()}"
        self.nats = self.broker()
        self.start_gateway()
        self.act_as_backend(self.nats)

    def start_gateway(self):
        self.under_test = self.gateway("--status-poll-interval", "200ms",
                                       listen=self.listen, nats=self.nats.url)
        eventually(self.under_test.is_ready, "the gateway becomes ready")

    def restart_gateway(self, how):
        if how == signal.SIGTERM:
            self.assertEqual(self.under_test.stop(), 0)
        else:
            self.under_test.kill()
        self.start_gateway()

    def restart_broker(self):
        port = self.nats.port
        self.nats.kill()
        eventually(lambda: not self.under_test.is_ready(),
                   "the gateway notices", 10)
        self.nats = self.broker(port)
        eventually(self.under_test.is_ready, "the gateway becomes ready again")
        self.act_as_backend(self.nats)

    def check_everywhere(self):
        """The job is found again, whatever starts anew."""
        def found():
            # Right after the start it is not loaded yet.
            answer = self.under_test.get("/api/v1/training")
            return answer.status == 200 and lasting(answer.json)
        before = eventually(found, "the training is loaded")
        jobs = [lasting(x) for x in self.under_test.jobs()]
        for restart in (lambda: self.restart_gateway(signal.SIGTERM),
                        lambda: self.restart_gateway(signal.SIGKILL),
                        self.restart_broker):
            restart()
            eventually(lambda: found() == before, f"{before} is found again")
            self.assertEqual([lasting(x) for x in self.under_test.jobs()], jobs)
        eventually(lambda: self.under_test.training()["backend"]["reachable"],
                   "the backend is found again")
        return before

    def test_at_every_step(self):
        self.check_everywhere()
        job_id = self.under_test.submit(WORKLOADS).json["jobId"]
        job = self.check_everywhere()
        self.assertEqual((job["id"], job["state"]), (job_id, "submitted"))

        self.assertEqual(self.report(self.under_test, 5).status, 200)
        job = self.check_everywhere()
        self.assertEqual((job["state"], job["percentage"]),
                         ("fetching data", 5))

        self.assertEqual(self.report(self.under_test, 60).status, 200)
        job = self.check_everywhere()
        self.assertEqual((job["state"], job["percentage"]), ("training", 60))

        self.assertEqual(self.report_completed(self.under_test).status, 200)
        self.wait_for_job(self.under_test, "completed")
        job = self.check_everywhere()
        self.assertEqual(job["percentage"], 100)
        self.assertEqual(job["id"], job_id)
        self.assertEqual(self.under_test.get("/api/v1/watchlist").json["items"],
                         WORKLOADS)

    def test_many_jobs(self):
        """The last 100 are kept over restarts, the newest first."""
        workloads = WORKLOADS[:1]
        ids = [self.under_test.submit(workloads, "?force=true").json["jobId"]
               for _ in range(105)]
        self.restart_gateway(signal.SIGTERM)
        jobs = self.under_test.jobs()
        self.assertEqual([x["id"] for x in jobs], ids[:-101:-1])
        self.assertEqual([x["number"] for x in jobs], list(range(105, 5, -1)))


class RestartsWithKv(Restarts):
    protocol = "kv"


class TwoReplicas(LifecycleTest, E2eTest):
    def setUp(self):
        super().setUp()
        self.nats = self.broker()
        self.gpus = self.directory / "gpus.json"
        self.gpus.write_text('[{"name":"nvidia.com/gpu","capacity":"2",'
                             '"allocatable":"2"}]')
        self.replicas = [
            self.gateway("--status-poll-interval", "200ms", "--gpu-source",
                         f"file:{self.gpus}", nats=self.nats.url,
                         state=f"state{i}") for i in range(2)]
        for gateway in self.replicas:
            eventually(gateway.is_ready, "the gateway becomes ready")

    def assert_equal_views(self):
        def views():
            overviews = [lasting(x.training()) for x in self.replicas]
            jobs = [[lasting(job) for job in x.jobs()] for x in self.replicas]
            return (overviews[0] == overviews[1] and jobs[0] == jobs[1]
                    and overviews[0])
        return eventually(views, "both replicas show the same")

    def test_end_equal(self):
        one, two = self.replicas
        self.act_as_backend(self.nats)
        one.submit(WORKLOADS)
        for percentage in range(1, 60):
            gateway = self.replicas[percentage % 2]
            self.assertEqual(self.report(gateway, percentage).status, 200)
        job = self.assert_equal_views()
        self.assertEqual(job["percentage"], 59)
        self.assertEqual(two.status().json, one.status().json)
        self.assertEqual(two.give_up().status, 200)
        self.assertEqual(self.assert_equal_views()["state"], "cancelled")

    def test_of_many_submissions_one_wins(self):
        self.act_as_backend(self.nats)
        answers = []

        def submit(i):
            answers.append(self.replicas[i % 2].submit(
                [*WORKLOADS, {"clusterId": f"c{i}", "namespace": "n",
                              "deployment": "d"}]))
        threads = [threading.Thread(target=submit, args=(i,))
                   for i in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = [x.json["jobId"] for x in answers if x.status == 200]
        self.assertEqual(len(taken), 1, answers)
        self.assertEqual({x.status for x in answers}, {200, 409})
        job = self.assert_equal_views()
        self.assertEqual(job["id"], taken[0])
        if self.kv:
            self.assertEqual(self.uuid, taken[0])

    def test_progress_at_the_same_time(self):
        """Nothing that was acknowledged is lost, and nothing is locked."""
        self.act_as_backend(self.nats)
        self.replicas[0].submit(WORKLOADS)
        stored = []

        def drive(gateway, first):
            for percentage in range(first, 80, 2):
                if self.report(gateway, percentage).status == 200:
                    stored.append(percentage)
        threads = [threading.Thread(target=drive, args=(gateway, i + 1))
                   for i, gateway in enumerate(self.replicas)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        job = self.assert_equal_views()
        self.assertIn(job["percentage"], stored)
        self.assertEqual(self.report(self.replicas[1], 90).status, 200)
        self.assertEqual(self.assert_equal_views()["percentage"], 90)

    def test_events_of_the_other_replica(self):
        one, two = self.replicas
        backend = self.act_as_backend(self.nats)
        client = self.follow(two)
        self.assertEqual(client.content_type, "text/event-stream")
        # How everything stands, to begin with.
        client.wait_for("backend", lambda x: x["reachable"],
                        "the backend is there")
        client.wait_for("training", lambda x: x["state"] == "none",
                        "there is no job")
        job_id = one.submit(WORKLOADS).json["jobId"]
        client.wait_for("training", lambda x: x["id"] == job_id,
                        "there is a job")
        client.wait_for("watchlist", lambda x: x["jobId"] == job_id
                        and x["items"] == WORKLOADS, "there is a watchlist")
        for percentage in range(10, 60, 10):
            begin = time.monotonic()
            self.assertEqual(self.report(one, percentage).status, 200)
            when = client.wait_for(
                "training", lambda x: x["percentage"] == percentage,
                f"the training is at {percentage} %")[3]
            self.assertLess(when - begin, 2)
        percentages = [x["percentage"] for x in client.of("training")]
        self.assertEqual(percentages, sorted(percentages))

        self.feed_plain(3, "c9", "n", "d", nats=self.nats.url)
        client.wait_for(
            "aggregation", lambda x: (x["clusters"], x["logCount"]) == (1, 3),
            "the logs are counted")

        two.get("/ModelTraining/gpu_info")
        client.wait_for("gpu", lambda x: x["usable"], "there are GPUs")
        self.gpus.write_text("[]")
        two.get("/ModelTraining/gpu_info")
        client.wait_for("gpu", lambda x: not x["usable"],
                        "the GPUs are gone")

        backend.close()
        client.wait_for("backend", lambda x: not x["reachable"],
                        "the backend is gone")

    def test_events_from_where_one_was(self):
        one = self.replicas[0]
        self.act_as_backend(self.nats)
        one.submit(WORKLOADS)
        first = self.follow(one, topics="training")
        first.wait_for("training", lambda x: x["state"] == "submitted",
                       "there is a job")
        last_id = first.events[-1][0]
        first.close()
        for percentage in 10, 20, 30:
            self.report(one, percentage)
        again = self.follow(one, last_id=last_id, topics="training")
        again.wait_for("training", lambda x: x["percentage"] == 30,
                       "the training is at 30 %")
        self.assertEqual([x["percentage"] for x in again.of("training")],
                         [10, 20, 30])


class TwoReplicasWithKv(TwoReplicas):
    protocol = "kv"


class Receiver(http.server.ThreadingHTTPServer):
    """Takes reports, after it refused some."""

    def __init__(self, refuse):
        self.refuse = refuse
        self.reports = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/finished"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.reports.append((self.path, dict(self.headers), body))
        refused = len(self.server.reports) <= self.server.refuse
        self.send_response(500 if refused else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Hooks(LifecycleTest, E2eTest):
    """Who is told of the end of a training."""

    def setUp(self):
        super().setUp()
        self.nats = self.broker()
        self.secret = self.directory / "secret"
        self.secret.write_text("the key\n")
        self.heard = []
        self.witness(self.nats).subscribe(
            "aiops.training.finished",
            lambda _, __, ___, data: self.heard.append(json.loads(data)))

    def receiver(self, refuse=0):
        server = Receiver(refuse)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def replica(self, receiver, state="state"):
        gateway = self.gateway(
            "--training-webhook", receiver.url, "--training-webhook-secret-file",
            self.secret, "--aggregation-lease", "2s", nats=self.nats.url,
            state=state)
        eventually(gateway.is_ready, "the gateway becomes ready")
        return gateway

    def finish_one(self, gateway):
        self.finished = getattr(self, "finished", 0) + 1
        answer = gateway.submit(
            [{"clusterId": f"c{self.finished}", "namespace": "n",
              "deployment": "d"}])
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.report(gateway, 50).status, 200)
        if self.kv:
            self.report_completed(gateway)
        else:
            self.assertEqual(gateway.give_up().status, 200)
        return answer.json["jobId"]

    def test_are_told_signed_and_again_until_they_take_it(self):
        receiver = self.receiver(refuse=2)
        gateway = self.replica(receiver)
        self.act_as_backend(self.nats)
        begin = time.monotonic()
        job_id = self.finish_one(gateway)
        # It holds up nobody meanwhile.
        self.assertEqual(gateway.status().status, 200)
        eventually(lambda: len(receiver.reports) == 3, "the report is taken")
        self.assertGreater(time.monotonic() - begin, 2)
        for path, headers, body in receiver.reports:
            self.assertEqual(path, "/finished")
            digest = hmac.new(b"the key", body, hashlib.sha256).hexdigest()
            self.assertEqual(headers["X-Hub-Signature-256"],
                             f"sha256={digest}")
            self.assertEqual(json.loads(body)["id"], job_id)
            self.assertEqual(headers["X-Aiops-Delivery"], job_id)
        job = json.loads(receiver.reports[0][2])
        self.assertEqual(job["state"], "completed" if self.kv else "cancelled")
        self.assertEqual([x["id"] for x in self.heard], [job_id])
        self.assertEqual(self.heard[0], job)

    def test_are_told_in_order_and_once_by_all_replicas(self):
        receiver = self.receiver()
        replicas = [self.replica(receiver, f"state{i}") for i in range(2)]
        self.act_as_backend(self.nats)
        ids = [self.finish_one(replicas[i % 2]) for i in range(4)]
        eventually(lambda: len(receiver.reports) == 4, "all are reported")
        # Whoever goes on repeats nothing.
        replicas[0].kill()
        ids.append(self.finish_one(replicas[1]))
        eventually(lambda: len(receiver.reports) == 5, "the last is reported")
        eventually(lambda: len(self.heard) == 5, "NATS has them too")
        self.assertEqual([json.loads(x[2])["id"] for x in receiver.reports],
                         ids)
        self.assertEqual([x["id"] for x in self.heard], ids)

    def test_hear_of_what_ended_while_nobody_could_tell(self):
        receiver = self.receiver(refuse=1_000_000)
        gateway = self.replica(receiver)
        self.act_as_backend(self.nats)
        first = self.finish_one(gateway)
        second = self.finish_one(gateway)
        eventually(lambda: receiver.reports, "it was tried")
        gateway.kill()
        receiver.refuse = 0
        count = len(receiver.reports)
        self.replica(receiver)
        eventually(lambda: len(receiver.reports) >= count + 2,
                   "both are reported")
        self.assertEqual([json.loads(x[2])["id"]
                          for x in receiver.reports[count:]], [first, second])


class HooksWithKv(Hooks):
    protocol = "kv"
