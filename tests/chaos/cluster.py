"""A cluster of NATS servers that are connected through proxies."""

import os
import shutil
import subprocess
from pathlib import Path

from nats_client import NatsClient
from proxy import Link
from support import NATS_SERVER, Program, accepts, eventually, free_port

MODULE = "github.com/nats-io/nats-server/v2"
BUCKET_STREAM = "KV_aiops-gateway"


class Unavailable(Exception):
    """The reason why the run is not possible on this machine."""


# -- the program of the server ------------------------------------------------


def go(*words, **how):
    # With low priority, because other builds or tests may run.
    command = ["nice", "-n", "10", "go", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              timeout=600, **how)
    except subprocess.TimeoutExpired as late:
        raise Unavailable(f"go {' '.join(words)} took too long") from late
    if done.returncode != 0:
        raise Unavailable(f"go {' '.join(words)} failed: "
                          f"{done.stderr.strip()[-300:]}")
    return done.stdout.strip()


def newest_version():
    return go("list", "-m", "-f", "{{.Version}}", f"{MODULE}@latest",
              cwd="/").removeprefix("v")


def cache_folder():
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "aiops-gateway" / "nats-server"


def find_server(version):
    """The program of a version, which is built if necessary."""
    program = cache_folder() / f"v{version}" / "nats-server"
    if program.exists():
        return program
    if not shutil.which("go"):
        raise Unavailable("there is no Go to build it, and no build in "
                          f"{program.parent}")
    # Renamed when it is complete, because two runs may build at the same time.
    building = program.parent.with_name(f"v{version}.{os.getpid()}")
    building.mkdir(parents=True)
    try:
        go("install", "-p", "1", f"{MODULE}@v{version}",
           env={**os.environ, "GOBIN": str(building)}, cwd="/")
        program.parent.mkdir(exist_ok=True)
        os.replace(building / "nats-server", program)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return program


def installed_server():
    """The installed program and its version."""
    if not NATS_SERVER:
        raise Unavailable("there is neither Go nor an installed nats-server")
    shown = subprocess.run([NATS_SERVER, "--version"], capture_output=True,
                           text=True, timeout=30, check=False).stdout
    return NATS_SERVER, shown.split()[-1].removeprefix("v")


# -- members ------------------------------------------------------------------


USED_PORTS = set()


def own_port():
    """A free port that is not used by any other part of this run."""
    while (port := free_port()) in USED_PORTS:
        pass
    USED_PORTS.add(port)
    return port


