"""The gateway recovers from faults around it without a restart."""

import json
import os
import signal
import socket
import subprocess
import time

from support import WORKLOADS, E2eTest, eventually, free_port

UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL = 14, 4, 13


class NatsUnavailable(E2eTest):
    def test_gateway_starts_without_nats_and_connects_later(self):
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

        nats = self.nats_server(port)
        self.backend(gateway, nats=nats.url)
        eventually(gateway.is_ready, "the gateway becomes ready")
        eventually(gateway.answers_status, "the backend answers")
        self.assertEqual(gateway.counts("c1"), {})
        self.feed_plain(3, "c1", "n", "d", nats=nats.url)
        self.assert_counts(gateway, "c1", {("n", "d"): 3})

    def test_gateway_reconnects_after_nats_restarts(self):
        nats = self.nats_server()
        gateway = self.gateway("--request-timeout", "2s", nats=nats.url)
        self.backend(gateway, nats=nats.url)
        self.feed_plain(5, "c.1", "n", "d.e", nats=nats.url)
        self.assert_counts(gateway, "c.1", {("n", "d.e"): 5})
        eventually(lambda: gateway.put_statistics(
            percentageCompleted=42).status == 200, "progress is stored")

        nats.kill()
        begin = time.monotonic()
        eventually(lambda: gateway.status().status == 503, "503 without NATS")
        self.assert_error(gateway.status(), 503, UNAVAILABLE)
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(gateway.get("/readyz").status, 503)
        self.assertEqual(gateway.counts("c.1"), {("n", "d.e"): 5})

        self.nats_server(nats.port)
        eventually(gateway.is_ready, "the gateway becomes ready again")
        self.wait_for_training(gateway, 42)
        self.feed_plain(4, "c.1", "n", "d.e", nats=nats.url)
        self.assert_counts(gateway, "c.1", {("n", "d.e"): 9})
        self.assertEqual(gateway.train(WORKLOADS).status, 200)


class NatsUnavailableWithKv(NatsUnavailable):
    protocol = "kv"


class NatsServerHangs(E2eTest):
    """It hangs for longer than the request timeout, after a count."""

    def check(self, *options, more_counts):
        self.under_test = self.gateway(
            "--request-timeout", "2s", "--aggregation-lease", "10s", *options,
            nats=self.nats.url)
        gateway = self.under_test
        eventually(gateway.is_ready, "the gateway becomes ready")
        more_counts()
        pid = gateway.pid

        self.nats.suspend()
        for _ in range(2):
            # Each request takes the request timeout; counts become due meanwhile.
            answer = gateway.put_statistics(percentageCompleted=42)
            self.assertIn(answer.status, (503, 504), answer)
        self.nats.resume()

        eventually(gateway.is_ready, "the gateway becomes ready again")
        more_counts()
        self.assertIsNone(gateway.process.poll())
        self.assertEqual(gateway.pid, pid)
        eventually(lambda: gateway.put_statistics(
            percentageCompleted=42).status == 200, "progress is stored")

    def setUp(self):
        super().setUp()
        self.nats = self.nats_server()

    def log_count(self):
        answer = self.under_test.get("/api/v1/clusters").json
        return sum(x["logCount"] for x in answer["clusters"])

    def test_counts_of_opensearch_continue(self):
        # The count of each workload is the number of the cycle.
        opensearch = self.opensearch("--stamp", "3x10")

        def more_counts():
            before = self.log_count()
            eventually(lambda: self.log_count() > before, "newer counts")

        self.check("--log-source", "opensearch", "--opensearch-url",
                   opensearch.url, more_counts=more_counts)

    def test_counts_of_jetstream_continue(self):
        lines = 0

        def more_counts():
            nonlocal lines
            self.feed_plain(3, "c", "n", "d", nats=self.nats.url)
            lines += 3
            self.assert_counts(self.under_test, "c", {("n", "d"): lines})

        self.check("--log-source", "jetstream", more_counts=more_counts)

    def test_gateway_without_log_source_recovers(self):
        self.check("--log-source", "none", more_counts=lambda: None)


