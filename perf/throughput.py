#!/usr/bin/env python3
"""A first look at throughput: skerryd beside Mosquitto from Debian, workload by workload, in turns,
the server pinned to core 0 and the load to core 1. Exit code 1 when skerryd is worse anywhere.
Usage: throughput.py [--binaries DIR] [--load DIR] [--rounds 3] [--seconds 3] [--tls] [WORKLOAD...]

The figure to hold on to is CPU seconds of the server per million delivered messages: other work on
the machine moves it far less than messages per second. Worse is what costs more by more than rounds
differ and delivers less, or loses messages. Both servers: loopback, anonymous, nothing persistent,
TCP_NODELAY.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import pki  # noqa: E402
from server import HOST, Server, free_port, plain_listener, wait_until  # noqa: E402

WORKLOADS = {
    "a1": "100 to 1, QoS 0, one at a time", "a2": "100 to 1, QoS 0", "a3": "100 to 5, QoS 0, 256 B",
    "b1": "1 to 1,000, QoS 0, one at a time", "b2": "1 to 1,000, QoS 0",
    "c1": "200 pairs, QoS 1, one at a time", "c2": "200 pairs, QoS 1", "d": "200 pairs, QoS 2"}
SERVER_CORE, LOAD_CORE = 0, 1
TOLERANCE = 1.05


def on_core(core, function):
    """Runs function() so that processes that it starts stay on one core."""
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        os.sched_setaffinity(0, {core})
    try:
        return function()
    finally:
        os.sched_setaffinity(0, before)


class Certificates:
    """A CA of this run and a server certificate that both servers show."""

    def __init__(self, directory):
        key, ca_key = pki.make_key(), pki.make_key()
        ca = pki.make_certificate(ca_key, "throughput", is_ca=True)
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


class Mosquitto:
    name = "mosquitto"

    def __init__(self, directory, certificates):
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.port = free_port()
        lines = [f"listener {self.port} {HOST}", "allow_anonymous true", "persistence false",
                 "set_tcp_nodelay true", "log_type error"]
        if certificates:
            lines += [f"certfile {certificates.certificate}", f"keyfile {certificates.key}"]
        path = directory / "mosquitto.conf"
        path.write_text("\n".join(lines) + "\n")
        # It gives up root for a user of its own, who cannot read files of ours.
        if certificates:
            for file in (certificates.certificate, certificates.key):
                os.chmod(file, 0o644)
            os.chmod(directory, 0o755)
        self.process = on_core(SERVER_CORE, lambda: subprocess.Popen(
            [program, "-c", str(path)], stderr=subprocess.DEVNULL))
        wait_until(self.listens, "mosquitto listens", 10)

    def listens(self):
        if self.process.poll() is not None:
            sys.exit(f"mosquitto ended with {self.process.returncode}")
        wanted = f":{self.port:04X}"
        return any(line.split()[1].endswith(wanted) and line.split()[3] == "0A"
                   for line in open("/proc/net/tcp").readlines()[1:])

    @property
    def pid(self):
        return self.process.pid

    def close(self):
        self.process.terminate()
        self.process.wait()


class Skerryd:
    name = "skerryd"

    def __init__(self, binaries, certificates):
        listener = plain_listener("load")
        if certificates:
            listener |= {"transport": "tls",
                         "tls": {"certificate": certificates.certificate,
                                 "private_key": certificates.key, "client_certificate": "none"}}
        self.server = Server(binaries, listeners=[listener], start=False)
        self.server.configuration["cores"] = 1
        on_core(SERVER_CORE, self.server.start)
        self.port = self.server.ports["load"]

    @property
    def pid(self):
        return self.server.pid

    def close(self):
        self.server.close()


def run_load(program, server, workload, options, certificates):
    command = [str(program), "--port", str(server.port), "--pid", str(server.pid), "--workload",
               workload, "--seconds", str(options.seconds), "--warm-up", "1"]
    if certificates:
        command += ["--tls", "--ca", certificates.ca]
    answer = on_core(LOAD_CORE, lambda: subprocess.run(command, capture_output=True, text=True))
    if answer.returncode:
        sys.exit(f"{workload} against {server.name}: {answer.stderr.strip()}")
    figures = json.loads(answer.stdout)
    millions = max(figures["delivered"], 1) / 1e6
    return {"cpu": figures["server_cpu_seconds"] / millions,
            "rate": figures["delivered"] / figures["seconds"], "lost": figures["written_off"],
            "p99": figures["p99_us"]}


def median(rounds, name):
    return statistics.median(one[name] for one in rounds)


def row(workload, peer, ours):
    """Prints a line of the table; true when skerryd is worse."""
    cpu = median(ours, "cpu") / median(peer, "cpu")
    rate = median(ours, "rate") / median(peer, "rate")
    lost = sum(one["lost"] for one in ours)
    # Where the load itself is the bottleneck the rates are alike: the cost decides. Where the cost
    # is worse but more is delivered, nobody would call it worse either.
    worse = cpu > TOLERANCE and rate < 1
    remarks = ("  worse" if worse else "") + (f"  {lost} lost" if lost else "")
    print(f"{workload:3} {WORKLOADS[workload]:33}"
          f"{median(peer, 'cpu'):8.2f}{median(peer, 'rate') / 1000:9.0f}k"
          f"{median(ours, 'cpu'):9.2f}{median(ours, 'rate') / 1000:9.0f}k"
          f"{cpu:8.2f}{rate:8.2f}{remarks}", flush=True)
    return worse or lost > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binaries")
    parser.add_argument("--load", type=pathlib.Path, default=ROOT / "build/load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--tls", action="store_true", help="the server shows a certificate")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD")
    options = parser.parse_args()
    if unknown := set(options.workloads) - WORKLOADS.keys():
        parser.error(f"there is no workload {', '.join(sorted(unknown))}")
    program = options.load / "skerry-load"
    if not program.exists():
        sys.exit(f"{program} is not there: run scripts/build-load {options.load}")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="skerry-throughput-"))
    certificates = Certificates(directory) if options.tls else None
    servers, worse = [], 0
    try:
        servers += [Mosquitto(directory, certificates), Skerryd(options.binaries, certificates)]
        print(f"load average {os.getloadavg()[0]:.1f}; medians of {options.rounds} rounds of "
              f"{options.seconds:g} s{', TLS' if options.tls else ''}\n"
              f"{'':37}{'mosquitto':>18}{'skerryd':>19}{'skerryd/mosquitto':>18}\n"
              f"{'':37}{'CPU-s/M':>8}{'msg/s':>10}{'CPU-s/M':>9}{'msg/s':>10}{'CPU':>8}{'msg/s':>8}")
        for workload in options.workloads or WORKLOADS:
            seen = {server.name: [] for server in servers}
            for _ in range(options.rounds):
                for server in servers:
                    seen[server.name].append(
                        run_load(program, server, workload, options, certificates))
                    time.sleep(0.2)
            worse += row(workload, seen["mosquitto"], seen["skerryd"])
    finally:
        for server in servers:
            server.close()
        shutil.rmtree(directory, ignore_errors=True)
    print("no worse than Mosquitto anywhere" if not worse else f"worse in {worse} workloads")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
