"""Log lines are stored and counted."""

import json

from support import BUILD, E2eTest, Program, eventually


class LogFeed(E2eTest):
    def test_plain_lines_are_counted(self):
        gateway = self.gateway()
        feed = self.feed("one\ntwo\n\nlast", "--cluster", "prod.eu",
                         "--namespace", "shop", "--deployment", "a b/ü%2E*>")
        self.assertEqual(feed.process.returncode, 0, feed.log())
        self.assertIn("4 lines, 4 stored", feed.log())
        self.assert_counts(gateway, "prod.eu", {("shop", "a b/ü%2E*>"): 4})

    def test_json_lines_are_counted_by_their_fields(self):
        gateway = self.gateway()
        lines = [
            {"cluster_id": "k", "namespace_name": "n", "deployment": "d.1"},
            {"cluster_id": "k", "deployment": "d.1",
             "kubernetes": {"namespace_name": "n"}},
            {"_HOSTNAME": "k", "_TRANSPORT": "journal",
             "_SYSTEMD_UNIT": "ssh.service", "MESSAGE": "x"},
            {"_HOSTNAME": "k", "_TRANSPORT": "kernel",
             "SYSLOG_IDENTIFIER": "kernel", "MESSAGE": [1, 2]},
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        feed = self.feed(text + "no json\n{}\n")
        self.assertEqual(feed.process.returncode, 1, feed.log())
        self.assertIn("6 lines, 4 stored, 0 not stored, 2 without usable names",
                      feed.log())
        self.assert_counts(gateway, "k", {("n", "d.1"): 2,
                                          ("journal", "ssh.service"): 1,
                                          ("kernel", "kernel"): 1})

    def test_fields_can_be_configured(self):
        gateway = self.gateway()
        feed = self.feed('{"where":{"ns":"n"},"who":"d"}\n', "--cluster", "c",
                         "--namespace-field", "none,where.ns",
                         "--deployment-field", "who")
        self.assertEqual(feed.process.returncode, 0, feed.log())
        self.assert_counts(gateway, "c", {("n", "d"): 1})

    def test_long_lines_are_truncated(self):
        gateway = self.gateway()
        feed = self.feed("x" * 3_000_000 + "\nshort\n", "--cluster", "c",
                         "--namespace", "n", "--deployment", "d")
        self.assertEqual(feed.process.returncode, 0, feed.log())
        self.assertIn("1 cut to 64 KiB", feed.log())
        self.assert_counts(gateway, "c", {("n", "d"): 2})

    def test_no_line_is_lost_when_the_nats_server_restarts(self):
        nats = self.nats_server()
        gateway = self.gateway(nats=nats.url)
        self.feed_plain(1, "c", "n", "first", nats=nats.url)
        self.assert_counts(gateway, "c", {("n", "first"): 1})
        many = 60_000
        source = self.directory / "many"
        source.write_text("a line\n" * many)
        with open(source, "rb") as lines:
            feed = self.start(Program(
                self.directory, "log_feed",
                [BUILD / "log_feed", "--nats-url", nats.url, "--cluster", "c",
                 "--namespace", "n", "--deployment", "d"], stdin=lines))
        eventually(lambda: gateway.counts("c").get(("n", "d"), 0) > 0,
                   "lines arrive")
        nats.kill()
        self.nats_server(nats.port)
        self.assertEqual(feed.wait(60), 0)
        self.assert_counts(gateway, "c", {("n", "first"): 1, ("n", "d"): many})


class Replicas(E2eTest):
    def test_serve_the_same_counts(self):
        nats = self.nats_server()
        first = self.gateway(nats=nats.url, state="first")
        second = self.gateway("--log-source", "none", nats=nats.url,
                              state="second")
        third = self.gateway(nats=nats.url, state="third")
        self.feed_plain(6, "c", "n", "d", nats=nats.url)
        for gateway in first, second, third:
            self.assert_counts(gateway, "c", {("n", "d"): 6})
        self.backend(first, nats=nats.url)
        eventually(lambda: first.put_statistics(
            percentageCompleted=42).status == 200, "progress is stored")
        for gateway in first, second, third:
            self.wait_for_training(gateway, 42)
