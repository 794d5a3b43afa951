"""The log of the crash lab: a JSON line for each cycle of each run, appended for good, and the sum
of all of them. Usage: runlog.py LOG [--since TIME] prints the table."""
import argparse
import collections
import json
import pathlib

import history


def append(path, line):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as log:
        log.write(json.dumps(line) + "\n")


def read(path, since=""):
    """The lines of cycles; one that a kill of the lab itself has torn is passed over."""
    if not path.exists():
        return
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line.get("run", "") >= since:
            yield line


class Sum:
    """What the cycles of one mode and version come to."""

    def __init__(self):
        self.cycles, self.seconds, self.runs = 0, 0.0, set()
        self.figures, self.findings = collections.Counter(), collections.Counter()
        self.loss, self.down = collections.Counter(), []

    def add(self, line):
        self.cycles += 1
        self.seconds += line["seconds"]
        self.runs.add((line["run"], line["seed"]))
        self.figures.update(line["figures"])
        self.findings.update(line["findings"])
        self.loss.update(line.get("loss", {}))
        if line.get("down_seconds"):
            self.down.append(line["down_seconds"])

    def show(self, title):
        figures = self.figures
        print(f"{title}: {self.cycles:,} cycles in {len(self.runs)} runs, {self.seconds:,.0f} s; "
              f"{figures['crashes'] - figures['power losses']:,} kill -9, "
              f"{figures['power losses']:,} power losses, {figures['pauses']:,} SIGSTOP, "
              f"{figures['full disks']:,} full disks, {figures['take-overs']:,} take-overs")
        for qos in (1, 2):
            print(f"  QoS {qos}: sent {figures[f'sent QoS {qos}']:,}, acknowledged "
                  f"{figures[f'acknowledged QoS {qos}']:,}")
        print(f"  delivered {figures['received']:,}, of these again at QoS 1 "
              f"{figures['received again'] - self.findings[history.DOUBLED]:,}; owed and judged "
              f"{figures['judged']:,}; refused {figures['refused']:,}; retained read "
              f"{figures['retained read']:,}; connects {figures['connects']:,}")
        print(f"  wills taken {figures['wills taken']:,}, due and judged {figures['wills judged']:,}"
              f", not due {figures['wills off']:,}; samples acknowledged "
              f"{figures['samples acknowledged']:,}, judged {figures['samples judged']:,}")
        if figures["power losses"]:
            print(f"  lost with the power: {self.loss['bytes_lost']:,} bytes of "
                  f"{self.loss['files_cut']:,} files ({self.loss['files_torn']:,} torn), "
                  f"{self.loss['operations_undone']:,} of {self.loss['operations_pending']:,} "
                  "unsynced directory operations")
        if figures["windows"]:
            print(f"  interval: {figures['acknowledged in the window']:,} acknowledged within the "
                  f"{figures['window ms'] / figures['windows']:.0f} ms (mean) that the server said "
                  f"it may lose, of which {figures['lost in the window']:,} deliveries and samples "
                  "were lost")
        if self.down:
            down = sorted(self.down)
            print(f"  from kill to serving again: median {down[len(down) // 2]:.2f} s, "
                  f"longest {down[-1]:.2f} s")
        print("  " + ", ".join(f"{kind} {self.findings[kind]}" for kind in history.KINDS))


def summary(path, since=""):
    """Prints the table; the number of findings."""
    sums = collections.defaultdict(Sum)
    for line in read(path, since):
        # What is planted, or asked for, is no verdict on the server.
        if line.get("plant") is None and line.get("sync") != "none" and not line.get("window"):
            sums[line["mode"], line["version"]].add(line)
    total = Sum()
    for (mode, version), each in sorted(sums.items()):
        each.show(f"{mode}, {version}")
        total.cycles += each.cycles
        total.seconds += each.seconds
        total.runs |= each.runs
        total.down += each.down
        for mine, theirs in ((total.figures, each.figures), (total.findings, each.findings),
                             (total.loss, each.loss)):
            mine.update(theirs)
    if len(sums) > 1:
        total.show("all")
    found = sum(total.findings.values())
    print(f"verdict of {total.cycles:,} cycles: {'sound' if found == 0 else f'{found} findings'}",
          flush=True)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("--since", default="", help="only runs that began then or later, as logged")
    options = parser.parse_args()
    summary(options.log, options.since)
