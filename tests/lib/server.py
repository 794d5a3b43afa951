"""A skerryd of a test: free ports on 127.0.0.1, a data directory of its own, two cores always.

    with Server(listeners=[plain_listener()]) as server:
        server.rest("POST", "/api/v1/devices", {...})
        server.kill9()
        server.start()              # same data, same ports

Binaries come from the argument, SKERRY_BINARIES or build/release/bin. When a test fails while a
server runs, `tail()` has what the server said; `with` prints it on an exception.
"""
import atexit
import copy
import fcntl
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
# Sanitizers and valgrind slow everything down; the tests wait for conditions up to these times.
START_SECONDS = 120
STOP_SECONDS = 60
# Below the ports that the kernel gives to outgoing connections, so that nobody takes a port of a
# server that is down for a moment.
PORTS = range(10_000, 32_000)
PASSWORD = re.compile(r'password of the user "admin"[^\n]*\n\s*(\S+)')

_port_locks = []
atexit.register(lambda: [lock.close() for lock in _port_locks])


def wait_until(condition, what, seconds=30.0, pause=0.01):
    """The first true value of condition(); TimeoutError that names `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(pause)


def free_port():
    """A port that nobody listens at, reserved among tests until this process ends."""
    directory = pathlib.Path(tempfile.gettempdir()) / f"skerry-test-ports-{os.getuid()}"
    directory.mkdir(exist_ok=True)
    for port in random.Random().sample(PORTS, 2_000):
        lock = open(directory / str(port), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                lock.close()
                continue
        _port_locks.append(lock)
        return port
    raise RuntimeError("no free port was found")


def binaries_directory(binaries=None):
    return pathlib.Path(binaries or os.environ.get("SKERRY_BINARIES")
                        or ROOT / "build/release/bin").resolve()


def plain_listener(name="plain", **more):
    """An unencrypted listener that lets everybody do everything."""
    return {"name": name, "transport": "tcp", "authentication": ["anonymous"], "policy": "open",
            **more}


def open_tls_listener(name="open-tls", **more):
    """Client certificates required, and every topic allowed: others' clients over mutual TLS."""
    return {"name": name, "transport": "tls", "authentication": ["certificate"], "policy": "open",
            **more}


def merged(base, overrides):
    result = copy.deepcopy(base)
    for key, value in (overrides or {}).items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


class RestError(Exception):
    """An answer of 400 or more."""

    def __init__(self, status, problem):
        super().__init__(f"{status}: {problem}")
        self.status = status
        self.problem = problem
        self.code = problem.get("code") if isinstance(problem, dict) else None


