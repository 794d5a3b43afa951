#!/usr/bin/env python3
"""Memory of the server per idle connection, plain and over mutual TLS: RSS with all of them open,
less RSS before the first. Exit code 1 when a goal is missed.
Usage: idle.py [--binaries DIR] [--connections 10000] [--only plain|tls]

The clients live in a process of their own, since descriptors are limited per process; they share
one device certificate and differ in client id. Sockets of the kernel are not counted.
"""
import argparse
import pathlib
import resource
import socket
import ssl
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import mqtt_codec as codec  # noqa: E402
import pki  # noqa: E402
from server import HOST, Server, plain_listener  # noqa: E402

GOALS = {"plain": 1000, "mutual TLS": 20_000}      # bytes per connection
SETTLE_SECONDS = 2.0
RECEIVE_BYTES = 64


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def open_all(port, count, context):
    """Connections that have had their CONNACK."""
    opened = []
    for number in range(count):
        connection = socket.create_connection((HOST, port), 30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            connection = context.wrap_socket(connection, server_hostname="localhost")
        connection.sendall(codec.connect(f"idle-{number:06}"))
        answer = connection.recv(RECEIVE_BYTES)
        if len(answer) < 4 or answer[0] >> 4 != codec.CONNACK or answer[3] != 0:
            sys.exit(f"connection {number} was answered with {answer.hex() or 'a close'}")
        opened.append(connection)
    return opened


def client(port, count, files):
    """The other process: says when all are open and holds them until its input ends."""
    raise_descriptor_limit()
    context = None
    if files:
        authority, certificate, key = files
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(certificate, key)
    opened = open_all(port, count, context)
    print(len(opened), flush=True)
    sys.stdin.read()


def status_bytes(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def settled_rss(pid):
    """RSS once it has stopped moving, at least SETTLE_SECONDS after the last connection."""
    time.sleep(SETTLE_SECONDS)
    before = status_bytes(pid, "VmRSS")
    while True:
        time.sleep(0.5)
        now = status_bytes(pid, "VmRSS")
        if abs(now - before) <= 65_536:
            return now
        before = now


def measure(kind, count, binaries):
    """(bytes per connection, RSS before, RSS after, milliseconds of CPU each, idle CPU %)."""
    with Server(binaries, listeners=[plain_listener()]) as server:
        arguments = [str(server.ports["plain"])]
        if kind == "mutual TLS":
            device = pki.Device.enrolled(server, "idle")
            arguments = [str(server.ports["devices"]), "--tls", server.root_certificate,
                         str(device.certificate_file), str(device.key_file)]
        pid = server.pid
        before, cpu_before = settled_rss(pid), cpu_seconds(pid)
        with subprocess.Popen([sys.executable, __file__, "--connections", str(count), "--client",
                               *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as process:
            if process.stdout.readline().strip() != str(count):
                sys.exit("the clients could not connect")
            connect_cpu = cpu_seconds(pid) - cpu_before
            after, cpu_before, began = settled_rss(pid), cpu_seconds(pid), time.monotonic()
            time.sleep(3)
            idle = (cpu_seconds(pid) - cpu_before) / (time.monotonic() - began) * 100
            open_count = server.metric("skerry_connections_open")
            process.stdin.close()
            process.wait()
        if open_count < count:
            sys.exit(f"only {open_count:.0f} of {count} connections were still open at the end")
    return (after - before) / count, before, after, connect_cpu / count * 1000, idle


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binaries")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--only", choices=["plain", "tls"])
    parser.add_argument("--client", nargs=1, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--tls", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        return client(int(options.client[0]), options.connections, options.tls)
    kinds = {"plain": ["plain"], "tls": ["mutual TLS"], None: list(GOALS)}[options.only]
    print(f"{options.connections:,} idle connections\n"
          f"{'':12}{'kB each':>9}{'goal':>7}{'RSS before':>12}{'after':>10}{'ms CPU each':>13}"
          f"{'idle CPU':>10}")
    missed = 0
    for kind in kinds:
        each, before, after, cpu, idle = measure(kind, options.connections, options.binaries)
        is_missed = each > GOALS[kind]
        missed += is_missed
        print(f"{kind:12}{each / 1000:9.2f}{GOALS[kind] / 1000:7.1f}{before / 1e6:9.1f} MB"
              f"{after / 1e6:7.1f} MB{cpu:13.3f}{idle:9.2f}%{'  missed' if is_missed else ''}",
              flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
