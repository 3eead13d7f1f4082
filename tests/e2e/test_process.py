"""The gateway as a process: how it starts, stops and exits."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from support import (BUILD, E2eTest, Gateway, children, eventually, running)


class Stopping(E2eTest):
    def test_sigterm_under_load_with_idle_clients(self):
        nats = self.nats_server()
        gateway = self.gateway(nats=nats.url)
        self.backend(gateway, nats=nats.url)
        eventually(gateway.answers_status, "the backend answers")
        idle = [socket.create_connection(gateway.address) for _ in range(20)]
        for client in idle[:10]:
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b"200", client.recv(4096))
        served = [0] * 8
        threads = [threading.Thread(target=self.load,
                                    args=(gateway, served, number))
                   for number in range(len(served))]
        for thread in threads:
            thread.start()
        eventually(lambda: all(count > 20 for count in served), "clients are served")

        begin = time.monotonic()
        self.assertEqual(gateway.stop(), 0)
        self.assertLess(time.monotonic() - begin, 2)
        for thread in threads:
            thread.join()
        for client in idle:
            client.close()

    @staticmethod
    def load(gateway, served, number):
        connection = http.client.HTTPConnection(*gateway.address, timeout=10)
        try:
            while True:
                connection.request("GET", "/ModelTraining/model/status")
                connection.getresponse().read()
                served[number] += 1
        except (OSError, http.client.HTTPException):
            pass

    def test_sigint(self):
        gateway = self.gateway()
        gateway.process.send_signal(signal.SIGINT)
        self.assertEqual(gateway.wait(), 0)
        eventually(lambda: not children(gateway.pid), "nothing is left behind")

    def test_sigterm_with_a_request_in_flight(self):
        nats = self.nats_server()
        gateway = self.gateway("--request-timeout", "30s", nats=nats.url)
        self.backend(gateway, "--misbehave", "silent", nats=nats.url)
        with socket.create_connection(gateway.address) as client:
            client.sendall(b"GET /ModelTraining/model/status HTTP/1.1\r\n"
                           b"Host: x\r\n\r\n")
            # The gateway accepted the first request before it served this one.
            self.assertEqual(gateway.get("/livez").status, 200)
            begin = time.monotonic()
            self.assertEqual(gateway.stop(), 0)
            self.assertLess(time.monotonic() - begin, 3)


class StoppingWhileStarting(E2eTest):
    def test_while_another_gateway_uses_the_state_directory(self):
        first = self.gateway()
        lock = str(self.directory / "state" / "nats" / "lock")
        for number in signal.SIGTERM, signal.SIGINT:
            second = self.launch_gateway()

            def waits():
                self.assertIsNone(second.process.poll(), second.log())
                files = Path(f"/proc/{second.pid}/fd").glob("*")
                return any(os.readlink(x) == lock for x in files)

            eventually(waits, "the second gateway waits for the directory")
            begin = time.monotonic()
            second.process.send_signal(number)
            self.assertEqual(second.wait(), 0)
            self.assertLess(time.monotonic() - begin, 3)
        self.assertTrue(first.is_ready())


class Killed(E2eTest):
    def test_gateway_leaves_no_processes_and_can_restart(self):
        gateway = self.gateway("--demo")
        eventually(lambda: len(children(gateway.pid)) == 3, "the demo runs")
        eventually(lambda: gateway.get("/api/v1/clusters").json["clusters"],
                   "sample logs are counted")
        left = children(gateway.pid)
        gateway.kill()
        for pid, name in left.items():
            eventually(lambda: not running(pid), f"{name} ends")

        gateway = self.gateway()
        eventually(gateway.is_ready, "the next gateway is ready")
        self.assertTrue(gateway.get("/api/v1/clusters").json["clusters"])

    def test_demo_counts_its_logs_immediately(self):
        # The first count does not wait for the interval.
        gateway = self.gateway("--demo", interval="10m")
        eventually(lambda: gateway.get("/api/v1/clusters").json["clusters"],
                   "sample logs are counted")

    def test_demo_programs_are_restarted(self):
        gateway = self.gateway("--demo")
        for name in "training_sim", "log_feed":
            first = eventually(lambda: gateway.child(name), f"{name} runs")
            os.kill(first, signal.SIGKILL)
            eventually(lambda: gateway.child(name) not in (None, first),
                       f"another {name} runs")


class ExitCodes(E2eTest):
    def run_gateway(self, *options, text=""):
        config = self.directory / "gateway.conf"
        config.write_text(text)
        if text:
            options = ("--config", config, *options)
        return subprocess.run(
            [BUILD / "aiops-gateway", "--state-dir", self.directory / "state",
             *options],
            capture_output=True, text=True, timeout=30)

    def test_help_and_version(self):
        for option in "--help", "--version":
            done = self.run_gateway(option)
            self.assertEqual(done.returncode, 0, done)
            self.assertTrue(done.stdout, done)

    def test_invalid_command_line(self):
        for options in (["--no-such-option"], ["--listen"], ["stray"]):
            done = self.run_gateway(*options)
            self.assertEqual(done.returncode, 2, done)
            self.assertTrue(done.stderr, done)

    def test_invalid_configuration(self):
        for text in "no-such-key = 1\n", "aggregation-interval = \"soon\"\n":
            done = self.run_gateway(text=text)
            self.assertEqual(done.returncode, 78, done)
            self.assertIn(text.split(" ")[0], done.stderr)
        done = self.run_gateway("--check-config", "--gpu-source",
                                "file:/no/such/file")
        self.assertEqual(done.returncode, 78, done)
        self.assertEqual(self.run_gateway("--check-config").returncode, 0)

    def test_invalid_content_of_a_file(self):
        settings = self.directory / "ai.json"
        settings.write_text("[]")
        for options in ["--check-config"], []:
            done = self.run_gateway(*options, "--ai-settings", settings)
            self.assertEqual(done.returncode, 78, done)
            self.assertIn("--ai-settings", done.stderr)
            self.assertIn("must be a JSON object", done.stderr)
        settings.write_text("{}")
        done = self.run_gateway("--check-config", "--ai-settings", settings)
        self.assertEqual(done.returncode, 0, done)

    def test_port_in_use(self):
        nats = self.nats_server()
        first = self.gateway(nats=nats.url)
        listen = "%s:%d" % first.address
        second = self.start(Gateway(
            self.directory, "second",
            [BUILD / "aiops-gateway", "--listen", listen, "--state-dir",
             self.directory / "second", "--nats-url", nats.url]))
        self.assertEqual(second.wait(), 1)
        self.assertIn("port %d" % first.address[1], second.log())
        self.assertEqual(first.get("/livez").status, 200)

    def test_state_directory_in_use(self):
        """Two embedded servers would corrupt the same data."""
        first = self.gateway()
        second = self.start(Gateway(
            self.directory, "second",
            [BUILD / "aiops-gateway", "--listen", "127.0.0.1:0", "--state-dir",
             self.directory / "state"]))
        eventually(lambda: second.process.poll() is not None,
                   "the second gateway exits")
        self.assertIn(second.process.returncode, (1, 78))
        self.assertEqual(first.get("/livez").status, 200)
