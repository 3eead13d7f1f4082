"""Shared by the benchmarks: starting programs, loading them, the table."""

import http.client
import itertools
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
CONNECTIONS = 64

numbers = itertools.count()
started = []
rows = []
build_folder = ROOT / "build" / "release"  # another one with --programs


def row(what, measured, goal="", ok=None):
    verdict = "" if ok is None else "ok" if ok else "missed"
    rows.append((what, measured, goal, verdict))
    print("  ", what, measured, verdict, flush=True)


# -- programs -----------------------------------------------------------------


def build(targets):
    def run(*command):
        subprocess.run(command, cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    print("building the release preset", flush=True)
    run("cmake", "--preset", "release")
    run("cmake", "--build", "--preset", "release", "--target", *targets)


def program(name):
    return build_folder / name


def start(directory, *command):
    log = Path(directory) / f"log-{next(numbers)}"
    with open(log, "wb") as out:
        process = subprocess.Popen([str(part) for part in command], stderr=out,
                                   stdout=out, stdin=subprocess.DEVNULL)
    process.log = log
    started.append(process)
    return process


def stop(process, how=signal.SIGTERM):
    process.send_signal(how)
    process.wait(10)
    started.remove(process)


def wait_until(check, what, patience=30):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = check()
        if value:
            return value
        time.sleep(0.01)
    raise RuntimeError(f"timeout: {what}")


def wait_for_line(process, pattern):
    def look():
        found = re.search(pattern, process.log.read_text(errors="replace"))
        if not found and process.poll() is not None:
            raise RuntimeError(process.log.read_text(errors="replace"))
        return found
    return wait_until(look, pattern)


def listening(process):
    return wait_for_line(process, r"listening on (http://[0-9.]+:\d+)")[1]


def start_nats(directory, *settings):
    """Starts a NATS server and returns its URL. Settings are lines of its
    configuration."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = Path(directory) / f"nats-{port}.conf"
    file.write_text("\n".join(settings))
    server = start(directory, shutil.which("nats-server", path=SEARCH), "-a",
                   "127.0.0.1", "-p", port, "-js", "-sd",
                   Path(directory) / f"jetstream-{port}", "-c", file)
    wait_for_line(server, "Server is ready")
    return f"nats://127.0.0.1:{port}"


def start_gateway(directory, nats, *options, state="state"):
    return start(directory, program("aiops-gateway"), "--listen", "127.0.0.1:0",
                 "--state-dir", Path(directory) / state, "--nats-url", nats,
                 *options)


def ask(url, path, method="GET", body=None):
    connection = http.client.HTTPConnection(url.split("//")[1], timeout=10)
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, response.read()


def nats_request(url, subject, payload=""):
    """Sends one request over NATS and returns the text of the reply."""
    host, port = url.split("//")[1].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as link:
        stream = link.makefile("rwb")
        stream.readline()
        stream.write(b'CONNECT {"verbose":false}\r\nSUB _INBOX.bench 1\r\n'
                     b"PUB %s _INBOX.bench %d\r\n%s\r\n"
                     % (subject.encode(), len(payload), payload.encode()))
        stream.flush()
        while True:
            line = stream.readline()
            if line.startswith(b"MSG"):
                return stream.read(int(line.split()[-1])).decode()


# -- what a process costs -----------------------------------------------------


def cpu_seconds(process):
    """User and system time since it started."""
    text = Path(f"/proc/{process.pid}/stat").read_text()
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process, which):
    """In MB, by its name in /proc."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"{which}:\s+(\d+)", status)[1]) / 1024


def peak_memory(process):
    return memory(process, "VmHWM")


def current_memory(process):
    return memory(process, "VmRSS")


# -- load ---------------------------------------------------------------------


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def load(url, path, seconds, *how):
    """Requests per second, p50 and p99 in ms, and the number of requests."""
    how = how or ("-t2", f"-c{CONNECTIONS}")
    done = subprocess.run(
        ["wrk", *how, f"-d{seconds}s", "--latency", url + path],
        capture_output=True, text=True, check=True)
    text = done.stdout
    if "Non-2xx" in text or re.search(r"(connect|read|write) [1-9]", text):
        raise RuntimeError(text)

    def latency(percent):
        return milliseconds(re.search(rf"^\s*{percent}%\s+(\S+)", text,
                                      re.MULTILINE)[1])
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
            latency(50), latency(99),
            int(re.search(r"(\d+) requests in", text)[1]))


# -- the whole ----------------------------------------------------------------


def print_table():
    columns = [max(len(line[i]) for line in rows) for i in range(4)]
    print()
    for line in [("what", "measured", "goal", ""), *rows]:
        print("  ".join(text.ljust(width)
                        for text, width in zip(line, columns)).rstrip())


def cpu():
    try:
        text = Path("/proc/cpuinfo").read_text()
        return re.search(r"model name\s*:\s*(.*)", text)[1]
    except (OSError, TypeError):
        return platform.machine()


def measure(parser, targets, parts):
    """Reads the command line, then runs the functions that parts(options)
    returns, with a directory and the options. Returns whether all could run."""
    global build_folder
    parser.add_argument("--programs", type=Path, metavar="DIR",
                        help="measure the programs of this build folder; "
                             "default: build/release, built first")
    options = parser.parse_args()
    chosen = parts(options)
    for needed in "wrk", "nats-server":
        if not shutil.which(needed, path=SEARCH):
            sys.exit(f"{needed} is missing: run scripts/bootstrap bench")
    if options.programs:
        build_folder = options.programs.resolve()
    else:
        build(targets)
    print(f"measuring on {os.cpu_count()} x {cpu()}", flush=True)
    complete = True
    for part in chosen:
        directory = tempfile.mkdtemp(prefix="aiops-bench-")
        try:
            part(directory, options)
        except (RuntimeError, OSError, subprocess.SubprocessError) as problem:
            complete = False
            row(part.__name__, f"could not run: {problem}")
        finally:
            for process in list(started):
                stop(process, signal.SIGKILL)
            shutil.rmtree(directory, ignore_errors=True)
    print_table()
    return complete
