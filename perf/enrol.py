#!/usr/bin/env python3
"""Enrolments at a rate while other devices work: does anybody notice? Devices of their own keys enrol
over mutual TLS, each on a connection of its own as in the field; meanwhile connected devices publish
telemetry at QoS 1 and time their acknowledgements. Exit code 1 when a goal is missed.
Usage: enrol.py [--binaries DIR] [--rate 50] [--seconds 60] [--clients 20]

Keys, requests and self-signed certificates are made beforehand; the enrolling devices live in
processes of their own. Both sides share this machine, so its processors are part of the figures.
"""
import argparse
import asyncio
import base64
import concurrent.futures
import http.client
import json
import multiprocessing
import pathlib
import ssl
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import mqtt  # noqa: E402
import pki  # noqa: E402
from server import HOST, Server  # noqa: E402

WORKERS = 4
THREADS = 32                                       # of each worker
BASELINE_SECONDS = 10
PUBLISH_EVERY = 0.2                                # seconds, each connected device
GOAL_DONE = 0.99                                   # of the rate that was asked for
GOAL_P99_SECONDS = 0.250                           # of acknowledgements during the enrolments


def prepare(directory, count):
    """[(id, PEM file of key and self-signed certificate, request in base64, fingerprint)]"""
    made = []
    for number in range(count):
        key = pki.make_key()
        path = directory / f"e{number}.pem"
        path.write_bytes(pki.key_pem(key) + pki.make_certificate(key, "e").public_bytes(pki.PEM))
        body = base64.encodebytes(pki.make_request(key).public_bytes(pki.DER))
        made.append((f"e{number}", str(path), body, pki.fingerprint(key)))
    return made


def register(server, devices):
    lines = "".join(json.dumps({"id": device_id, "keys": [{"fingerprint": fingerprint}]}) + "\n"
                    for device_id, _, _, fingerprint in devices)
    status, _, answer = server.raw_rest(
        "POST", "/api/v1/devices:import", lines,
        {"Authorization": "Bearer " + server.log_in(), "Content-Type": "application/x-ndjson"})
    if status != 200:
        sys.exit(f"the devices could not be registered: {status} {answer[:500]}")


def enrol(port, root, path, body):
    """Seconds from the connection to the certificate, and the status."""
    context = ssl.create_default_context(cafile=root)
    context.load_cert_chain(path)
    begun = time.monotonic()
    connection = http.client.HTTPSConnection(HOST, port, timeout=30, context=context)
    try:
        connection.request("POST", "/.well-known/est/simpleenroll", body,
                           {"Content-Type": "application/pkcs10"})
        answer = connection.getresponse()
        answer.read()
        return time.monotonic() - begun, answer.status
    finally:
        connection.close()


def worker(number, rate, port, root, devices, begin, results):
    """Enrols every WORKERS-th device at its time, whether those before have their certificate or
    not: devices do not wait for each other."""
    def one(index):
        _, path, body, _ = devices[index]
        seconds, status = enrol(port, root, path, body)
        return seconds, status, time.monotonic() - begin
    jobs = []
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for index in range(number, len(devices), WORKERS):
            time.sleep(max(0.0, begin + index / rate - time.monotonic()))
            jobs.append(pool.submit(one, index))
    results.put([job.result() for job in jobs])


async def publish(client, topic, until, times):
    while time.monotonic() < until:
        begun = time.monotonic()
        outcome = client.publish(topic, b'{"temperature":21.5}', qos=1)
        if await outcome.acknowledged(30) not in (0, 0x10):
            raise RuntimeError(f"refused with {outcome.reason}")
        times.append(time.monotonic() - begun)
        await asyncio.sleep(max(0.0, PUBLISH_EVERY - (time.monotonic() - begun)))


async def measure(clients, seconds):
    times = []
    until = time.monotonic() + seconds
    await asyncio.gather(*(publish(client, topic, until, times) for client, topic in clients))
    return times


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def describe(name, times):
    print(f"{name}: {len(times)}, median {statistics.median(times) * 1000:.1f} ms, "
          f"p99 {quantile(times, 0.99) * 1000:.1f} ms, longest {max(times) * 1000:.1f} ms")


def server_seconds(server):
    fields = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def run(server, devices, options):
    """(times before, times meanwhile, enrolments, seconds of processor of the server)"""
    clients = []
    for device in pki.enrol_many(server, [f"c{number}" for number in range(options.clients)]):
        client = mqtt.Client(device.id)
        client.on_lost = lambda lost: (_ for _ in ()).throw(RuntimeError("a client was lost"))
        await client.connect(HOST, server.ports["devices"], tls=device.context())
        clients.append((client, device.topic("telemetry")))
    before = await measure(clients, BASELINE_SECONDS)
    results = multiprocessing.Queue()
    begin = time.monotonic() + 1
    workers = [multiprocessing.Process(target=worker, args=(
        number, options.rate, server.ports["enrolment"], server.root_certificate, devices, begin,
        results)) for number in range(WORKERS)]
    used = server_seconds(server)
    for each in workers:
        each.start()
    meanwhile = await measure(clients, options.seconds + 1)
    enrolments = sum((results.get() for _ in workers), [])
    for each in workers:
        each.join()
    used = server_seconds(server) - used
    still_there = sum(client.connected for client, _ in clients)
    if still_there != len(clients):
        sys.exit(f"{len(clients) - still_there} clients were lost")
    for client, _ in clients:
        client.on_lost = None
        await client.disconnect()
    return before, meanwhile, enrolments, used


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries")
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--clients", type=int, default=20)
    options = parser.parse_args()
    with Server(options.binaries) as server:
        directory = server.directory / "keys"
        directory.mkdir()
        devices = prepare(directory, options.rate * options.seconds)
        register(server, devices)
        before, meanwhile, enrolments, used = asyncio.run(run(server, devices, options))
    good = [seconds for seconds, status, _ in enrolments if status == 200]
    span = max(ended for _, _, ended in enrolments)
    rate = len(good) / max(span, options.seconds)
    print(f"{len(good)} of {len(enrolments)} enrolments in {span:.1f} s: {rate:.1f} a second; "
          f"server {used / span:.2f} processors, {used / len(enrolments) * 1000:.1f} ms each")
    describe("enrolments, connection to certificate", [each[0] for each in enrolments])
    describe("acknowledgements before", before)
    describe("acknowledgements meanwhile", meanwhile)
    missed = []
    if len(good) < len(enrolments) or rate < options.rate * GOAL_DONE:
        missed.append("not all enrolments were done at their rate")
    if quantile(meanwhile, 0.99) > GOAL_P99_SECONDS:
        missed.append(f"p99 of acknowledgements is above {GOAL_P99_SECONDS * 1000:.0f} ms")
    print("\n".join(missed) or "every goal is met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
