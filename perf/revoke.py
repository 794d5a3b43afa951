#!/usr/bin/env python3
"""How fast rights end: live mutual-TLS sessions of devices with a certificate each, some revoked one
by one, then all others as fast as REST takes it. From the request until the client has its
DISCONNECT. Exit code 1 when a goal is missed, or anybody comes back.
Usage: revoke.py [--binaries DIR] [--sessions 5000] [--single 500] [--by revoke|suspend|erase]

The clients live in a process of their own, since descriptors are limited per process.
"""
import argparse
import concurrent.futures
import http.client
import pathlib
import selectors
import socket
import ssl
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import mqtt_codec as codec  # noqa: E402
import pki  # noqa: E402
from idle import cpu_seconds, raise_descriptor_limit, status_bytes  # noqa: E402
from server import HOST, Server, plain_listener, wait_until  # noqa: E402

SINGLE_GOAL_SECONDS = 0.2     # p99
ALL_GOAL_SECONDS = 5.0
ENROLLING_THREADS = 4
REVOKING_THREADS = 8
ACTIONS = {"revoke": ("POST", "/api/v1/certificates/{serial}:revoke"),
           "suspend": ("POST", "/api/v1/devices/{id}:suspend"),
           "erase": ("DELETE", "/api/v1/devices/{id}")}


class Clients:
    """The other process: opens a session for each line "id certificate key" of its input, says
    "ready", then "id time" for each that has heard DISCONNECT; "again" has it try to come back."""

    def __init__(self, port, authority):
        self.port = port
        self.context = ssl.create_default_context(cafile=authority)
        self.selector = selectors.DefaultSelector()
        self.sessions = {}

    def open(self, certificate, key, client_id):
        # A connection keeps what the context showed when it was made.
        self.context.load_cert_chain(certificate, key)
        plain = socket.create_connection((HOST, self.port), 30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self.context.wrap_socket(plain, server_hostname="localhost")
        connection.sendall(codec.connect(client_id))
        answer = connection.recv(64)
        return connection, len(answer) >= 4 and answer[0] >> 4 == codec.CONNACK and answer[3] == 0

    def run(self):
        raise_descriptor_limit()
        for line in sys.stdin:
            if line == "\n":
                break
            device, certificate, key = line.split()
            connection, accepted = self.open(certificate, key, device)
            if not accepted:
                sys.exit(f"{device} was refused")
            self.sessions[device] = (certificate, key)
            self.selector.register(connection, selectors.EVENT_READ, device)
        print("ready", flush=True)
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)
        while self.serve():
            pass
        print("returned", self.come_back(), flush=True)

    def serve(self):
        """False once the input says that it is over."""
        for key, _ in self.selector.select():
            if key.data is None:
                sys.stdin.readline()
                return False
            now = time.monotonic()
            try:
                data = key.fileobj.recv(64)
            except OSError:
                data = b""
            if data and data[0] >> 4 != codec.DISCONNECT:
                continue
            self.selector.unregister(key.fileobj)
            key.fileobj.close()
            print(key.data, now, flush=True)
        return True

    def come_back(self):
        """How many got in again, under another client id, with what they have."""
        returned = 0
        for certificate, key in list(self.sessions.values())[:200]:
            try:
                connection, accepted = self.open(certificate, key, "another")
                connection.close()
                returned += accepted
            except OSError:
                pass
        return returned


