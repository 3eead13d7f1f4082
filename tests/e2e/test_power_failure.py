"""What a power failure costs the embedded server: the state directory is on a
disk of its own, which stops taking writes at that moment."""

import fcntl
import http.client
import os
import re
import shutil
import signal
import struct
import subprocess
import threading

from support import NATS_SERVER, E2eTest, eventually

# FS_IOC_SHUTDOWN of ext4 and XFS, without flushing the journal: what has not
# reached the disk by now never will. The file system tests of the kernel cut
# the power the same way.
SHUTDOWN = 0x8004587D
WITHOUT_FLUSHING = 2

REPORTS = 30
# More of them find what needs luck.
ROUNDS = int(os.environ.get("AIOPS_POWER_FAILURES", "3"))


def server_version():
    """As (major, minor)."""
    said = subprocess.run([NATS_SERVER, "--version"], capture_output=True,
                          text=True, check=True).stdout
    return tuple(int(x) for x in re.search(r"v(\d+)\.(\d+)", said).groups())


SYNCS_EACH_WRITE = NATS_SERVER and server_version() >= (2, 10)


class Reporter(threading.Thread):
    """Reports progress, one epoch after another, until that fails."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway = gateway
        self.acknowledged = 0
        self.start()

    def run(self):
        try:
            while self.gateway.put_statistics(
                    percentageCompleted=50, stage="train",
                    currentEpoch=self.acknowledged + 1).status == 200:
                self.acknowledged += 1
        except (OSError, http.client.HTTPException):
            pass


class PowerFailureIsForeseen(E2eTest):
    """What /readyz says about it."""

    def report(self, *options, **how):
        gateway = self.ready_gateway("--log-source", "none", *options, **how)
        self.assertNotIn("durability", gateway.get("/readyz").json)

        def report():
            answer = gateway.get("/readyz?verbose")
            self.assertEqual(answer.status, 200, answer)
            found = answer.json["durability"]
            # It is ready a moment before its bucket is made.
            return found["replicas"] and found
        return eventually(report, "the replicas are known")

    def test_with_the_embedded_server(self):
        found = self.report("--nats-server", NATS_SERVER)
        self.assertEqual(found["synced"], SYNCS_EACH_WRITE)
        self.assertEqual(found["replicas"], 1)
        self.assertEqual(found["powerFailureMayCost"].startswith("nothing"),
                         SYNCS_EACH_WRITE)

    def test_with_another_server(self):
        broker = self.broker()
        found = self.report(nats=broker.url)
        self.assertEqual(found["replicas"], 1)
        self.assertIsNone(found["synced"])
        self.assertIn("docs/operations.md", found["powerFailureMayCost"])


class PowerFailure(E2eTest):
    def setUp(self):
        self.addCleanup(self.unmount)  # after the programs have ended
        super().setUp()
        self.jobs = []
        self.disk = self.directory / "disk"
        self.image = self.directory / "disk.img"
        with open(self.image, "wb") as image:
            image.truncate(256 << 20)
        if os.getuid() != 0 or not shutil.which("mkfs.ext4"):
            self.skipTest("needs root and mkfs.ext4")
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        self.disk.mkdir()
        self.mount()

    def mount(self):
        """Mounts the disk; a journal that was cut off is replayed."""
        done = subprocess.run(["mount", "-t", "ext4", "-o", "loop", self.image,
                               self.disk], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"cannot mount a loop device: {done.stderr.strip()}")

    def unmount(self):
        if hasattr(self, "disk") and self.disk.is_mount():
            subprocess.run(["umount", self.disk], check=True)

    def start_gateway(self, server):
        return self.ready_gateway("--nats-server", server, "--log-source",
                                  "none", state="disk/state")

    def cut_power(self, gateway, reporter=None):
        """Cuts off the disk, then ends what still runs, and mounts the disk
        as the next start of the machine would find it. Answers the last epoch
        that was acknowledged before."""
        server = gateway.child("nats-server")
        disk = os.open(self.disk, os.O_RDONLY)
        # What is acknowledged from now on does not count: the server may not
        # have noticed that it has no disk.
        epoch = reporter.acknowledged if reporter else 0
        try:
            fcntl.ioctl(disk, SHUTDOWN, struct.pack("I", WITHOUT_FLUSHING))
        finally:
            os.close(disk)
        for process in gateway.pid, server:
            os.kill(process, signal.SIGKILL)
        gateway.wait()
        eventually(lambda: not os.path.exists(f"/proc/{server}"),
                   "the server is gone")
        if reporter:
            reporter.join()
        self.unmount()
        self.mount()
        return epoch

    def submit(self, gateway, number):
        """Answers what was acknowledged: the job's id and its watchlist."""
        # Without a training that it would go on with.
        (self.directory / "training_sim.json").unlink(missing_ok=True)
        backend = self.backend(gateway, state="disk/state", duration="1h")
        watchlist = [{"clusterId": "c", "namespace": "n",
                      "deployment": f"d-{number}"}]
        submitted = gateway.submit(watchlist, "?force=true")
        self.assertEqual(submitted.status, 200, submitted)
        # Its first report; then nothing comes but what we send.
        backend.wait_for("reported progress")
        backend.kill()
        return submitted.json["jobId"], watchlist

    def fail_once(self, server, number):
        """Lets the power fail in the middle of a training. Answers job and
        epoch that were acknowledged before, and those that are left."""
        gateway = self.start_gateway(server)
        job, watchlist = self.submit(gateway, number)
        self.jobs.append(job)
        reporter = Reporter(gateway)
        eventually(lambda: reporter.acknowledged >= REPORTS,
                   "progress is stored")
        epoch = self.cut_power(gateway, reporter)

        gateway = self.start_gateway(server)
        eventually(lambda: gateway.get("/api/v1/training").status == 200,
                   "the book is read")
        left = gateway.training()
        if left["id"] == job:
            self.assertEqual(gateway.get("/api/v1/watchlist").json["items"],
                             watchlist)
        self.jobs_left = [job["id"] for job in reversed(gateway.jobs())]
        self.cut_power(gateway)
        return (job, epoch), (left["id"], left["epoch"])

    def test_costs_nothing_when_each_write_is_synced(self):
        if not SYNCS_EACH_WRITE:
            self.skipTest("nats-server before 2.10 cannot sync each write; "
                          "AIOPS_NATS_SERVER names another one")
        for i in range(ROUNDS):
            (job, epoch), left = self.fail_once(NATS_SERVER, i)
            self.assertEqual(self.jobs_left, self.jobs)
            self.assertEqual(left[0], job)
            # Later ones may have been stored, or acknowledged meanwhile.
            self.assertGreaterEqual(left[1], epoch)

    def test_may_cost_all_since_the_last_sync_otherwise(self):
        # The gateway takes it for one that cannot sync each write.
        server = self.directory / "nats-server"
        server.write_text(
            "#!/bin/sh\n"
            '[ "$1" = --version ] && echo nats-server: v2.9.10 && exit\n'
            f'exec "{NATS_SERVER}" "$@"\n')
        server.chmod(0o755)
        for i in range(ROUNDS):
            (job, epoch), left = self.fail_once(server, i)
            if left[0] != job or left[1] < epoch:
                return
        self.fail("nothing was lost: this test cannot see a loss")
