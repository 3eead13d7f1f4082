"""Trainings by the compatibility API, and the demo."""

from support import WORKLOADS, E2eTest, children, eventually, free_port


class Training(E2eTest):
    def test_from_submission_to_completion(self):
        nats = self.nats_server()
        gateway = self.ready_gateway(nats=nats.url)
        self.backend(gateway, nats=nats.url)
        self.assertEqual(gateway.status().json["status"], self.idle_text)

        answer = gateway.train(list(reversed(WORKLOADS)))
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json, {"response": "training job submitted"})

        seen = []

        def completed():
            answer = gateway.status()
            self.assertEqual(answer.status, 200, answer)
            statistics = answer.json["statistics"]
            seen.append(int(statistics["percentageCompleted"]))
            return answer.json["status"] == "completed" and statistics
        statistics = eventually(completed, "the training completes")
        self.assertEqual(seen, sorted(seen))
        self.assertTrue(any(0 < percentage < 100 for percentage in seen), seen)
        self.assertEqual(seen[-1], 100)
        self.assertEqual(statistics["remainingTime"], "0")
        self.assertEqual(statistics["stage"], "train")

        for prefix in "/ModelTraining", "/opni-api/ModelTraining":
            answer = gateway.get(prefix + "/model/training_parameters")
            self.assertEqual(answer.json, {"items": WORKLOADS})

    def test_removals_and_a_reset_train_nothing(self):
        nats = self.nats_server()
        gateway = self.ready_gateway(nats=nats.url)
        self.backend(gateway, nats=nats.url, duration="300ms")
        gateway.train(WORKLOADS)
        self.wait_for_status(gateway, "completed")

        self.assertEqual(gateway.train(WORKLOADS[:1]).status, 200)
        status = gateway.status().json
        self.assertEqual(status["status"], "completed")
        self.assertEqual(status["statistics"]["remainingTime"], "0")
        answer = gateway.get("/ModelTraining/model/training_parameters")
        self.assertEqual(answer.json, {"items": WORKLOADS[:1]})

        answer = gateway.train([])
        self.assertEqual(answer.json, {"response": "model reset"})
        self.assertEqual(gateway.status().json["status"], self.idle_text)
        answer = gateway.get("/ModelTraining/model/training_parameters")
        self.assertEqual(answer.json, {"items": []})

    def test_a_training_continues_after_restarts(self):
        """Both the gateway with its embedded server and the backend restart."""
        listen = f"127.0.0.1:{free_port()}"
        gateway = self.ready_gateway(listen=listen)
        backend = self.backend(gateway, duration="20s")
        self.feed_plain(7, "c2", "pay", "ledger")
        self.assert_counts(gateway, "c2", {("pay", "ledger"): 7})
        gateway.train(WORKLOADS)
        before = self.wait_for_training(gateway, 10)

        self.assertEqual(gateway.stop(), 0)
        gateway = self.ready_gateway(listen=listen)
        # The counts come from the store: no lines were fed since.
        self.assert_counts(gateway, "c2", {("pay", "ledger"): 7})
        after = self.wait_for_training(gateway, 1)
        self.assertGreaterEqual(int(after["percentageCompleted"]),
                                int(before["percentageCompleted"]))
        answer = gateway.get("/ModelTraining/model/training_parameters")
        self.assertEqual(answer.json, {"items": WORKLOADS})

        self.assertEqual(backend.stop(), 0)
        backend = self.backend(gateway, duration="20s")
        backend.wait_for("continues from its state file")
        self.wait_for_training(gateway, 100)
        self.wait_for_status(gateway, "completed")


class TrainingWithKv(Training):
    protocol = "kv"


class Demo(E2eTest):
    def test_works_as_the_readme_describes(self):
        gateway = self.gateway("--demo")
        path = "/api/v1/clusters"

        def total():
            return sum(cluster["logCount"]
                       for cluster in gateway.get(path).json["clusters"])
        first = eventually(total, "sample logs are counted")
        eventually(lambda: total() > first, "the counts grow")
        clusters = gateway.get(path).json["clusters"]
        cluster = clusters[0]["id"]
        workloads = [{"clusterId": cluster, "namespace": namespace,
                      "deployment": deployment}
                     for namespace, deployment in gateway.counts(cluster)]

        eventually(gateway.answers_status, "the simulator answers")
        answer = gateway.train(workloads)
        self.assertEqual(answer.json, {"response": "training job submitted"})
        self.wait_for_training(gateway, 1)
        eventually(lambda: gateway.status().json["status"] == "completed",
                   "the training completes", 90)
        status = gateway.status().json
        self.assertEqual(status["statistics"]["percentageCompleted"], "100")

        started = children(gateway.pid)
        self.assertEqual(sorted(started.values()),
                         ["log_feed", "nats-server", "training_sim"])
        self.assertEqual(gateway.stop(), 0)
        eventually(lambda: not children(gateway.pid), "nothing is left behind")


class DemoWithKv(Demo):
    protocol = "kv"
