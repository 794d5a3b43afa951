#!/usr/bin/env python3
"""Import of many devices: seconds of a dry run, of the import, of importing the same again, of both
exports and of a restart; memory per device. Exit code 1 when the goal is missed.
Usage: import.py [--binaries DIR] [--devices 100000]
"""
import argparse
import hashlib
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
from idle import cpu_seconds, status_bytes  # noqa: E402
from server import Server  # noqa: E402

GOAL_SECONDS = 60.0
SITES = ("north", "south", "east", "west")


def line(number):
    return {"id": f"pump-{number:06}", "name": f"Pump {number}", "model": f"p{number % 7}",
            "serialNumber": f"SN{number:08}", "tags": ["lab", f"hall-{number % 40}"],
            "attributes": {"site": SITES[number % 4], "floor": str(number % 9)},
            "keys": [hashlib.sha256(str(number).encode()).hexdigest()]}


def measure(server, what, method, target, body=None, headers=None):
    headers = {"Authorization": "Bearer " + (server.token or server.log_in()), **(headers or {})}
    cpu, begin = cpu_seconds(server.pid), time.monotonic()
    status, _, answer = server.raw_rest(method, "/api/v1/devices:" + target, body, headers)
    seconds = time.monotonic() - begin
    if status != 200:
        sys.exit(f"{what} was answered with {status}: {answer[:500]!r}")
    print(f"{what:24} {seconds:7.2f} s  {cpu_seconds(server.pid) - cpu:6.2f} s CPU"
          f"  {len(answer) / 1e6:7.1f} MB answered", flush=True)
    return seconds, answer


def summary(answer):
    return json.loads(answer.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries")
    parser.add_argument("--devices", type=int, default=100_000)
    options = parser.parse_args()
    file = "".join(json.dumps(line(number)) + "\n" for number in range(options.devices)).encode()
    kind = {"Content-Type": "application/x-ndjson"}
    with Server(options.binaries) as server:
        before = status_bytes(server.pid, "VmRSS")
        _, tried = measure(server, "dry run", "POST", "import?dryRun=true", file, kind)
        seconds, stored = measure(server, "import", "POST", "import", file, kind)
        assert tried.splitlines()[:-1] == stored.splitlines()[:-1], "the dry run said otherwise"
        assert summary(stored)["created"] == options.devices, summary(stored)
        _, again = measure(server, "the same again", "POST", "import?onConflict=update", file, kind)
        assert summary(again)["unchanged"] == options.devices, summary(again)
        for accept in ("application/x-ndjson", "text/csv"):
            measure(server, f"export, {accept.split('/')[1]}", "GET", "export", None,
                    {"Accept": accept})
        begin = time.monotonic()
        server.restart()
        print(f"{'restart':24} {time.monotonic() - begin:7.2f} s", flush=True)
        after = status_bytes(server.pid, "VmRSS")
        print(f"{'memory':24} {(after - before) / options.devices / 1000:7.2f} kB a device, with "
              "the index of filters and the store's caches")
        assert server.metric("skerry_devices") == options.devices
    print(f"goal: import under {GOAL_SECONDS:g} s: {'met' if seconds < GOAL_SECONDS else 'MISSED'}")
    return 0 if seconds < GOAL_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
