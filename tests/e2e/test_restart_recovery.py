"""A training is the same after each restart and in each replica."""

import json
import signal
import threading
import time

from lifecycle import LifecycleTest, lasting
from support import WORKLOADS, E2eTest, eventually, free_port


class Restarts(LifecycleTest, E2eTest):
    """The gateway and the NATS server restart at each step of a job."""

    def setUp(self):
        super().setUp()
        self.listen = f"127.0.0.1:{free_port()}"
        self.nats = self.nats_server()
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

    def restart_nats_server(self):
        port = self.nats.port
        self.nats.kill()
        eventually(lambda: not self.under_test.is_ready(),
                   "the gateway is not ready", 10)
        self.nats = self.nats_server(port)
        eventually(self.under_test.is_ready, "the gateway becomes ready again")
        self.act_as_backend(self.nats)

    def check_after_restarts(self):
        """The job is the same after each kind of restart."""
        def training():
            # The training is not loaded immediately after a start.
            answer = self.under_test.get("/api/v1/training")
            return answer.status == 200 and lasting(answer.json)
        before = eventually(training, "the training is loaded")
        jobs = [lasting(x) for x in self.under_test.jobs()]
        for restart in (lambda: self.restart_gateway(signal.SIGTERM),
                        lambda: self.restart_gateway(signal.SIGKILL),
                        self.restart_nats_server):
            restart()
            eventually(lambda: training() == before, f"{before} is loaded again")
            self.assertEqual([lasting(x) for x in self.under_test.jobs()], jobs)
        eventually(lambda: self.under_test.training()["backend"]["reachable"],
                   "the backend is reachable again")
        return before

    def test_a_job_is_kept_at_each_step(self):
        self.check_after_restarts()
        job_id = self.under_test.submit(WORKLOADS).json["jobId"]
        job = self.check_after_restarts()
        self.assertEqual((job["id"], job["state"]), (job_id, "submitted"))

        self.assertEqual(self.report(self.under_test, 5).status, 200)
        job = self.check_after_restarts()
        self.assertEqual((job["state"], job["percentage"]),
                         ("fetching data", 5))

        self.assertEqual(self.report(self.under_test, 60).status, 200)
        job = self.check_after_restarts()
        self.assertEqual((job["state"], job["percentage"]), ("training", 60))

        self.assertEqual(self.report_completed(self.under_test).status, 200)
        self.wait_for_job(self.under_test, "completed")
        job = self.check_after_restarts()
        self.assertEqual(job["percentage"], 100)
        self.assertEqual(job["id"], job_id)
        self.assertEqual(self.under_test.get("/api/v1/watchlist").json["items"],
                         WORKLOADS)

    def test_the_last_100_jobs_are_kept(self):
        """A restart keeps them, in the same order: the newest first."""
        workloads = WORKLOADS[:1]
        ids = [self.under_test.submit(workloads, "?force=true").json["jobId"]
               for _ in range(105)]
        self.restart_gateway(signal.SIGTERM)
        jobs = self.under_test.jobs()
        self.assertEqual([x["id"] for x in jobs], ids[:-101:-1])
        self.assertEqual([x["number"] for x in jobs], list(range(105, 5, -1)))
        for job_id in ids[5], ids[104]:
            self.assertEqual(self.under_test.job(job_id)["workloads"],
                             workloads)
        path = "/api/v1/training/jobs"
        self.assertEqual(self.under_test.get(f"{path}/{ids[4]}").status, 404)
        page = self.under_test.get(f"{path}?limit=60").json
        self.assertEqual(page["total"], 100)
        rest = self.under_test.get(f"{path}?cursor={page['nextCursor']}").json
        self.assertIsNone(rest["nextCursor"])
        self.assertEqual(page["jobs"] + rest["jobs"], jobs)

    def test_progress_is_stored_while_jobs_are_listed(self):
        """20 clients list 100 jobs while the backend reports progress."""
        for _ in range(101):
            self.under_test.submit(WORKLOADS[:1], "?force=true")
        self.under_test.submit(WORKLOADS, "?force=true")
        self.restart_gateway(signal.SIGKILL)
        lists, stop = [], threading.Event()

        def list_jobs():
            while not stop.is_set():
                lists.append(self.under_test.get("/api/v1/training/jobs"))
        threads = [threading.Thread(target=list_jobs) for _ in range(20)]
        for thread in threads:
            thread.start()
        try:
            reports = [self.report(self.under_test, percentage).status
                       for percentage in range(1, 41)]
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(set(reports), {200})
        self.assertEqual({len(x.json["jobs"]) for x in lists
                          if x.status == 200}, {100})
        self.assertEqual({x.status for x in lists}, {200})


class RestartsWithKv(Restarts):
    protocol = "kv"


