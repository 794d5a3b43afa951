"""The goals that are no row of the comparison: durability, idle connections, connecting, growth, many
subscriptions and retained messages, two cores, TLS. Each is measured on servers of its own, beside
Mosquitto where it is a matter of Mosquitto; a part of docs/performance.md.

A goal is a function below; what it yields are rows: what, goal, figure, and whether that holds.
"""
import contextlib
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
import pki  # noqa: E402
from launch import LOAD_CORE, SERVER_CORE, Broker, pinned  # noqa: E402
from server import Server, plain_listener  # noqa: E402

COST = "broker_cpu_seconds_per_million"
TOLERANCE = 1.05
# A fleet from one address and at once, which the doors of a server slow down otherwise.
OPEN_DOORS = {"limits": {"accepts_per_second": 0, "address_accepts_per_second": 0}}
POLICY = {"authorization": {"policies": {"bench": {"rules": [
    {"effect": "allow", "actions": ["publish", "subscribe"],
     "topics": ["bench/#", "devices/+/telemetry"]}]}}}}


class Failed(Exception):
    """The load did not come to its end."""


class Measure:
    def __init__(self, options):
        self.options = options
        self.binaries = options.binaries

    def load(self, pid, port, *words, scheme="mqtt", seconds=None, on=(LOAD_CORE,), partly=False):
        """The figures of skerry-bench; `partly`: also when it says that something is missing."""
        command = [str(self.binaries / "skerry-bench"), "--json", "--url",
                   f"{scheme}://localhost:{port}", "--pid", str(pid), "--seconds",
                   str(seconds or self.options.seconds), "--warm-up", "1", *map(str, words)]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False,
                                preexec_fn=lambda: os.sched_setaffinity(0, set(on)))
        if answer.returncode != 0 and not (partly and answer.stdout.startswith("{")):
            raise Failed((answer.stderr.strip() or answer.stdout.strip())[-300:])
        return json.loads(answer.stdout)

    @contextlib.contextmanager
    def skerry(self, cores=1, on=(SERVER_CORE,)):
        """A server with a plain listener and mutual TLS, on the processors `on`."""
        overrides = {**OPEN_DOORS, **POLICY, "log": {"level": "error"}}
        listener = {**plain_listener(), "policy": "bench"}
        tls = {"name": "tls", "transport": "tls", "authentication": ["certificate"],
               "policy": "bench"}
        server = Server(self.binaries, overrides=overrides, listeners=[listener, tls], start=False)
        server.configuration["cores"] = cores
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, set(on))
        try:
            server.start()
        finally:
            os.sched_setaffinity(0, before)
        with server:
            yield server

    @contextlib.contextmanager
    def mosquitto(self, tls=None):
        """Mosquitto as in the comparison; with `tls` (authority, certificate, key) on that port."""
        lines = ["listener {port} 127.0.0.1", "allow_anonymous true", "persistence false",
                 "set_tcp_nodelay true", "log_type error", "user root"]
        if tls:
            authority, certificate, key = tls
            lines += [f"cafile {authority}", f"certfile {certificate}", f"keyfile {key}",
                      "require_certificate true"]
        broker = Broker({"name": "mosquitto", "title": "Mosquitto", "mqtt": 5,
                         "start": ["/usr/sbin/mosquitto", "-c", "{directory}/mosquitto.conf"],
                         "files": {"mosquitto.conf": "\n".join(lines) + "\n"}}, {})
        try:
            broker.start()
            yield broker
        finally:
            broker.close()


def row(what, goal, figure, holds):
    return {"what": what, "goal": goal, "figure": figure, "holds": holds}


def ratio_row(what, most, values):
    """Median of ratios of the same round, to be at most `most`."""
    found = statistics.median(values)
    return row(what, f"≤ {most:g}", f"{found:.2f}", found <= most * TOLERANCE)


def durable(measure):
    """Sessions that stay, stored and synced before PUBACK, beside Mosquitto in memory."""
    seen, ratios = [], []
    with measure.skerry() as server, measure.mosquitto() as mosquitto:
        for _ in range(3):
            ours = measure.load(server.pid, server.ports["plain"], "durable")
            theirs = measure.load(mosquitto.pid, mosquitto.port, "pairs", "--qos", 1, "--window", 10)
            seen.append(ours["delivered_per_second"])
            ratios.append(ours[COST] / theirs[COST])
        slow = measure.load(server.pid, server.ports["plain"], "durable", "--rate", 5_000)
    rate = statistics.median(seen)
    yield row("durable c2: messages a second", "≥ 100,000", f"{rate:,.0f}", rate >= 100_000)
    yield ratio_row("durable c2: CPU of a message × Mosquitto's, which keeps nothing", 1, ratios)
    for quantile, most in (("p50", 2), ("p99", 10)):
        found = slow[f"latency_{quantile}_us"] / 1000
        yield row(f"durable c2 at 5,000 messages a second, {quantile}", f"< {most} ms",
                  f"{found:.2f} ms", found < most)


