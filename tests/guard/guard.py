#!/usr/bin/env python3
"""Counts the instructions that the server spends on a message, scenario by scenario, and compares them
with counts.json. Times depend on the machine and on who else works on it; these counts do not.

Usage: guard.py --program skerry-guard --compiler NAME [--scenarios a1,…] [--update]
                [--plant copy --expect-failure] [--profile SCENARIO]

Exit code 0: no count is more than the tolerance above its own; 1: one is; 77: counts.json has none
for this compiler (another compiler makes other code: add its counts with --update). --profile shows
where the instructions go.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

COUNTS = pathlib.Path(__file__).resolve().parent / "counts.json"
SCENARIOS = ["a1", "a2", "a3", "b1", "b2", "c1", "c2", "d", "durable", "t"]
SKIPPED = 77
TOLERANCE = 0.02
# memcpy and its like choose their code by the processor; one choice for all machines.
TUNABLES = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-ERMS,-FSRM"


def run(program, scenario, plant, out, *, warm=True):
    """Messages of one run under callgrind, which writes `out`. With `warm` it counts from behind the
    connecting on; then its file has no functions."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
               "--collect-atstart=no", "--toggle-collect=skerry_guard_turn",
               *(["--zero-before=skerry_guard_zero"] if warm else []), str(program), scenario]
    if plant:
        command += ["--plant", plant]
    answer = subprocess.run(command, capture_output=True, text=True, check=False,
                            env={**os.environ, "GLIBC_TUNABLES": TUNABLES})
    if answer.returncode != 0:
        sys.exit(f"{scenario}: {answer.stderr[-2000:]}")
    return int(answer.stdout)


def count(program, scenario, plant):
    """Instructions a message."""
    with tempfile.TemporaryDirectory(prefix="skerry-guard-") as directory:
        out = pathlib.Path(directory) / "out"
        messages = run(program, scenario, plant, out)
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(errors="replace"), re.M)
        if messages == 0 or found is None or int(found[1]) == 0:
            sys.exit(f"{scenario}: nothing was counted")
        return round(int(found[1]) / messages, 1)


def profile(program, scenario):
    with tempfile.TemporaryDirectory(prefix="skerry-guard-") as directory:
        out = pathlib.Path(directory) / "out"
        messages = run(program, scenario, None, out, warm=False)
        print(f"{scenario}: {messages} messages, and what came before them", flush=True)
        for how in ("--inclusive=yes", "--inclusive=no"):
            subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=97", how, str(out)],
                           check=True)


def judge(known, seen):
    """Prints a line for each scenario; the names of those that have become dearer."""
    dearer = []
    for scenario, now in seen.items():
        before = known.get(scenario)
        if before is None:
            print(f"{scenario:8} {now:10.1f}  has no count yet: `make guard-update`")
            dearer.append(scenario)
            continue
        change = now / before - 1
        word = ""
        if change > TOLERANCE:
            word = "  DEARER"
            dearer.append(scenario)
        elif change < -TOLERANCE:
            word = "  cheaper: hold on to it with `make guard-update`"
        print(f"{scenario:8} {now:10.1f}  was {before:10.1f}  {change:+7.2%}{word}")
    return dearer


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True, help="name, version and options")
    parser.add_argument("--scenarios")
    parser.add_argument("--plant", choices=["copy"])
    parser.add_argument("--expect-failure", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--profile")
    options = parser.parse_args()
    if options.profile:
        return profile(options.program, options.profile)
    compiler = f"{options.compiler.strip()} {platform.machine()}"
    stored = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
    if compiler not in stored and not options.update:
        print(f"skipped: {COUNTS.name} has no counts for {compiler}; `make guard-update` adds them")
        return SKIPPED
    scenarios = options.scenarios.split(",") if options.scenarios else SCENARIOS
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda name: count(options.program, name, options.plant), scenarios)
        seen = dict(zip(scenarios, found))
    dearer = judge(stored.get(compiler, {}), seen)
    if options.update:
        stored.setdefault(compiler, {}).update(seen)
        COUNTS.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
        print(f"written: {COUNTS.name}, for {compiler}")
        return 0
    if options.expect_failure:
        print("found" if dearer else "the guard has not found what was planted")
        return 0 if dearer else 1
    if dearer:
        print(f"instructions a message have grown by more than {TOLERANCE:.0%}: {', '.join(dearer)}."
              " See where: guard.py --profile SCENARIO. If it must be so: `make guard-update`, and"
              " say why in the commit")
    return 1 if dearer else 0


if __name__ == "__main__":
    sys.exit(main())
