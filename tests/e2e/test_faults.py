"""What breaks around the gateway, and that it heals without a restart."""

import os
import signal
import time

from support import WORKLOADS, E2eTest, eventually, free_port

UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL = 14, 4, 13


class NatsIsDown(E2eTest):
    def test_at_the_start(self):
        port = free_port()
        gateway = self.gateway("--request-timeout", "1s",
                               nats=f"nats://127.0.0.1:{port}")
        self.assertEqual(gateway.get("/livez").status, 200)
        self.assertEqual(gateway.get("/readyz").status, 503)
        self.assert_error(gateway.status(), 503, UNAVAILABLE)
        self.assert_error(gateway.train(WORKLOADS), 503, UNAVAILABLE)
        self.assert_error(gateway.put_statistics(percentageCompleted=1), 503,
                          UNAVAILABLE)
        self.assert_error(
            gateway.get("/ModelTraining/model/training_parameters"), 503,
            UNAVAILABLE)
        answer = gateway.get("/ModelTraining/gpu_info")
        self.assertEqual((answer.status, answer.json), (200, {"items": []}))

        broker = self.broker(port)
        self.backend(gateway, nats=broker.url)
        eventually(gateway.is_ready, "the gateway becomes ready")
        eventually(gateway.answers_status, "the backend answers")
        self.assertEqual(gateway.counts("c1"), {})
        self.feed_plain(3, "c1", "n", "d", nats=broker.url)
        self.assert_counts(gateway, "c1", {("n", "d"): 3})

    def test_in_the_middle(self):
        broker = self.broker()
        gateway = self.gateway("--request-timeout", "2s", nats=broker.url)
        self.backend(gateway, nats=broker.url)
        self.feed_plain(5, "c.1", "n", "d.e", nats=broker.url)
        self.assert_counts(gateway, "c.1", {("n", "d.e"): 5})
        eventually(lambda: gateway.put_statistics(
            percentageCompleted=42).status == 200, "progress is stored")

        broker.kill()
        begin = time.monotonic()
        eventually(lambda: gateway.status().status == 503, "503 without NATS")
        self.assert_error(gateway.status(), 503, UNAVAILABLE)
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(gateway.get("/readyz").status, 503)
        self.assertEqual(gateway.counts("c.1"), {("n", "d.e"): 5})

        self.broker(broker.port)
        eventually(gateway.is_ready, "the gateway becomes ready again")
        self.wait_for_training(gateway, 42)
        self.feed_plain(4, "c.1", "n", "d.e", nats=broker.url)
        self.assert_counts(gateway, "c.1", {("n", "d.e"): 9})
        self.assertEqual(gateway.train(WORKLOADS).status, 200)


class NatsIsDownWithKv(NatsIsDown):
    protocol = "kv"


class EmbeddedBroker(E2eTest):
    def test_starts_again_when_it_dies(self):
        gateway = self.gateway()
        self.backend(gateway)
        self.feed_plain(5, "c", "n", "d")
        self.assert_counts(gateway, "c", {("n", "d"): 5})
        stored = eventually(lambda: gateway.put_statistics(
            percentageCompleted=42).status == 200, "progress is stored")
        self.assertTrue(stored)

        first = gateway.child("nats-server")
        os.kill(first, signal.SIGKILL)
        eventually(lambda: gateway.child("nats-server") not in (None, first),
                   "another nats-server runs")
        self.wait_for_training(gateway, 42)
        self.feed_plain(4, "c", "n", "d")
        self.assert_counts(gateway, "c", {("n", "d"): 9})
        eventually(gateway.is_ready, "the gateway becomes ready again")
        self.assertEqual(gateway.train(WORKLOADS).status, 200)


class EmbeddedBrokerWithKv(EmbeddedBroker):
    protocol = "kv"


class Backend(E2eTest):
    def setUp(self):
        super().setUp()
        self.nats = self.broker().url
        self.under_test = self.gateway(
            "--request-timeout", "1s", "--train-timeout", "2s", nats=self.nats)
        eventually(self.under_test.is_ready, "the gateway becomes ready")

    def check(self, status, code, seconds):
        """Everything that needs the backend answers so, in time."""
        gateway = self.under_test
        reads = (gateway.status,
                 lambda: gateway.get("/ModelTraining/model/training_parameters"))
        for ask in (*reads, lambda: gateway.train(WORKLOADS)):
            begin = time.monotonic()
            answer = ask()
            if self.kv and ask in reads:
                # The store knows.
                self.assertEqual(answer.status, 200, answer)
            else:
                self.assert_error(answer, status, code)
            self.assertLess(time.monotonic() - begin, seconds)

    def recovers(self):
        self.programs.pop().kill()
        self.backend(self.under_test, nats=self.nats)
        eventually(self.under_test.answers_status, "the backend answers")
        self.assertEqual(self.under_test.train(WORKLOADS).status, 200)

    def test_is_not_there(self):
        self.check(503, UNAVAILABLE, 1)

    def test_answers_rubbish(self):
        self.backend(self.under_test, "--misbehave", "rubbish", nats=self.nats)
        self.check(502, INTERNAL, 1)
        self.recovers()

    def test_never_answers(self):
        self.backend(self.under_test, "--misbehave", "silent", nats=self.nats)
        self.check(504, DEADLINE_EXCEEDED, 3)
        self.recovers()

    def test_answers_too_late(self):
        self.backend(self.under_test, "--misbehave", "slow", "--slow-by", "4s",
                     nats=self.nats)
        self.check(504, DEADLINE_EXCEEDED, 3)
        self.recovers()


class BackendWithKv(Backend):
    protocol = "kv"