def files_of(device):
    return ["--certificate", device.certificate_file, "--private-key", device.key_file]


def own_authority(directory):
    """(authority, certificate, key) as PEM files, P-256 as everywhere here; for either side."""
    root_key, key = pki.make_key(), pki.make_key()
    root = pki.make_certificate(root_key, "bench root", is_ca=True)
    now = datetime.datetime.utcnow()
    leaf = (x509.CertificateBuilder().subject_name(pki.name_of("bench")).issuer_name(root.subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .sign(root_key, hashes.SHA256()))
    files = [pathlib.Path(directory) / name for name in ("root.crt", "leaf.crt", "leaf.key")]
    for path, data in zip(files, (root.public_bytes(pki.PEM), leaf.public_bytes(pki.PEM),
                                  pki.key_pem(key))):
        path.write_bytes(data)
    return files


def idle(measure):
    """Memory of connections that say nothing."""
    for count in (10_000, 18_900):
        with measure.skerry() as server:
            found = measure.load(server.pid, server.ports["plain"], "idle", "--connections", count,
                                 seconds=5)
        each = found["resident_bytes_per_connection"] / 1000
        yield row(f"idle, plain, {count:,} connections: each", "≤ 1.0 kB", f"{each:.2f} kB",
                  each <= 1.0)
    yield row("the empty process", "small", f"{found['broker_empty_mib']:.1f} MiB", True)
    # The commit thread, watches of space and memory, and one for each core, once a second or less.
    yield row("context switches of the server a second, 18,900 idle", "reported",
              f"{found['idle_switches_per_second']:.1f}", True)
    with tempfile.TemporaryDirectory() as directory:
        floor = subprocess.run([measure.binaries / "skerry-floor-tls", *own_authority(directory)],
                               capture_output=True, text=True, check=True)
    bare = json.loads(floor.stdout)["bytes_per_connection"] / 1000
    for count in (10_000, 18_900):
        with measure.skerry() as server:
            device = pki.Device.enrolled(server, "idle")
            found = measure.load(server.pid, server.ports["tls"], "idle", "--connections", count,
                                 "--ca", server.root_certificate, *files_of(device), scheme="mqtts",
                                 seconds=3)
        each = found["resident_bytes_per_connection"] / 1000
        yield row(f"idle, mutual TLS, {count:,} connections: each (target 17; a bare SSL object: "
                  f"{bare:.1f} kB)", "≤ 20 kB", f"{each:.2f} kB", each <= 20)


def connect(measure):
    """CPU of one CONNECT, plain and over mutual TLS, full and resumed."""
    cost = "broker_cpu_ms_per_connection"
    ratios, full, resumed, tls = [], [], [], []
    with contextlib.ExitStack() as stack:
        files = own_authority(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(measure.skerry())
        plain = stack.enter_context(measure.mosquitto())
        secured = stack.enter_context(measure.mosquitto(files))
        device = pki.Device.enrolled(server, "connect")
        ours = ["--ca", server.root_certificate, *files_of(device)]
        theirs = ["--ca", files[0], "--certificate", files[1], "--private-key", files[2]]
        for _ in range(3):
            words = ["connect", "--connections", 6_000]
            ratios.append(measure.load(server.pid, server.ports["plain"], *words)[cost] /
                          measure.load(plain.pid, plain.port, *words)[cost])
            words = ["connect", "--connections", 1_500]
            full.append(measure.load(server.pid, server.ports["tls"], *words, *ours,
                                     scheme="mqtts")[cost])
            tls.append(full[-1] / measure.load(secured.pid, secured.port, *words, *theirs,
                                               scheme="mqtts")[cost])
            found = measure.load(server.pid, server.ports["tls"], *words, "--resume", *ours,
                                 scheme="mqtts", partly=True)
            if found["resumed"] < found["connections"] / 2:
                raise Failed(f"only {found['resumed']:.0f} connections were resumed")
            share = found["resumed"] / found["connections"]
            each = (found[cost] - (1 - share) * full[-1]) / share
            resumed.append(each / full[-1])
    yield ratio_row("connect, plain: CPU × Mosquitto's", 1, ratios)
    yield ratio_row("connect, mutual TLS: CPU × Mosquitto's", 1, tls)
    yield ratio_row("connect, mutual TLS resumed (revocation checked): CPU × a full one", 0.4,
                    resumed)


def growth(measure):
    """The same rate from few and from many: every message wakes the core by itself."""
    ratios = []
    for _ in range(2):
        costs = []
        for count in (10, 18_900):
            with measure.skerry() as server:
                found = measure.load(server.pid, server.ports["plain"], "fan-in", "--publishers",
                                     count, "--window", 4, "--rate", 10_000)
                costs.append(found[COST])
        ratios.append(costs[1] / costs[0])
    yield ratio_row("growth, 10 to 18,900 connections, 10,000 messages a second: CPU of a message",
                    1.3, ratios)


def subscriptions(measure):
    """A million filters, half of them with a wildcard."""
    answer = subprocess.run([measure.binaries / "skerry-floor-trie"], capture_output=True, text=True,
                            check=True, preexec_fn=pinned(SERVER_CORE))
    trie = json.loads(answer.stdout)
    yield row("a million subscriptions: a match, p99", "≤ 2 µs", f"{trie['match_p99_us']:.2f} µs",
              trie["match_p99_us"] <= 2)
    yield row("a million subscriptions: a filter in the trie", "< 150 B",
              f"{trie['bytes_per_filter']:.0f} B", trie["bytes_per_filter"] < 150)
    with measure.skerry() as server:
        found = measure.load(server.pid, server.ports["plain"], "subscriptions", "--subscriptions",
                             1_000_000, "--subscribers", 1_200)
    each = found["resident_bytes_per_subscription"]
    yield row("a million subscriptions: one in the whole server, its session's copy included",
              "reported", f"{each:.0f} B", True)
    yield row("a million subscriptions: CPU of a message that finds one of them", "reported",
              f"{found[COST]:.1f} s per million", True)


def retained(measure):
    """A million retained messages go to one subscriber; a pair beside it exchanges messages."""
    with measure.skerry() as server:
        found = measure.load(server.pid, server.ports["plain"], "retained", "--messages", 999_000)
    for quantile in ("p99", "p999"):
        more = (found[f"probe_in_storm_{quantile}_us"] - found[f"probe_quiet_{quantile}_us"]) / 1000
        yield row(f"a million retained messages to one subscriber ({found['storm_seconds']:.1f} s): "
                  f"what others wait longer, {quantile.replace('999', '99.9')}", "≤ 5 ms",
                  f"{more:.2f} ms", more <= 5)


def two_cores(measure):
    """What a message costs when its publisher's core and its subscriber's may differ."""
    ratios = []
    both = (SERVER_CORE, LOAD_CORE) if os.cpu_count() > 1 else (SERVER_CORE,)
    for _ in range(3):
        costs = []
        for cores in (1, 2):
            with measure.skerry(cores, both) as server:
                found = measure.load(server.pid, server.ports["plain"], "pairs", "--qos", 1,
                                     "--window", 10, "--rate", 20_000, on=both)
                costs.append(found[COST])
        ratios.append(costs[1] / costs[0])
    yield ratio_row("two cores, 20,000 messages a second: CPU of a message × one core's", 1.25,
                    ratios)


def tls(measure):
    """TLS 1.3 beside plain, at W 16 and 256 B."""
    ratios = []
    with measure.skerry() as server:
        device = pki.Device.enrolled(server, "tls")
        words = ["fan-in", "--subscribers", 5, "--payload", 256, "--window", 16]
        secure = ["--ca", server.root_certificate, *files_of(device)]
        for _ in range(3):
            plain = measure.load(server.pid, server.ports["plain"], *words)
            secured = measure.load(server.pid, server.ports["tls"], *words, *secure, scheme="mqtts")
            ratios.append(secured[COST] / plain[COST])
    yield ratio_row("TLS 1.3, 256 B, W 16: CPU of a message × plain", 1.6, ratios)


GOALS = {"durable": durable, "idle": idle, "connect": connect, "growth": growth,
         "subscriptions": subscriptions, "retained": retained, "two-cores": two_cores, "tls": tls}


def run(options, names):
    """The rows of all goals; one that cannot be measured is a row that does not hold."""
    measure = Measure(options)
    rows = []
    for name in names:
        try:
            for found in GOALS[name](measure):
                rows.append(found)
                print(f"{name}: {found['what']}: {found['figure']} (goal {found['goal']})"
                      f"{'' if found['holds'] else '  MISSED'}", flush=True)
        except (Failed, RuntimeError, OSError, subprocess.SubprocessError, KeyError,
                TimeoutError) as error:
            rows.append(row(name, "measured", f"failed: {error}", False))
            print(f"{name}: failed: {error}", flush=True)
    return rows