class SmallDisk:
    """A small file system for the data of one server."""

    SIZE = "64m"

    def __init__(self, path):
        self.path = path
        self.path.mkdir()
        # The reason why it could not be mounted; empty when it is.
        self.problem = ""
        try:
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "tmpfs",
                 str(path)], capture_output=True, text=True, timeout=30)
            if done.returncode != 0:
                self.problem = done.stderr.strip()
        except OSError as err:
            self.problem = str(err)

    def fill(self):
        with open(self.path / "ballast", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError:
                pass

    def clear(self):
        (self.path / "ballast").unlink(missing_ok=True)

    def remove(self):
        if not self.problem:
            subprocess.run(["umount", "-l", str(self.path)], timeout=30,
                           check=False)


class Process:
    """A program that is killed, stopped, resumed and restarted."""

    def __init__(self, name):
        self.name = name
        self.state = "down"
        self.program = None
        self.programs = []
        # Descriptions of the exits that no fault caused.
        self.deaths = []

    def launch(self):
        self.program = self.make()
        self.programs.append(self.program)
        self.state = "up"

    def kill(self):
        self.notice_death()
        self.program.kill()
        self.state = "down"

    def stop(self):
        self.program.suspend()
        self.state = "stopped"

    def resume(self):
        self.program.resume()
        self.state = "up"

    def up(self):
        """Starts or resumes it, as necessary."""
        self.notice_death()
        if self.state == "down":
            self.launch()
        elif self.state == "stopped":
            self.resume()

    def notice_death(self):
        """Records that it has ended although no fault killed it."""
        if self.state == "down" or self.program.process.poll() is None:
            return
        self.deaths.append(f"{self.name} ended unexpectedly with "
                           f"{self.program.process.returncode}: "
                           f"{self.program.log()[-2000:]}")
        self.state = "down"

    def end(self):
        if self.state == "stopped":
            self.resume()
        if self.program:
            self.program.kill()
        self.state = "down"

    def log_size(self):
        return sum(x.log_file.stat().st_size for x in self.programs)


class Node(Process):
    def __init__(self, number, directory, server):
        super().__init__(f"node{number}")
        self.directory = directory
        self.server = server
        self.port = own_port()
        self.route_port = own_port()
        self.disk = SmallDisk(directory / self.name)
        self.conf = directory / f"{self.name}.conf"

    def configure(self, routes, single):
        """`routes` are the ports by which it reaches the other nodes."""
        lines = [
            f"server_name: {self.name}",
            f"listen: 127.0.0.1:{self.port}",
            f'jetstream {{ store_dir: "{self.disk.path}" }}',
            # A partition lasts only seconds, and must be detected in time.
            "ping_interval: 2s", "ping_max: 2",
        ]
        if not single:
            urls = ", ".join(f"nats-route://127.0.0.1:{x}" for x in routes)
            # No address that bypasses the proxies is advertised: `no_advertise`
            # is for clients, and an address without a server for servers.
            lines.append(
                f"cluster {{ name: chaos, listen: 127.0.0.1:{self.route_port},"
                f" no_advertise: true, advertise: \"127.0.0.1:9\","
                f" routes: [{urls}] }}")
        self.conf.write_text("\n".join(lines) + "\n")

    def make(self):
        return Program(self.directory, self.name,
                       [self.server, "-c", self.conf])

    def client(self):
        return NatsClient(self.port)


class Cluster:
    def __init__(self, directory, server, count):
        self.nodes = [Node(number, directory, server)
                      for number in range(1, count + 1)]
        self.routes = [Link(one.name, other.name, other.route_port)
                       for one in self.nodes for other in self.nodes
                       if one is not other]
        for node in self.nodes:
            node.configure([x.port for x in self.routes
                            if x.source == node.name], count == 1)

    @property
    def clustered(self):
        return len(self.nodes) > 1

    def others(self, node):
        return [x for x in self.nodes if x is not node]

    def start(self):
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            eventually(lambda: accepts(node.port), f"{node.name} accepts")
        eventually(lambda: self.ask("$JS.API.INFO"), "JetStream answers")

    def ask(self, subject, payload=None, timeout=2):
        """The JSON of the first answer of a node; None when there is none."""
        for node in self.nodes:
            if node.state != "up":
                continue
            try:
                client = node.client()
            except OSError:
                continue
            try:
                answer = client.request(subject, payload, timeout=timeout)
                if answer is not None and "error" not in answer:
                    return answer
            except Exception:  # the node has just failed
                pass
            finally:
                client.close()
        return None

    def leader(self, stream=BUCKET_STREAM):
        """The node that leads a stream; None when it is not known."""
        answer = self.ask(f"$JS.API.STREAM.INFO.{stream}", timeout=1)
        name = (answer or {}).get("cluster", {}).get("leader")
        return next((x for x in self.nodes if x.name == name), None)

    def settled(self, streams):
        """Whether each stream has a leader and all its copies are current."""
        for stream in streams:
            answer = self.ask(f"$JS.API.STREAM.INFO.{stream}")
            if answer is None:
                return False
            members = answer.get("cluster", {})
            if self.clustered and not (
                    members.get("leader")
                    and len(members.get("replicas") or [])
                    == len(self.nodes) - 1
                    and all(x.get("current") and not x.get("offline")
                            for x in members["replicas"])):
                return False
        return True

    def value(self, bucket, key):
        """The JSON value of a key at the leader of the stream."""
        client = self.nodes[0].client()
        try:
            return client.value(bucket, key)
        finally:
            client.close()

    def end(self):
        for node in self.nodes:
            node.end()
            node.disk.remove()
