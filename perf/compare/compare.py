#!/usr/bin/env python3
"""Skerry beside the brokers that Debian and npm offer, and beside a relay that is the floor: one load
(skerry-bench), one machine, in turns. Writes docs/performance.md with its charts.
Usage: compare.py [--binaries DIR] [--npm DIR] [--rounds 5] [--seconds 4] [--out DIR]
                  [--brokers NAME,…] [--scenarios NAME,…] [--goals NAME,…]

Broker on core 0, load on core 1. In each round each broker runs the scenario once, so that a ratio
compares what ran within the same half minute; medians over the rounds. Then the goals of goals.py, on
servers of their own. Exit code 1 when a row that Skerry must hold, or a goal, is missed by more than 5 %.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
import document  # noqa: E402
import goals  # noqa: E402
from launch import LOAD_CORE, Broker, pinned  # noqa: E402

TOLERANCE = 1.05


def run_load(program, broker, scenario, options):
    command = [str(program), "--json", "--url", f"mqtt://127.0.0.1:{broker.port}", "--pid",
               str(broker.pid), "--version-of-mqtt", str(broker.mqtt), "--seconds",
               str(options.seconds), "--warm-up", "1", *map(str, scenario["run"])]
    answer = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(LOAD_CORE),
                            timeout=300, check=False)
    if answer.returncode != 0:
        said = (answer.stderr.strip() or answer.stdout.strip())[-300:]
        return {"error": said}
    return json.loads(answer.stdout)


def measure(scenario, brokers, options):
    """{broker: [figures of each round]}"""
    seen = {}
    for number in range(options.rounds):
        for broker in brokers:
            if scenario["name"] in broker.skip or (broker.few and number > 0):
                continue
            if any("error" in one for one in seen.get(broker.name, ())):
                continue
            figures = run_load(options.binaries / "skerry-bench", broker, scenario, options)
            seen.setdefault(broker.name, []).append(figures)
            cost = figures.get("broker_cpu_seconds_per_million", float("nan"))
            print(f"{scenario['name']:4} round {number + 1} {broker.name:10} "
                  + (figures.get("error") or f"{cost:8.3f} CPU-s/M "
                     f"{figures['delivered_per_second'] / 1000:8.0f} k/s"), flush=True)
            time.sleep(0.2)
    return seen


def ratio(seen, above, below):
    """Median over the rounds of one broker's cost by another's of the same round."""
    cost = "broker_cpu_seconds_per_million"
    pairs = zip(seen.get(above, ()), seen.get(below, ()))
    found = [a[cost] / b[cost] for a, b in pairs if a.get(cost) and b.get(cost)]
    return statistics.median(found) if found else None


def judge(scenario, seen):
    """The row's ratios and whether what must hold holds."""
    to_mosquitto = ratio(seen, "skerryd", "mosquitto")
    to_relay = ratio(seen, "skerryd", "relay")
    must, target = scenario.get("must"), scenario.get("target")
    return {"to_mosquitto": to_mosquitto, "to_relay": to_relay, "must": must, "target": target,
            "holds": must is None or (to_mosquitto is not None and
                                      to_mosquitto <= must * TOLERANCE),
            "hits": target is None or (to_relay is not None and to_relay <= target * TOLERANCE)}


def chosen(blocks, names):
    if names is None:
        return blocks
    wanted = [name for name in names.split(",") if name]
    if unknown := set(wanted) - {block["name"] for block in blocks}:
        sys.exit(f"there is no {', '.join(sorted(unknown))}")
    return [block for block in blocks if block["name"] in wanted]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--npm", type=pathlib.Path, default=ROOT / "build/bench/npm")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--brokers")
    parser.add_argument("--scenarios", help="names with commas; none: \"\" and --goals")
    parser.add_argument("--goals", help=f"of {', '.join(goals.GOALS)}; without: all")
    options = parser.parse_args()
    wanted_goals = list(goals.GOALS) if options.goals is None else \
        [name for name in options.goals.split(",") if name]
    if unknown := set(wanted_goals) - set(goals.GOALS):
        sys.exit(f"there is no goal {', '.join(sorted(unknown))}")
    options.binaries = options.binaries.resolve()
    blocks = chosen(yaml.safe_load((HERE / "brokers.yaml").read_text())["brokers"],
                    options.brokers)
    scenarios = chosen(yaml.safe_load((HERE / "scenarios.yaml").read_text())["scenarios"],
                       options.scenarios)
    brokers, rows = [], []
    load_before = os.getloadavg()[0]
    try:
        for block in blocks:
            broker = Broker(block, {"binaries": options.binaries, "npm": options.npm.resolve()})
            brokers.append(broker)
            broker.start()
        for scenario in scenarios:
            seen = measure(scenario, brokers, options)
            rows.append({"scenario": scenario, "seen": seen, "verdict": judge(scenario, seen)})
        versions = {broker.name: broker.version() for broker in brokers}
    finally:
        for broker in brokers:
            broker.close()
    titles = {broker.name: broker.title for broker in brokers}
    goal_rows = goals.run(options, wanted_goals)
    document.write(options, {"rows": rows, "goals": goal_rows, "titles": titles,
                             "versions": versions, "load": load_before})
    missed = [row["scenario"]["name"] for row in rows if not row["verdict"]["holds"]]
    missed += [row["what"] for row in goal_rows if not row["holds"]]
    print("every row holds" if not missed else f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
