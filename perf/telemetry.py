#!/usr/bin/env python3
"""Durable telemetry: how many samples a second are stored, and what a million of them cost in CPU.
200 devices over mutual TLS publish JSON with five values at QoS 1, sixteen messages in flight each.
Usage: telemetry.py [--binaries DIR] [--rounds 3] [--seconds 5]

Skerry stores by itself: a PUBACK says that the samples are on disk, so what was acknowledged counts.
Beside it, in turns: Mosquitto, which acknowledges from memory, and a subscriber (Paho) that writes
SQLite, a transaction for 1,000 messages or 100 ms, WAL, synchronous=FULL. There the rows that are in
the database count, and the time until the last one is; the broker is asked for no durability. Servers
on core 0, the load on core 1 with the subscriber, which is where it would not be in the way.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "perf"))
sys.path.insert(0, str(ROOT / "tests/lib"))
import pki  # noqa: E402
from server import HOST, Server, binaries_directory, free_port, open_tls_listener  # noqa: E402

SERVER_CORE, LOAD_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]
VALUES = 5
TICKS = os.sysconf("SC_CLK_TCK")

SUBSCRIBER = '''
import json, signal, sqlite3, ssl, sys, time
import paho.mqtt.client as paho
port, ca, certificate, key, path = int(sys.argv[1]), *sys.argv[2:]
database = sqlite3.connect(path, isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=FULL")
database.execute("CREATE TABLE samples(device TEXT, key TEXT, ts INTEGER, value)")
rows, messages, since = [], 0, time.monotonic()
def write():
    global rows, messages, since
    if rows:
        database.execute("BEGIN")
        database.executemany("INSERT INTO samples VALUES(?,?,?,?)", rows)
        database.execute("COMMIT")
    rows, messages, since = [], 0, time.monotonic()
def on_message(client, _, message):
    global messages
    values = json.loads(message.payload)
    device, ts = message.topic.split("/")[1], values.pop("ts")
    rows.extend((device, key, ts, value) for key, value in values.items())
    messages += 1
    if messages >= 1000:
        write()
client = paho.Client("sqlite", clean_session=True)
client.tls_set(ca, certificate, key)
client.tls_insecure_set(True)
client.on_message = on_message
client.on_connect = lambda c, *_: c.subscribe("devices/+/telemetry", 1)
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect("127.0.0.1", port)
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
while not stopping:
    client.loop(0.05)
    if time.monotonic() - since > 0.1:
        write()
write()
'''


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def on_core(core, function):
    """Runs function() so that processes that it starts stay on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return function()
    finally:
        os.sched_setaffinity(0, before)


class Certificates:
    """A CA of this run and a certificate that server and clients show."""

    def __init__(self, directory):
        key, ca_key = pki.make_key(), pki.make_key()
        ca = pki.make_certificate(ca_key, "telemetry", is_ca=True)
        self.ca, self.certificate, self.key = (str(directory / name) for name in
                                               ("ca.crt", "server.crt", "server.key"))
        pathlib.Path(self.ca).write_bytes(ca.public_bytes(pki.PEM))
        certificate = (x509.CertificateBuilder(
            issuer_name=ca.subject, subject_name=pki.name_of("localhost"),
            public_key=key.public_key(), serial_number=x509.random_serial_number(),
            not_valid_before=ca.not_valid_before, not_valid_after=ca.not_valid_after)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .sign(ca_key, hashes.SHA256()))
        pathlib.Path(self.certificate).write_bytes(certificate.public_bytes(pki.PEM))
        pathlib.Path(self.key).write_bytes(pki.key_pem(key))


class Skerryd:
    name = "skerryd"

    def __init__(self, binaries):
        self.server = Server(binaries, listeners=[open_tls_listener("load")], start=False)
        self.server.configuration["cores"] = 1
        on_core(SERVER_CORE, self.server.start)
        device = pki.Device.enrolled(self.server, "load")
        device.context()
        self.port = self.server.ports["load"]
        self.ca = self.server.root_certificate
        self.certificate, self.key = device.certificate_file, device.key_file

    def run(self, load):
        before = self.server.metric("skerry_telemetry_samples_total")
        figures = load(self, self.server.pid)
        stored = self.server.metric("skerry_telemetry_samples_total") - before
        samples = figures["delivered"] * VALUES
        if stored < samples:
            sys.exit(f"{samples} samples were acknowledged and {stored} are counted")
        return {"rate": samples / figures["seconds"], "p99": figures["latency_p99_us"] / 1000,
                "cpu": figures["broker_cpu_seconds"] / samples * 1e6, "lost": 0}

    def close(self):
        self.server.close()


