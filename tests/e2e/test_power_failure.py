"""What a power failure loses in the embedded server. The state directory is on a
separate disk, which stops accepting writes at that moment."""

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

# FS_IOC_SHUTDOWN of ext4 and XFS, without flushing the journal: what has not been
# written to the disk yet is lost. The file system tests of the kernel simulate a
# power failure in the same way.
SHUTDOWN = 0x8004587D
WITHOUT_FLUSHING = 2

REPORTS = 30
# More rounds find losses that are rare.
ROUNDS = int(os.environ.get("AIOPS_POWER_FAILURES", "3"))


def server_version():
    """The version as (major, minor)."""
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


class PowerFailureReport(E2eTest):
    """/readyz reports what a power failure may lose."""

    def durability(self, *options, **how):
        gateway = self.ready_gateway("--log-source", "none", *options, **how)
        self.assertNotIn("durability", gateway.get("/readyz").json)

        def durability():
            answer = gateway.get("/readyz?verbose")
            self.assertEqual(answer.status, 200, answer)
            found = answer.json["durability"]
            # The gateway is ready shortly before it has created its bucket.
            return found["replicas"] and found
        return eventually(durability, "the replicas are known")

    def test_embedded_server(self):
        found = self.durability("--nats-server", NATS_SERVER)
        self.assertEqual(found["synced"], SYNCS_EACH_WRITE)
        self.assertEqual(found["replicas"], 1)
        self.assertEqual(found["powerFailureMayCost"].startswith("nothing"),
                         SYNCS_EACH_WRITE)

    def test_external_server(self):
        nats = self.nats_server()
        found = self.durability(nats=nats.url)
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
        """Mounts the disk, which replays an incomplete journal."""
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
        """Shuts the disk down, kills the programs, and mounts the disk as the
        machine would find it after a power failure. Returns the last epoch that
        was acknowledged before."""
        server = gateway.child("nats-server")
        disk = os.open(self.disk, os.O_RDONLY)
        # Later acknowledgements do not count: the server may not notice at once
        # that its disk is gone.
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
        """Returns the id and the watchlist of the acknowledged job."""
        # The simulator must not continue an earlier training.
        (self.directory / "training_sim.json").unlink(missing_ok=True)
        backend = self.backend(gateway, state="disk/state", duration="1h")
        watchlist = [{"clusterId": "c", "namespace": "n",
                      "deployment": f"d-{number}"}]
        submitted = gateway.submit(watchlist, "?force=true")
        self.assertEqual(submitted.status, 200, submitted)
        # After its first report, only the test sends reports.
        backend.wait_for("reported progress")
        backend.kill()
        return submitted.json["jobId"], watchlist

    def fail_once(self, server, number):
        """Simulates a power failure during a training. Returns the job and the
        epoch that were acknowledged before, and those found afterwards."""
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

    def test_loses_nothing_when_each_write_is_synced(self):
        if not SYNCS_EACH_WRITE:
            self.skipTest("nats-server before 2.10 cannot sync each write; "
                          "AIOPS_NATS_SERVER selects another server")
        for i in range(ROUNDS):
            (job, epoch), left = self.fail_once(NATS_SERVER, i)
            self.assertEqual(self.jobs_left, self.jobs)
            self.assertEqual(left[0], job)
            # Later epochs may have been stored or acknowledged meanwhile.
            self.assertGreaterEqual(left[1], epoch)

    def test_loses_writes_since_the_last_sync_otherwise(self):
        # The gateway treats this version as unable to sync each write.
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
        self.fail("nothing was lost: this test cannot detect a loss")
