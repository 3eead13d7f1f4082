"""Trainings from their submission to their end."""

import concurrent.futures
import json
import types

from lifecycle import LifecycleTest
from support import WORKLOADS, E2eTest, eventually


ORDER = ["submitted", "fetching data", "training", "completed"]


class Lifecycle(LifecycleTest, E2eTest):
    def setUp(self):
        super().setUp()
        self.nats = self.nats_server()

    def test_a_job_passes_through_all_states(self):
        gateway = self.ready_gateway("--status-poll-interval", "200ms",
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

    def test_a_submission_reaches_the_store_and_the_backend(self):
        """The store has the watchlist before the backend receives it."""
        gateway = self.ready_gateway(nats=self.nats.url)
        self.act_as_backend(self.nats)
        answer = gateway.submit(WORKLOADS)
        self.assertEqual(answer.status, 200, answer)
        as_map = {"c.1": {"shop": ["cart", "web.v2"]}, "c2": {"pay": ["ledger"]}}
        self.assertEqual(self.watchlist, as_map)
        if self.kv:
            self.assertEqual(self.uuid, answer.json["jobId"])
            self.assertEqual(self.stored_before,
                             {"uuid": self.uuid, "workloads": as_map})
            client = self.nats_client(self.nats)
            self.report(gateway, 50)
            stored = client.value("model-training-statistics",
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

    def test_submissions_that_train_nothing(self):
        gateway = self.ready_gateway(nats=self.nats.url)
        self.backend(gateway, nats=self.nats.url, duration="300ms")
        gateway.submit(WORKLOADS)
        self.wait_for_job(gateway, "completed")
        for workloads, action in ((WORKLOADS, "none"), (WORKLOADS[:1], "update"),
                                  ([], "reset")):
            answer = gateway.submit(workloads)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json["action"], action)
            job = gateway.jobs()[0]
            self.assertEqual((job["state"], job["action"]),
                             ("completed", action))
            self.assertEqual(gateway.get("/api/v1/watchlist").json["jobId"],
                             job["id"])
            # The training shown is still the last job that trained.
            self.assertEqual(gateway.training()["action"], "train")
            status = gateway.status().json
            self.assertEqual(status["status"], self.idle_text
                             if action == "reset" else "completed")
            self.assertEqual(status["statistics"]["remainingTime"], "0")
            answer = gateway.get("/ModelTraining/model/training_parameters")
            self.assertEqual(answer.json, {"items": workloads})
        self.assertEqual([x["action"] for x in gateway.jobs()],
                         ["reset", "update", "none", "train"])

    def test_a_second_training_needs_force(self):
        gateway = self.ready_gateway(nats=self.nats.url)
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
            # A late report of the first job does not change the second.
            self.assertEqual(self.report(gateway, 90, uuid=old).status, 409)
        self.assertEqual(gateway.training()["percentage"], 0)

    def test_a_dry_run_changes_nothing(self):
        gateway = self.ready_gateway(nats=self.nats.url)
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

    def test_a_submission_without_backend_changes_nothing(self):
        # With kv, the gateway waits: a backend may start meanwhile.
        gateway = self.ready_gateway("--train-timeout", "3s",
                                     nats=self.nats.url)
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
            stored = self.nats_client(self.nats).value(
                "model-training-parameters", "modelTrainingParameters")
            self.assertEqual(stored["uuid"], before["jobId"])
            self.assertEqual(gateway.status().json["status"], "completed")

    def test_progress_is_reported_on_nats(self):
        gateway = self.ready_gateway(nats=self.nats.url)
        nowhere = types.SimpleNamespace(url="http://127.0.0.1:9")
        self.backend(nowhere, "--report-by", "nats", nats=self.nats.url)
        gateway.submit(WORKLOADS)
        seen = self.observe(gateway, "completed")
        self.assertTrue(any(0 < percentage < 100 for _, percentage in seen),
                        seen)


class LifecycleWithKv(Lifecycle):
    protocol = "kv"

    def test_a_backend_that_starts_later_finds_the_watchlist(self):
        """The simulator reads the store when it starts, as the backend of Opni
        does."""
        gateway = self.ready_gateway(
            "--train-timeout", "1s", "--request-timeout", "1s",
            nats=self.nats.url)
        silent = self.backend(gateway, "--misbehave", "silent",
                            nats=self.nats.url)
        answer = gateway.submit(WORKLOADS)
        self.assertEqual(answer.status, 504, answer)
        silent.kill()
        job_id = self.wait_for_job(gateway, "submitted")["id"]
        self.assertEqual(gateway.job(job_id)["workloads"], WORKLOADS)
        self.backend(gateway, nats=self.nats.url, duration="500ms")
        self.wait_for_job(gateway, "completed")

    def test_a_submission_waits_for_a_backend_that_starts(self):
        gateway = self.ready_gateway(nats=self.nats.url)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answer = pool.submit(gateway.submit, WORKLOADS)
            self.wait_for_job(gateway, "submitted")
            self.backend(gateway, nats=self.nats.url, duration="500ms")
            self.assertEqual(answer.result().status, 200)
        self.wait_for_job(gateway, "completed")

    def test_parameters_of_an_older_version_are_read(self):
        client = self.nats_client(self.nats)
        gateway = self.ready_gateway(nats=self.nats.url)
        self.act_as_backend(self.nats)
        gateway.submit(WORKLOADS[:1])
        self.report_completed(gateway)
        client.publish("$KV.model-training-parameters.modelTrainingParameters",
                       json.dumps({"c9": {"n": ["d"]}}).encode())
        old = [{"clusterId": "c9", "namespace": "n", "deployment": "d"}]
        eventually(lambda: gateway.get(
            "/ModelTraining/model/training_parameters").json == {"items": old},
            "the bare map is read")