class Fleet:
    """Devices of this process, and the process with their clients."""

    def __init__(self, server, count):
        self.server = server
        began = time.monotonic()
        self.devices = pki.enrol_many(server, (f"d{n:05}" for n in range(count)),
                                      ENROLLING_THREADS)
        print(f"{count:,} devices enrolled in {time.monotonic() - began:.0f} s", flush=True)
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--client", str(server.ports["devices"]),
             server.root_certificate], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for device in self.devices:
            self.process.stdin.write(f"{device.id} {device.certificate_file} {device.key_file}\n")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ready\n":
            sys.exit("the clients could not connect")
        print(f"{count:,} sessions opened in {time.monotonic() - began:.0f} s", flush=True)

    def next_end(self):
        device, moment = self.process.stdout.readline().split()
        return device, float(moment)

    def returned(self):
        self.process.stdin.write("over\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline().split()[1])


def serial_of(device):
    text = f"{device.certificate.serial_number:x}"
    return text if len(text) % 2 == 0 else "0" + text


class Revoker:
    """One kept connection to the admin port."""

    def __init__(self, server, action):
        self.method, self.path = ACTIONS[action]
        self.headers = {"Authorization": "Bearer " + (server.token or server.log_in())}
        self.connection = http.client.HTTPSConnection(HOST, server.ports["admin"], timeout=60,
                                                      context=server.server_context())

    def end(self, device):
        path = self.path.format(id=device.id, serial=serial_of(device))
        self.connection.request(self.method, path, None, self.headers)
        answer = self.connection.getresponse()
        answer.read()
        if answer.status >= 300:
            sys.exit(f"{self.method} {path} was answered with {answer.status}")


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure_single(fleet, action, count):
    """Seconds from the request to the DISCONNECT, of `count` devices one after the other."""
    revoker, times = Revoker(fleet.server, action), []
    for device in fleet.devices[:count]:
        began = time.monotonic()
        revoker.end(device)
        ended, moment = fleet.next_end()
        if ended != device.id:
            sys.exit(f"{ended} ended in place of {device.id}")
        times.append(moment - began)
    return times


def measure_all(fleet, action, devices):
    """Seconds from the first request to the last DISCONNECT."""
    fleet.server.rest("GET", "/api/v1/system/version")
    parts = [devices[n::REVOKING_THREADS] for n in range(REVOKING_THREADS)]
    revokers = [Revoker(fleet.server, action) for _ in parts]
    for revoker in revokers:
        revoker.connection.connect()

    def end_part(revoker, part):
        for device in part:
            revoker.end(device)

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(REVOKING_THREADS) as pool:
        done = [pool.submit(end_part, *pair) for pair in zip(revokers, parts)]
        last = max(fleet.next_end()[1] for _ in devices)
        for each in done:
            each.result()
    return last - began


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binaries")
    parser.add_argument("--sessions", type=int, default=5_000)
    parser.add_argument("--single", type=int, default=500)
    parser.add_argument("--by", choices=ACTIONS, default="revoke")
    parser.add_argument("--client", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        return Clients(int(options.client[0]), options.client[1]).run()
    with Server(options.binaries, listeners=[plain_listener()]) as server:
        before = status_bytes(server.pid, "VmRSS")
        fleet = Fleet(server, options.sessions)
        held = status_bytes(server.pid, "VmRSS") - before
        print(f"RSS grew by {held / options.sessions / 1000:.1f} kB a session, registry, presence "
              "and all")
        times = measure_single(fleet, options.by, options.single)
        p50, p99 = quantile(times, 0.5), quantile(times, 0.99)
        print(f"one of {options.sessions:,} ({options.by}): p50 {p50 * 1000:.1f} ms, "
              f"p99 {p99 * 1000:.1f} ms, slowest {max(times) * 1000:.1f} ms; goal p99 "
              f"{SINGLE_GOAL_SECONDS * 1000:.0f} ms", flush=True)
        rest = fleet.devices[options.single:]
        cpu = cpu_seconds(server.pid)
        all_seconds = measure_all(fleet, options.by, rest)
        cpu = cpu_seconds(server.pid) - cpu
        print(f"all {len(rest):,} others: {all_seconds:.2f} s, {cpu:.2f} s of CPU; goal "
              f"{ALL_GOAL_SECONDS:.0f} s", flush=True)
        wait_until(lambda: server.metric("skerry_connections_open") == 0, "all are closed", 10)
        returned = fleet.returned()
        print(f"came back with the same certificate and another client id: {returned}")
        fleet.process.wait()
    return int(p99 > SINGLE_GOAL_SECONDS or all_seconds > ALL_GOAL_SECONDS or returned > 0)


if __name__ == "__main__":
    sys.exit(main())