class TwoReplicas(LifecycleTest, E2eTest):
    def setUp(self):
        super().setUp()
        self.nats = self.nats_server()
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

    def test_show_the_same_training(self):
        one, two = self.replicas
        self.act_as_backend(self.nats)
        one.submit(WORKLOADS)
        for percentage in range(1, 60):
            gateway = self.replicas[percentage % 2]
            self.assertEqual(self.report(gateway, percentage).status, 200)
        job = self.assert_equal_views()
        self.assertEqual(job["percentage"], 59)
        self.assertEqual(two.status().json, one.status().json)
        self.assertEqual(two.cancel().status, 200)
        self.assertEqual(self.assert_equal_views()["state"], "cancelled")

    def test_accept_one_of_many_submissions(self):
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
        accepted = [x.json["jobId"] for x in answers if x.status == 200]
        self.assertEqual(len(accepted), 1, answers)
        self.assertEqual({x.status for x in answers}, {200, 409})
        job = self.assert_equal_views()
        self.assertEqual(job["id"], accepted[0])
        if self.kv:
            self.assertEqual(self.uuid, accepted[0])

    def test_store_progress_at_the_same_time(self):
        """No acknowledged report is lost, and later reports are accepted."""
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

    def test_send_events_of_the_other_replica(self):
        one, two = self.replicas
        backend = self.act_as_backend(self.nats)
        client = self.follow(two)
        self.assertEqual(client.content_type, "text/event-stream")
        # The stream begins with the current state.
        client.wait_for("backend", lambda x: x["reachable"],
                        "the backend is reachable")
        client.wait_for("training", lambda x: x["state"] == "none",
                        "there is no job")
        job_id = one.submit(WORKLOADS).json["jobId"]
        client.wait_for("training", lambda x: x["id"] == job_id,
                        "there is a job")
        client.wait_for("watchlist", lambda x: x["jobId"] == job_id
                        and x["added"] == WORKLOADS, "there is a watchlist")
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
                        "the backend is not reachable")

    def test_send_one_event_per_aggregation(self):
        clients = [self.follow(x, topics="aggregation") for x in self.replicas]
        for total in range(1, 5):
            self.feed_plain(1, "c9", "n", "d", nats=self.nats.url)
            for client in clients:
                client.wait_for("aggregation", lambda x: x["logCount"] == total,
                                f"{total} are counted")
        for client in clients:
            times = [x["aggregatedAt"] for x in client.of("aggregation")
                     if not x["stale"]]
            self.assertEqual(len(times), len(set(times)), times)

    def test_send_short_events_for_a_long_watchlist(self):
        """The size of a progress event does not depend on the watchlist."""
        one, two = self.replicas
        self.act_as_backend(self.nats)
        workloads = [{"clusterId": "cluster", "namespace": "namespace",
                      "deployment": f"deployment-{i:04}"} for i in range(2000)]
        client = self.follow(two, topics="training,watchlist")
        job_id = one.submit(workloads).json["jobId"]
        change = client.wait_for("watchlist", lambda x: x["jobId"] == job_id,
                                 "there is a watchlist")[2]
        self.assertEqual((change["workloadCount"], change["addedCount"],
                          len(change["added"]), change["truncated"]),
                         (2000, 2000, 100, True))
        for percentage in 10, 20:
            self.assertEqual(self.report(one, percentage).status, 200)
            event = client.wait_for(
                "training", lambda x: x["percentage"] == percentage,
                f"the training is at {percentage} %")[2]
            self.assertEqual(event["workloadCount"], 2000)
            self.assertLess(len(json.dumps(event)), 1024)
        self.assertEqual(two.get("/api/v1/watchlist").json["items"], workloads)
        self.assertEqual(two.job(job_id)["workloads"], workloads)
        removed = one.submit(workloads[:-3], "?force=true").json
        change = client.wait_for(
            "watchlist", lambda x: x["jobId"] == removed["jobId"],
            "there is another watchlist")[2]
        self.assertEqual((change["previousJobId"], change["added"],
                          change["removed"], change["truncated"]),
                         (job_id, [], workloads[-3:], False))
        self.assertEqual(len(client.of("watchlist")), 3)

    def test_continue_events_after_the_last_event_id(self):
        one = self.replicas[0]
        self.act_as_backend(self.nats)
        one.submit(WORKLOADS)
        first = self.follow(one, topics="training")
        # The last event before the first progress.
        first.wait_for("training", lambda x: x["response"],
                       "the job is accepted")
        last_id = first.events[-1][0]
        first.close()
        for percentage in 10, 20, 30:
            self.report(one, percentage)
        again = self.follow(one, last_id=last_id, topics="training")
        again.wait_for("training", lambda x: x["percentage"] == 30,
                       "the training is at 30 %")
        # The state of the backend may also change before the first progress.
        self.assertEqual([x["percentage"] for x in again.of("training")
                          if x["percentage"] > 0], [10, 20, 30])


class TwoReplicasWithKv(TwoReplicas):
    protocol = "kv"
