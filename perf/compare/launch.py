"""Starts a broker of brokers.yaml, pinned to a core, and ends it by its pid."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HOST = "127.0.0.1"
SERVER_CORE, LOAD_CORE = 0, 1
START_SECONDS = 90


def pinned(core):
    """For Popen: the child stays on one core, when there is more than one."""
    def pin():
        os.setsid()
        if os.cpu_count() > 1:
            os.sched_setaffinity(0, {core})
    return pin


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


class Broker:
    def __init__(self, block, places):
        self.block = block
        self.name, self.title = block["name"], block["title"]
        self.mqtt = block["mqtt"]
        self.skip = set(block.get("skip", ()))
        self.few = block.get("few", False)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"skerry-bench-{self.name}-"))
        self.port = free_port()
        self.places = {"port": self.port, "directory": self.directory, **places}
        for i in range(2, 5):
            self.places[f"port{i}"] = free_port()
        self.process = None

    def fill(self, text):
        """Only the names that are ours: configuration files have braces of their own."""
        for name, value in self.places.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    def version(self):
        command = self.block.get("version")
        if command is None:
            return ""
        answer = subprocess.run([self.fill(word) for word in command], capture_output=True,
                                text=True, check=False)
        return (answer.stdout.strip().splitlines() or ["unknown"])[0]

    def start(self):
        for name, text in self.block.get("files", {}).items():
            (self.directory / name).write_text(self.fill(text))
        environment = dict(os.environ)
        for name, value in self.block.get("environment", {}).items():
            environment[name] = self.fill(value)
        self.log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen(
            [self.fill(word) for word in self.block["start"]], cwd=self.directory, env=environment,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            preexec_fn=pinned(SERVER_CORE))
        deadline = time.monotonic() + START_SECONDS
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not listen:\n{self.tail()}")
            time.sleep(0.1)

    @property
    def pid(self):
        """The process that does the work: a shell script may have started another."""
        busiest, most = self.process.pid, -1
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                fields = pathlib.Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid:  # the session, which is our own
                memory = int(fields[21])
                if memory > most:
                    busiest, most = int(name), memory
        return busiest

    def tail(self):
        return (self.directory / "log").read_text(errors="replace")[-2000:]

    def close(self):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
