"""Hooks are notified when a training ends."""

import hashlib
import hmac
import http.server
import json
import threading
import time

from lifecycle import LifecycleTest
from support import E2eTest, eventually


class Receiver(http.server.ThreadingHTTPServer):
    """Refuses the first `refuse` reports and accepts the following ones."""

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


def reported(receiver, skip=0):
    """The ids of the reported jobs, without immediate repetitions: a replica
    that dies may have reported a job without recording that it did."""
    ids = [json.loads(body)["id"] for _, _, body in receiver.reports[skip:]]
    return [x for i, x in enumerate(ids) if i == 0 or x != ids[i - 1]]


class Hooks(LifecycleTest, E2eTest):
    """A webhook and a NATS subject receive each job that has ended."""

    def setUp(self):
        super().setUp()
        self.nats = self.nats_server()
        self.secret = self.directory / "secret"
        self.secret.write_text("the key\n")
        self.published = []
        self.nats_client(self.nats).subscribe(
            "aiops.training.finished",
            lambda _, __, ___, data: self.published.append(json.loads(data)))

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
            self.assertEqual(gateway.cancel().status, 200)
        return answer.json["jobId"]

    def test_reports_are_signed_and_repeated_until_accepted(self):
        receiver = self.receiver(refuse=2)
        gateway = self.replica(receiver)
        self.act_as_backend(self.nats)
        begin = time.monotonic()
        job_id = self.finish_one(gateway)
        # The gateway serves requests meanwhile.
        self.assertEqual(gateway.status().status, 200)
        eventually(lambda: len(receiver.reports) == 3, "the report is accepted")
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
        self.assertEqual([x["id"] for x in self.published], [job_id])
        self.assertEqual(self.published[0], job)

    def test_two_replicas_report_each_job_once_and_in_order(self):
        receiver = self.receiver()
        replicas = [self.replica(receiver, f"state{i}") for i in range(2)]
        self.act_as_backend(self.nats)
        ids = [self.finish_one(replicas[i % 2]) for i in range(4)]
        eventually(lambda: len(receiver.reports) >= 4, "all are reported")
        eventually(lambda: len(self.published) >= 4, "NATS has them too")
        self.assertEqual([json.loads(x[2])["id"] for x in receiver.reports],
                         ids)
        self.assertEqual([x["id"] for x in self.published], ids)

    def test_jobs_are_reported_in_order_when_a_replica_dies(self):
        receiver = self.receiver()
        replicas = [self.replica(receiver, f"state{i}") for i in range(2)]
        self.act_as_backend(self.nats)
        ids = [self.finish_one(replicas[i % 2]) for i in range(4)]
        eventually(lambda: len(receiver.reports) >= 4, "all are reported")
        replicas[0].kill()
        ids.append(self.finish_one(replicas[1]))
        eventually(lambda: ids[-1] in reported(receiver),
                   "the last is reported")
        self.assertEqual(reported(receiver), ids)
        # At most one report is repeated: the replica died before it recorded it.
        self.assertLessEqual(len(receiver.reports), len(ids) + 1)

    def test_a_restarted_gateway_reports_what_was_not_delivered(self):
        receiver = self.receiver(refuse=1_000_000)
        gateway = self.replica(receiver)
        self.act_as_backend(self.nats)
        first = self.finish_one(gateway)
        second = self.finish_one(gateway)
        eventually(lambda: receiver.reports, "a report was attempted")
        gateway.kill()
        receiver.refuse = 0
        count = len(receiver.reports)
        self.replica(receiver)
        eventually(lambda: second in reported(receiver, count),
                   "both are reported")
        self.assertEqual(reported(receiver, count), [first, second])


class HooksWithKv(Hooks):
    protocol = "kv"
