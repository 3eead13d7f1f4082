"""Trainings with a faulty backend."""

from lifecycle import LifecycleTest
from support import WORKLOADS, E2eTest


class FaultyBackend(LifecycleTest, E2eTest):
    """Each test has a backend with other faults."""

    def start_with(self, *faults, stall_after="10m", duration="2s"):
        self.nats = self.nats_server()
        self.under_test = self.ready_gateway(
            "--training-stall-after", stall_after, "--status-poll-interval",
            "200ms", nats=self.nats.url)
        self.duration = duration
        self.faulty_backend = self.start_backend(faults)
        answer = self.under_test.submit(WORKLOADS)
        self.assertEqual(answer.status, 200, answer)
        return answer.json["jobId"]

    def start_backend(self, faults=()):
        options = ["--misbehave", ",".join(faults)] if faults else []
        return self.backend(self.under_test, "--slow-by", "400ms", *options,
                            nats=self.nats.url, duration=self.duration)

    def completes(self, job_id):
        seen = self.observe(self.under_test, "completed")
        job = self.under_test.training()
        self.assertEqual((job["id"], job["percentage"]), (job_id, 100))
        self.assertEqual(len(self.under_test.jobs()), 1)
        self.wait_for_status(self.under_test, "completed")
        return [percentage for _, percentage in seen]

    def test_repeats_reports(self):
        percentages = self.completes(self.start_with("repeat"))
        self.assertEqual(percentages, sorted(percentages))

    def test_reports_decreasing_progress(self):
        self.completes(self.start_with("backwards"))

    def test_reports_late(self):
        self.completes(self.start_with("late"))

    def test_reports_an_older_job(self):
        job_id = self.start_with("older-job")
        percentages = self.completes(job_id)
        self.assertEqual(percentages, sorted(percentages))
        self.faulty_backend.wait_for("was refused a report")
        # Now it reports the first job while the second one runs.
        answer = self.under_test.submit(
            [*WORKLOADS, {"clusterId": "c9", "namespace": "n",
                          "deployment": "d"}])
        percentages = [x for _, x in self.observe(self.under_test, "completed")]
        self.assertEqual(percentages, sorted(percentages))
        self.assertEqual(self.under_test.training()["id"],
                         answer.json["jobId"])

    def test_omits_the_statistics(self):
        self.completes(self.start_with("null-statistics"))

    def test_writes_numbers_as_strings(self):
        percentages = self.completes(self.start_with("strings"))
        self.assertTrue(any(0 < x < 100 for x in percentages), percentages)

    def test_has_many_faults_at_once(self):
        self.completes(self.start_with("repeat", "backwards", "late",
                                       "older-job", "strings"))

    def test_does_not_report_the_completion(self):
        job_id = self.start_with("lose-completion", stall_after="1s")
        if not self.kv:
            # The gateway asks for the model's status and finds it completed.
            self.completes(job_id)
            return
        job = self.wait_for_job(self.under_test, "stalled")
        self.assertTrue(job["stalled"])
        self.assertTrue(job["reason"])
        self.wait_for_status(self.under_test, "training failed")

    def test_crashes_and_restarts(self):
        job_id = self.start_with("die", stall_after="1s", duration="4s")
        self.assertEqual(self.faulty_backend.wait(), 1)
        job = self.wait_for_job(self.under_test, "stalled")
        self.assertEqual(job["id"], job_id)
        self.assertIn("has not reported", job["reason"])
        self.assertGreater(job["percentage"], 30)
        # The dashboard of Opni allows another submission then.
        status = self.wait_for_status(self.under_test, "training failed")
        self.assertGreater(int(status["statistics"]["percentageCompleted"]), 30)
        self.start_backend()
        self.assertEqual(self.observe(self.under_test, "completed")[-1],
                         ("completed", 100))
        job = self.under_test.training()
        self.assertEqual((job["id"], job["stalled"], job["reason"]),
                         (job_id, False, ""))

    def test_crashes_permanently(self):
        """Another submission is accepted without `force`."""
        self.start_with("die", stall_after="1s")
        self.faulty_backend.wait()
        self.wait_for_job(self.under_test, "stalled")
        self.act_as_backend(self.nats)
        answer = self.under_test.submit([{"clusterId": "c9", "namespace": "n",
                                          "deployment": "d"}])
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual([x["state"] for x in self.under_test.jobs()],
                         ["submitted", "superseded"])
        self.report_completed(self.under_test)
        self.wait_for_status(self.under_test, "completed")

    def test_training_is_cancelled_while_it_is_down(self):
        self.start_with("die")
        self.faulty_backend.wait()
        for _ in range(3):
            answer = self.under_test.cancel()
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json["state"], "cancelled")
            self.assertEqual(answer.json["modelStatus"], self.idle_text)
        self.assertEqual(len(self.under_test.jobs()), 1)
        self.wait_for_status(self.under_test, self.idle_text)
        if self.kv:
            client = self.nats_client(self.nats)
            for bucket, key in (
                    ("model-training-parameters", "modelTrainingParameters"),
                    ("model-training-statistics", "modelTrainingStatus")):
                self.assertIsNone(client.value(bucket, key), bucket)
        # A late report does not change a cancelled job.
        job_id = self.under_test.training()["id"]
        self.uuid = job_id
        self.assertEqual(self.report(self.under_test, 60).status, 409)
        self.assertEqual(self.under_test.training()["state"], "cancelled")

        (self.directory / "training_sim.json").unlink()
        self.start_backend()
        self.assertEqual(self.under_test.submit(WORKLOADS).status, 200)
        self.wait_for_job(self.under_test, "completed")


class FaultyBackendWithKv(FaultyBackend):
    protocol = "kv"
