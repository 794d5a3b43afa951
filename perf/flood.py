#!/usr/bin/env python3
"""Healthy clients while others flood the doors: their p99 quiet, then under each flood.
Exit code 1 when p99 under a flood is above 3 times quiet and above 20 ms (medians of the runs).
Usage: flood.py [--binaries DIR] [--runs 5] [--only reset,tls,slow,many,storm] [--durable]

Server on the first processor, load on the second, the floods there at nice 19 beside the healthy
clients that are measured, so that the figure is the server's and not that of a load that waits for
its own processor. All clients share one device certificate and differ in client id.

  reset  5,000 TCP connections a second, closed by reset, for 20 s
  tls    full mutual TLS handshakes, twice as many a second as the server can do by itself
  slow   2,000 connections of one address: silent, stopped in the handshake, CONNECT byte by byte
  many   the same from 200 addresses
  storm  5,000 clients come back at once: how long until all are in, and the others meanwhile
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import pki  # noqa: E402
from idle import cpu_seconds, raise_descriptor_limit, status_bytes  # noqa: E402
from server import Server, open_tls_listener, wait_until  # noqa: E402

SERVER_CPU, LOAD_CPU = sorted(os.sched_getaffinity(0))[:2]
GOAL_RATIO, GOAL_MS = 3.0, 20.0
HEALTHY_CLIENTS, HEALTHY_RATE = 50, 500
CAPACITY_SECONDS = 5
FLOOD_NICE = 19
SHED = "skerry_connections_shed_total"


class Floods:
    def __init__(self, server, device, options):
        self.server, self.options = server, options
        self.program = server.binaries / "skerry-flood"
        self.tls = ["--url", f"mqtts://127.0.0.1:{server.ports['open-tls']}", "--ca",
                    str(server.root_certificate), "--certificate", str(device.certificate_file),
                    "--private-key", str(device.key_file)]
        self.round = 0

    def start(self, mode, *more, nice=FLOOD_NICE):
        self.round += 1
        return subprocess.Popen(
            ["taskset", "-c", str(LOAD_CPU), "nice", "-n", str(nice), str(self.program), mode,
             *self.tls, "--name", f"{mode}{self.round}", *map(str, more)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def healthy(self, seconds, flood=None):
        """Figures of the healthy clients; `flood()` starts beside them, once they are there."""
        more = ["--durable"] if self.options.durable else []
        healthy = self.start("healthy", "--seconds", seconds, "--count", HEALTHY_CLIENTS, "--rate",
                             HEALTHY_RATE, *more, nice=0)
        if healthy.stdout.readline() != "ready\n":
            sys.exit("the healthy clients could not connect")
        process = flood() if flood else None
        text = healthy.stdout.readline()
        if not text:
            sys.exit("the healthy clients ended without figures")
        figures = json.loads(text)
        healthy.wait()
        return figures, process

    def capacity(self):
        """Handshakes a second that this server does for this load, with nothing else to do."""
        process = self.start("tls", "--seconds", CAPACITY_SECONDS, "--rate", 20_000, nice=0)
        figures = json.loads(process.stdout.readline())
        process.wait()
        return figures["accepted"] / figures["seconds"]


def shed(server):
    found = {}
    for line in server.metrics_get("/metrics")[1].splitlines():
        if line.startswith(SHED + "{"):
            label, number = line.split("} ")
            found[label.split('"')[1]] = float(number)
    return found


def settle(server):
    """Until what a flood has left is gone."""
    wait_until(lambda: server.metric("skerry_connections_open") == 0, "all are closed", 60, 0.2)
    time.sleep(0.5)


def measure(floods, name, seconds, arguments):
    """One run under one flood: the figures of the healthy ones and of the flood."""
    server = floods.server
    before, cpu = shed(server), cpu_seconds(server.pid)
    figures, process = floods.healthy(seconds, lambda: floods.start(*arguments))
    cpu = cpu_seconds(server.pid) - cpu
    text = process.stdout.readline()
    process.stdin.close()
    process.wait()
    told = json.loads(text) if text else {}
    reasons = {reason: int(count - before.get(reason, 0)) for reason, count in shed(server).items()
               if count > before.get(reason, 0)}
    print(f"  {name}: p50 {figures['p50_ms']:.2f}, p99 {figures['p99_ms']:.2f}, PUBACK p99 "
          f"{figures['ack_p99_ms']:.2f}, max {figures['max_ms']:.1f} ms; lost "
          f"{figures['lost_connections']}, undelivered {figures['undelivered']}; server "
          f"{cpu:.1f} s of CPU; flood {told}; shed {reasons}", flush=True)
    return figures, told


def scenarios(options, capacity):
    slow = ["slow", "--seconds", 12, "--count", 2_000]
    return {
        "reset": (20, ["reset", "--seconds", 20, "--rate", 5_000]),
        "tls": (12, ["tls", "--seconds", 13, "--rate", int(2 * capacity)]),
        "slow": (12, slow),
        "many": (12, [*slow, "--hosts", 200]),
        "storm": (30, ["storm", "--seconds", 60, "--count", options.fleet]),
    }


def p99(figures):
    return max(figures["p99_ms"], figures["ack_p99_ms"])


def run_all(floods, options):
    """{name: [p99 of each run]}"""
    capacity = floods.capacity()
    settle(floods.server)
    print(f"the server does {capacity:.0f} handshakes a second for this load", flush=True)
    results, failures = {"quiet": []}, []
    chosen = {name: each for name, each in scenarios(options, capacity).items()
              if name in options.only.split(",")}
    for number in range(options.runs):
        print(f"run {number + 1}", flush=True)
        quiet, _ = floods.healthy(10)
        print(f"  quiet: p50 {quiet['p50_ms']:.2f}, p99 {quiet['p99_ms']:.2f}, PUBACK p99 "
              f"{quiet['ack_p99_ms']:.2f}, max {quiet['max_ms']:.1f} ms", flush=True)
        results["quiet"].append(p99(quiet))
        settle(floods.server)
        for name, (seconds, arguments) in chosen.items():
            figures, told = measure(floods, name, seconds, arguments)
            results.setdefault(name, []).append(p99(figures))
            if figures["lost_connections"] or figures["undelivered"]:
                failures.append(f"{name}: healthy clients lost connections or messages")
            if name == "storm" and told.get("accepted", 0) < options.fleet:
                failures.append("storm: not all came back")
            settle(floods.server)
    return results, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binaries")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="reset,tls,slow,many,storm")
    parser.add_argument("--fleet", type=int, default=5_000)
    parser.add_argument("--durable", action="store_true",
                        help="persistent subscribers: every message waits for the disk")
    parser.add_argument("--limits", default="{}", help="JSON of limits for the server")
    options = parser.parse_args()
    raise_descriptor_limit()
    server = Server(options.binaries, listeners=[open_tls_listener()], start=False,
                    overrides={"limits": json.loads(options.limits)})
    server.configuration["cores"] = 1
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CPU})  # inherited by the server
    with server:
        server.start()
        os.sched_setaffinity(0, {LOAD_CPU})
        device = pki.Device.enrolled(server, "flood")
        results, failures = run_all(Floods(server, device, options), options)
        print(f"peak RSS of the server {status_bytes(server.pid, 'VmHWM') / 1e6:.0f} MB")
    os.sched_setaffinity(0, mine)
    quiet = statistics.median(results["quiet"])
    for name, values in results.items():
        median = statistics.median(values)
        good = median <= max(GOAL_RATIO * quiet, GOAL_MS)
        print(f"{name}: median p99 {median:.2f} ms, {median / quiet:.1f} times quiet"
              + ("" if good else "  MISSED"))
        if not good:
            failures.append(f"{name}: p99 {median:.1f} ms")
    print("\n".join(failures) or "every goal is met")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
