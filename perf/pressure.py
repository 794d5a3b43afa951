#!/usr/bin/env python3
"""Clients that would push a server over: in each trial the resident memory of the server stays inside
its budget, healthy clients beside it are served in time, and what is missing at a receiver is what
the counters of drops say. Prints a table; exit code 1 when one of these does not hold: memory above
the budget, a healthy client's p99 above 3 times quiet and above 20 ms, a count that is wrong.
Usage: pressure.py [--binaries DIR] [--budget-mib 512] [--scale 1.0] [--runs 1] [trial ...]

Counts are those of `--scale 1`: 1 GB to clients that never read (QoS 0; QoS 1, connected or away),
1,000 slow clients (QoS 0 and 1), 1,000,000 filters, 1,000,000 topics, wildcards over as many
retained ones, a slow reader of all these. The server, with two cores, has the first processor, and
who floods it the second, at nice 19 beside the healthy clients that are measured. Of several runs
the median p99 counts.
"""
import argparse
import os
import statistics
import sys
import time

from idle import raise_descriptor_limit
from pressure_clients import (DROPS, MEBI, REFUSALS, USES, Beside, Counts, Failed, counted,
                              set_niceness)
from pressure_trials import TRIALS, row
from server import Server, plain_listener

SERVER_CPU, LOAD_CPU = (sorted(os.sched_getaffinity(0)) * 2)[:2]
GOAL_RATIO, GOAL_SECONDS = 3.0, 0.020
QUIET_SECONDS = 3.0


def quiet(server):
    counts = Counts(server)
    with Beside(server) as beside:
        time.sleep(QUIET_SECONDS)
    return row("quiet", beside, counts, 0, None)


def show(each, budget):
    causes = {**each.dropped, **{f"refused {what}": n for what, n in each.refused.items()}}
    said = ", ".join(f"{name} {number:,}" for name, number in causes.items()) or "-"
    missing = "" if each.missing is None else f"{each.missing:,}"
    side = each.beside
    print(f"{each.trial:24} {side.peak / MEBI:4.0f} of {budget / MEBI:.0f} MiB  p50 "
          f"{side.p50 * 1e3:6.2f} p99 {side.p99 * 1e3:7.2f} max {side.worst * 1e3:7.1f} ms  sent "
          f"{each.sent:>9,} missing {missing:>9}  {said}  {each.note}", flush=True)


def overrides(budget_mib):
    return {"limits": {"memory": f"{budget_mib}MiB", "session_queue_messages_max": 2_000_000,
                       "session_queue_bytes_max": "4GiB", "keep_alive_max": "0s"}}


def start(binaries, budget_mib):
    os.sched_setaffinity(0, {SERVER_CPU})
    try:
        return Server(binaries, overrides=overrides(budget_mib), listeners=[plain_listener()])
    finally:
        os.sched_setaffinity(0, {LOAD_CPU})


def run_trial(binaries, budget_mib, scale, name):
    """The rows, the first of them quiet, and what failed, but for latencies."""
    failed = []
    with start(binaries, budget_mib) as server:
        rows = [quiet(server)]
        show(rows[0], budget_mib * MEBI)
        set_niceness(19)
        try:
            result = TRIALS[name](server, scale)
            rows += result if isinstance(result, list) else [result]
        except (Failed, OSError, TimeoutError) as error:
            failed.append(f"{name}: {error}; refused {dict(+counted(server, REFUSALS))}, dropped "
                          f"{dict(+counted(server, DROPS))}, used {dict(counted(server, USES))}")
            print(failed[-1], flush=True)
        finally:
            set_niceness(0)
        for each in rows:
            if each.beside.peak > budget_mib * MEBI:
                failed.append(f"{name}: {each.beside.peak / MEBI:.0f} MiB were resident")
    for each in rows[1:]:
        show(each, budget_mib * MEBI)
    return rows, failed


def late(rows):
    """What took a healthy client too long: rows of all runs by trial, medians of them."""
    quiet_p99 = statistics.median(each.beside.p99 for each in rows if each.trial == "quiet")
    failed = []
    for trial in dict.fromkeys(each.trial for each in rows):
        p99 = statistics.median(each.beside.p99 for each in rows if each.trial == trial)
        if p99 > max(GOAL_RATIO * quiet_p99, GOAL_SECONDS):
            failed.append(f"{trial}: p99 of healthy clients {p99 * 1e3:.1f} ms, "
                          f"{p99 / quiet_p99:.1f} times quiet")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries")
    parser.add_argument("--budget-mib", type=int, default=512)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("trials", nargs="*", choices=[[], *TRIALS], default=[])
    options = parser.parse_args()
    raise_descriptor_limit()
    rows, failed = [], []
    for _ in range(options.runs):
        for name in options.trials or TRIALS:
            more, wrong = run_trial(options.binaries, options.budget_mib, options.scale, name)
            rows += more
            failed += wrong
    sys.exit("\n".join(failed + late(rows)) or 0)


if __name__ == "__main__":
    main()
