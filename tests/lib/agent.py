"""A skerry-agent of a test: its own state directory, configuration and local socket.

    agent = Agent(server, "pump-7", token=...)
    agent.start()
    agent.say({"metric": "pressure", "value": 3.2})
"""
import copy
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from server import binaries_directory, merged, wait_until

STOP_SECONDS = 30


class Agent:
    """One process at a time over files that outlive it. `overrides` are merged into the
    configuration, which trusts the server's root by file unless they say otherwise."""

    def __init__(self, server, device_id, token=None, overrides=None):
        self.server, self.id = server, device_id
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="skerry-agent-"))
        self.state = self.directory / "state"
        self.socket_path = self.directory / "run" / "agent.sock"
        self.log_path = self.directory / "log"
        self.configuration_path = self.directory / "agent.yaml"
        self.process = None
        self._socket = self._answers = None
        self.configuration = {
            "device": device_id,
            "state_dir": str(self.state),
            "gateway": {"host": "localhost", "mqtt_port": server.ports["devices"],
                        "enrolment_port": server.ports["enrolment"],
                        "ca_file": server.root_certificate},
            "connection": {"retry_min": "100ms", "retry_max": "500ms"},
            "telemetry": {"interval": "200ms"},
            "local_socket": {"path": str(self.socket_path), "lines_per_second": 100_000,
                             "burst": 100_000},
            "log": {"level": "debug"},
        }
        if token is not None:
            (self.directory / "token").write_text(token + "\n")
            self.configuration["enrolment"] = {"token_file": str(self.directory / "token")}
        self.configure(overrides or {})

    def configure(self, overrides):
        """Merges and writes; a value of None takes a key away."""
        def without_none(node):
            if not isinstance(node, dict):
                return node
            return {key: without_none(value) for key, value in node.items() if value is not None}
        self.configuration = without_none(merged(copy.deepcopy(self.configuration), overrides))
        self.configuration_path.write_text(json.dumps(self.configuration))  # JSON is YAML

    def command(self, *words):
        return [str(binaries_directory() / "skerry-agent"), "--config",
                str(self.configuration_path), *words]

    def run(self, *words):
        """(exit code, standard output, standard error) of one run that ends by itself."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        return self

    def _leave_socket(self):
        if self._socket is not None:
            self._answers.close()
            self._socket.close()
            self._socket = None

    def stop(self):
        """SIGTERM; returns the exit code."""
        self._leave_socket()
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError("skerry-agent did not stop\n" + self.tail()) from None

    def kill9(self):
        self._leave_socket()
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def close(self):
        if self.process is not None:
            self.kill9()
        shutil.rmtree(self.directory, ignore_errors=True)

    # What it says.

    def events(self):
        """All lines of its log so far."""
        found = []
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        for line in text.splitlines():
            if line.startswith("{"):
                try:
                    found.append(json.loads(line))
                except ValueError:
                    pass  # the last line is still being written
        return found

    def heard(self, event, **fields):
        return [line for line in self.events() if line["event"] == event
                and all(line.get(name) == value for name, value in fields.items())]

    def wait_for(self, event, count=1, seconds=30):
        try:
            return wait_until(lambda: len(self.heard(event)) >= count and self.heard(event),
                              f"the agent says {event}", seconds, pause=0.05)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.tail()}") from None

    def tail(self, lines=40):
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "--- log of skerry-agent\n" + "\n".join(text.splitlines()[-lines:])

    def resident_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    # What it is told.

    def connect_socket(self):
        """A new connection to the local socket; it may take the agent a moment to be there."""
        def attempt():
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(30)
            try:
                client.connect(str(self.socket_path))
                return client
            except OSError:
                client.close()
                return None
        return wait_until(attempt, "the local socket is there", pause=0.05)

    def say(self, message):
        """Hands one line over and returns the answer."""
        if self._socket is None:
            self._socket = self.connect_socket()
            self._answers = self._socket.makefile("r")
        line = message if isinstance(message, str) else json.dumps(message)
        self._socket.sendall(line.encode() + b"\n")
        return json.loads(self._answers.readline())

    # What the gateway knows.

    def certificates(self):
        return [certificate for key in
                self.server.rest("GET", f"/api/v1/devices/{self.id}")["keys"]
                for certificate in key["certificates"]]