class Server:
    """One skerryd process at a time, over a data directory that outlives it."""

    def __init__(self, binaries=None, data_dir=None, overrides=None, listeners=(), start=True):
        """`listeners` are added to the mutual TLS listener "devices"; one without `bind` gets a
        port of its own, found in `ports` by the listener's name. `overrides` are merged into the
        configuration."""
        self.binaries = binaries_directory(binaries)
        self._owns_directory = data_dir is None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="skerry-test-"))
        self.data_dir = pathlib.Path(data_dir) if data_dir else self.directory / "data"
        self.ports = {name: free_port() for name in ("admin", "enrolment", "metrics")}
        self.configuration = merged(self._base_configuration(listeners), overrides)
        self.configuration["cores"] = 2
        self.configuration_path = self.directory / "skerry.yaml"
        self.stdout_path = self.directory / "stdout"
        self.stderr_path = self.directory / "stderr"
        self.process = None
        self.password = None
        self.token = None
        self._admin = None
        if start:
            self.start()

    def _base_configuration(self, listeners):
        made = []
        for listener in ({"name": "devices"}, *listeners):
            listener = dict(listener)
            if "bind" not in listener:
                self.ports[listener["name"]] = free_port()
                listener["bind"] = f"{HOST}:{self.ports[listener['name']]}"
            made.append(listener)
        return {
            "data_dir": str(self.data_dir),
            "log": {"format": "json"},
            "listeners": made,
            "identity": {"server_names": ["localhost", HOST],
                         "enrolment": {"bind": f"{HOST}:{self.ports['enrolment']}"}},
            "admin": {"bind": f"{HOST}:{self.ports['admin']}"},
            "metrics": {"bind": f"{HOST}:{self.ports['metrics']}"},
        }

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        if kind is not None:
            print(self.tail(), file=sys.stderr, flush=True)
        self.close()

    # Life of the process.

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        return [str(self.binaries / "skerryd"), "--config", str(self.configuration_path)]

    def environment(self):
        """Of the process; None: that of the test."""

    def start(self, wait=True):
        assert self.process is None, "the server runs already"
        # JSON is YAML.
        self.configuration_path.write_text(json.dumps(self.configuration, indent=2))
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as error:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=error,
                cwd=self.directory, env=self.environment())
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"skerryd ended with {self.process.returncode}\n{self.tail()}")
            return self.is_ready()
        try:
            wait_until(ready, "skerryd is ready", START_SECONDS)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.tail()}") from None
        if self.password is None:
            self.password = wait_until(self._find_password, "the password is printed", 10)

    def is_ready(self):
        try:
            return self.metrics_get("/health/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _find_password(self):
        match = PASSWORD.search(self.stdout_path.read_text(errors="replace"))
        return match[1] if match else None

    def stop(self, expect=0):
        """SIGTERM; the exit code must be `expect`."""
        self._forget_connection()
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"skerryd did not stop in {STOP_SECONDS} s\n{self.tail()}") from None
        if code != expect:
            raise RuntimeError(f"skerryd ended with {code}, {expect} is expected\n{self.tail()}")

    def kill9(self):
        self._forget_connection()
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        """Stops the process if it runs and removes what this object has made."""
        try:
            if self.process is not None:
                if self.process.poll() is None:
                    self.stop()
                else:
                    code, self.process = self.process.returncode, None
                    raise RuntimeError(f"skerryd had ended with {code}\n{self.tail()}")
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def tail(self, lines=40):
        text = ""
        for path in (self.stdout_path, self.stderr_path):
            said = path.read_text(errors="replace").splitlines() if path.exists() else []
            text += f"--- {path.name} of skerryd, last {lines} of {len(said)} lines\n"
            text += "".join(line[:600] + "\n" for line in said[-lines:])
        return text

    # Paths and TLS.

    @property
    def root_certificate(self):
        return str(self.data_dir / "ca" / "root.crt")

    def server_context(self):
        """Verifies the server as a client without a certificate does."""
        return ssl.create_default_context(cafile=self.root_certificate)

    # HTTP.

    def metrics_get(self, path):
        """(status, text) of the port for metrics and health."""
        connection = http.client.HTTPConnection(HOST, self.ports["metrics"], timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metric(self, name):
        """Sum over all labels of one metric; 0 if there is none."""
        total = 0.0
        for line in self.metrics_get("/metrics")[1].splitlines():
            match = re.match(rf"{re.escape(name)}(\{{[^}}]*\}})? (\S+)", line)
            total += float(match[2]) if match else 0
        return total

    def log_in(self):
        self.token = None
        answer = self.rest("POST", "/api/v1/tokens",
                           {"user": "admin", "password": self.password}, authenticated=False)
        self.token = answer["token"]
        return self.token

    def rest(self, method, path, body=None, authenticated=True):
        """The JSON (or text) that the admin port answers; RestError for 400 and above."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if authenticated:
            headers["Authorization"] = "Bearer " + (self.token or self.log_in())
        status, answer_headers, data = self.raw_rest(
            method, path, None if body is None else json.dumps(body), headers)
        kind = answer_headers.get("Content-Type", "")
        answer = json.loads(data) if "json" in kind and data else data.decode()
        if status >= 400:
            raise RestError(status, answer)
        return answer

    def raw_rest(self, method, path, body, headers):
        """(status, headers, bytes), over a connection that is kept."""
        for attempt in (1, 2):
            if self._admin is None:
                self._admin = http.client.HTTPSConnection(
                    HOST, self.ports["admin"], timeout=60, context=self.server_context())
            try:
                self._admin.request(method, path, body, headers)
                answer = self._admin.getresponse()
                return answer.status, answer.headers, answer.read()
            except (OSError, http.client.HTTPException):
                # The server may close an idle connection at any time.
                self._forget_connection()
                if attempt == 2:
                    raise
        raise AssertionError("not reached")

    def _forget_connection(self):
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def pages(self, path):
        """All items of a list that is paged by cursor."""
        items, cursor = [], None
        while True:
            join = "&" if "?" in path else "?"
            page = self.rest("GET", path + (f"{join}cursor={cursor}" if cursor else ""))
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items