class MosquittoWithSqlite:
    name = "mosquitto + SQLite"

    def __init__(self, directory):
        self.directory = directory
        made = Certificates(directory)
        self.ca = made.ca
        # One certificate does for both sides: this run trusts its own CA alone.
        self.certificate, self.key = made.certificate, made.key
        self.port = free_port()
        path = directory / "mosquitto.conf"
        path.write_text("\n".join([
            f"listener {self.port} {HOST}", "allow_anonymous true", "persistence false",
            "set_tcp_nodelay true", "log_type error", "max_queued_messages 0",
            "max_inflight_messages 1000", f"cafile {made.ca}", f"certfile {made.certificate}",
            f"keyfile {made.key}", "require_certificate true"]) + "\n")
        for file in (made.ca, made.certificate, made.key):
            os.chmod(file, 0o644)
        os.chmod(directory, 0o755)
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.broker = on_core(SERVER_CORE, lambda: subprocess.Popen(
            [program, "-c", str(path)], stderr=subprocess.DEVNULL))
        self.runs = 0
        time.sleep(0.5)

    def run(self, load):
        self.runs += 1
        path = str(self.directory / f"samples-{self.runs}.db")
        subscriber = on_core(LOAD_CORE, lambda: subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SUBSCRIBER, str(self.port), self.ca,
             self.certificate, self.key, path], stdout=subprocess.PIPE, text=True))
        try:
            subscriber.stdout.readline()
            broker, writer = cpu_seconds(self.broker.pid), cpu_seconds(subscriber.pid)
            begin = time.monotonic()
            load(self, self.broker.pid)
            database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            count, since = 0, time.monotonic()
            # Nothing new for two seconds: all that will ever come is there.
            while time.monotonic() - since < 2:
                now = database.execute("SELECT count(*) FROM samples").fetchone()[0]
                if now != count:
                    count, since = now, time.monotonic()
                time.sleep(0.2)
            seconds = since - begin
            cpu = cpu_seconds(self.broker.pid) - broker + cpu_seconds(subscriber.pid) - writer
        finally:
            subscriber.send_signal(signal.SIGTERM)
            subscriber.wait()
            subscriber.stdout.close()
        return {"rate": count / seconds, "cpu": cpu / count * 1e6, "p99": 0, "lost": 0}

    def close(self):
        self.broker.terminate()
        self.broker.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binaries")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    program = binaries_directory(options.binaries) / "skerry-bench"

    def load(server, pid):
        command = [str(program), "--url", f"mqtts://localhost:{server.port}", "--pid", str(pid),
                   "--seconds", str(options.seconds), "--warm-up", "0.5", "--ca", server.ca,
                   "--certificate", server.certificate, "--private-key", server.key, "--json",
                   "telemetry"]
        answer = on_core(LOAD_CORE, lambda: subprocess.run(command, capture_output=True, text=True))
        if answer.returncode:
            sys.exit(f"{server.name}: {answer.stderr.strip()}")
        return json.loads(answer.stdout)

    directory = pathlib.Path(tempfile.mkdtemp(prefix="skerry-telemetry-"))
    servers = []
    try:
        servers += [MosquittoWithSqlite(directory), Skerryd(options.binaries)]
        print(f"load average {os.getloadavg()[0]:.1f}; medians of {options.rounds} rounds of "
              f"{options.seconds:g} s\n{'':22}{'samples/s':>12}{'CPU-s/M samples':>17}{'PUBACK p99':>12}")
        seen = {server.name: [] for server in servers}
        for _ in range(options.rounds):
            for server in servers:
                seen[server.name].append(server.run(load))
        for name, rounds in seen.items():
            rate, cpu, p99 = (statistics.median(one[what] for one in rounds)
                              for what in ("rate", "cpu", "p99"))
            print(f"{name:22}{rate:12,.0f}{cpu:17.2f}{f'{p99:.0f} ms' if p99 else '-':>12}")
        skerry = servers[1].server
        size = sum(f.stat().st_size for f in (skerry.data_dir / "store").rglob("*") if f.is_file())
        stored = skerry.metric("skerry_telemetry_samples_total")
        print(f"skerryd's store: {size / stored:.1f} bytes a sample, its log included")
    finally:
        for server in servers:
            server.close()
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