class EmbeddedServer(E2eTest):
    def test_is_restarted_after_it_is_killed(self):
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

    def test_moves_to_another_port_if_its_port_is_in_use(self):
        gateway = self.ready_gateway()
        self.backend(gateway)
        file = self.directory / "state" / "nats" / "connection.json"
        before = json.loads(file.read_text())
        port = int(before["url"].rsplit(":", 1)[1])
        blocker = socket.socket()
        blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.addCleanup(blocker.close)

        def take_port():
            # If it restarts before the port is taken, it is killed again.
            if pid := gateway.child("nats-server"):
                os.kill(pid, signal.SIGKILL)
            try:
                blocker.bind(("127.0.0.1", port))
                blocker.listen()
                return True
            except OSError:
                return False

        eventually(take_port, "the port is taken")
        after = eventually(lambda: (x := json.loads(file.read_text())) != before
                           and x, "the NATS server has another address")
        self.assertNotEqual(after["url"], before["url"])
        self.assertNotEqual(after["token"], before["token"])
        eventually(gateway.is_ready, "the gateway becomes ready again")
        eventually(lambda: gateway.train(WORKLOADS).status == 200,
                   "the backend uses the new address")
        self.feed_plain(4, "c", "n", "d")
        self.assert_counts(gateway, "c", {("n", "d"): 4})

    def test_recovers_after_the_disk_was_full(self):
        state = self.directory / "state"
        state.mkdir()
        if os.getuid() != 0 or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", state],
                capture_output=True).returncode != 0:
            self.skipTest("only root can mount a small file system")
        self.addCleanup(subprocess.run, ["umount", "--lazy", state])
        gateway = self.ready_gateway("--request-timeout", "1s",
                                     "--log-stream-max-bytes", "4MiB")
        self.feed_plain(5, "c", "n", "d")
        self.assert_counts(gateway, "c", {("n", "d"): 5})
        eventually(lambda: gateway.put_statistics(
            percentageCompleted=42).status == 200, "progress is stored")
        filler = state / "filler"
        with open(filler, "wb", buffering=0) as out:
            try:
                while out.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                pass

        def reports_disk_full():
            answer = gateway.get("/readyz")
            storage = answer.json["checks"]["storage"]
            return answer.status == 503 and "disk full" in storage["reason"]

        eventually(reports_disk_full, "/readyz reports that the disk is full")
        filler.unlink()
        eventually(gateway.is_ready, "the gateway becomes ready again")
        self.assertIsNone(gateway.process.poll())
        self.feed_plain(4, "c", "n", "d")
        self.assert_counts(gateway, "c", {("n", "d"): 9})
        eventually(lambda: gateway.put_statistics(
            percentageCompleted=43).status == 200, "progress is stored")


class EmbeddedServerWithKv(EmbeddedServer):
    protocol = "kv"


class Backend(E2eTest):
    def setUp(self):
        super().setUp()
        self.nats = self.nats_server().url
        self.under_test = self.gateway(
            "--request-timeout", "1s", "--train-timeout", "2s", nats=self.nats)
        eventually(self.under_test.is_ready, "the gateway becomes ready")

    def check(self, status, code, seconds):
        """Requests that need the backend return this error in time."""
        gateway = self.under_test
        reads = (gateway.status,
                 lambda: gateway.get("/ModelTraining/model/training_parameters"))
        for request in (*reads, lambda: gateway.train(WORKLOADS)):
            begin = time.monotonic()
            answer = request()
            if self.kv and request in reads:
                # The store has the answer.
                self.assertEqual(answer.status, 200, answer)
            else:
                self.assert_error(answer, status, code)
            self.assertLess(time.monotonic() - begin, seconds)

    def recovers(self):
        self.programs.pop().kill()
        self.backend(self.under_test, nats=self.nats)
        eventually(self.under_test.answers_status, "the backend answers")
        self.assertEqual(self.under_test.train(WORKLOADS).status, 200)

    def test_is_not_running(self):
        # With kv, the gateway waits: a backend may start meanwhile.
        self.check(503, UNAVAILABLE, 3 if self.kv else 1)

    def test_sends_invalid_replies(self):
        self.backend(self.under_test, "--misbehave", "rubbish", nats=self.nats)
        self.check(502, INTERNAL, 1)
        self.recovers()

    def test_never_replies(self):
        self.backend(self.under_test, "--misbehave", "silent", nats=self.nats)
        self.check(504, DEADLINE_EXCEEDED, 3)
        self.recovers()

    def test_replies_after_the_deadline(self):
        self.backend(self.under_test, "--misbehave", "slow", "--slow-by", "4s",
                     nats=self.nats)
        self.check(504, DEADLINE_EXCEEDED, 3)
        self.recovers()


class BackendWithKv(Backend):
    protocol = "kv"
