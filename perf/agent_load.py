#!/usr/bin/env python3
"""What the agent costs a device: memory while it only collects, while it keeps ROWS rows of another
program with the gateway away, and while it hands them over; rows a second and CPU of both. Fails
above 15 MB resident."""
import argparse
import json
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
from agent import Agent  # noqa: E402
from server import Server, wait_until  # noqa: E402

RESIDENT_MAX = 15 * 1000 * 1000
LINES_AT_ONCE = 100


def cpu_seconds(agent):
    fields = pathlib.Path(f"/proc/{agent.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tell(agent, rows):
    base = int(time.time() * 1000) - rows  # a millisecond each, none in the future
    with agent.connect_socket() as client:
        answers = client.makefile("r")
        for first in range(0, rows, LINES_AT_ONCE):
            client.sendall(b"".join(
                b'{"values":{"n":%d,"m":%d.5},"ts":%d}\n' % (row, row, base + row)
                for row in range(first, first + LINES_AT_ONCE)))
            for _ in range(LINES_AT_ONCE):
                assert answers.readline() == '{"ok":true}\n'


def rows_of(server, agent):
    answer = server.rest("GET", f"/api/v1/devices/{agent.id}/telemetry?keys=system.uptime&from=-1h")
    return sum(len(series["samples"]) for series in answer["series"])


def newest(server, agent):
    items = server.rest("GET", f"/api/v1/devices/{agent.id}/telemetry/latest?keys=n")["items"]
    return items[0]["value"] if items else -1


def timed(agent, rows, what, work):
    begin, cpu = time.monotonic(), cpu_seconds(agent)
    work()
    passed = time.monotonic() - begin
    resident = agent.resident_bytes()
    print(f"{what}: {rows / passed:,.0f} rows/s, {(cpu_seconds(agent) - cpu) * 1e6 / rows:.1f} CPU-us a "
          f"row, {resident / 1e6:.1f} MB resident", flush=True)
    return resident


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rows", type=int, default=40_000)
    words.add_argument("--binaries", default="build/release/bin")
    options = words.parse_args()
    os.environ["SKERRY_BINARIES"] = options.binaries
    with Server() as server:
        token = server.rest("POST", "/api/v1/enrolment-tokens", {"deviceId": "pump-7"})["token"]
        agent = Agent(server, "pump-7", token, {"telemetry": {"interval": "1s"}}).start()
        try:
            agent.wait_for("connected")
            wait_until(lambda: rows_of(server, agent) >= 5, "five rows of all collectors")
            most = agent.resident_bytes()
            print(f"collecting: {most / 1e6:.1f} MB resident", flush=True)
            server.kill9()
            most = max(most, timed(agent, options.rows, "keeping", lambda: tell(agent, options.rows)))
            server.start()
            most = max(most, timed(agent, options.rows, "handing over", lambda: wait_until(
                lambda: newest(server, agent) == options.rows - 1, "all has arrived", 120)))
            print(json.dumps({"rows": options.rows, "resident_bytes_max": most}))
        finally:
            agent.close()
    return most > RESIDENT_MAX


if __name__ == "__main__":
    sys.exit(main())
