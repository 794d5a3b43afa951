"""docs/performance.md and its charts, from what compare.py has seen."""
import os
import pathlib
import platform
import statistics
import time

COST = "broker_cpu_seconds_per_million"


def median(rounds, name):
    values = [one[name] for one in rounds if name in one]
    return statistics.median(values) if values else None


def number(value, digits=3):
    return "–" if value is None else f"{value:.{digits}g}"


def thousands(value):
    if value is None:
        return "–"
    return f"{value / 1000:,.0f}k" if value >= 10_000 else f"{value / 1000:.1f}k"


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} × {model}, {gibibytes:.0f} GiB, Linux {platform.release()}"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def verdict_table(rows):
    out = []
    for row in rows:
        verdict = row["verdict"]
        out.append([
            f"{row['scenario']['name']} {row['scenario']['title']}",
            number(verdict["to_mosquitto"]), number(verdict["must"]),
            "–" if verdict["must"] is None else ("holds" if verdict["holds"] else "**missed**"),
            number(verdict["to_relay"]), number(verdict["target"]),
            "–" if verdict["target"] is None else ("hit" if verdict["hits"] else "missed")])
    return table(["scenario", "× Mosquitto", "must", "", "× relay", "target", ""], out)


def broker_table(rows, titles, name, form):
    names = list(titles)
    out = []
    for row in rows:
        cells = []
        for broker in names:
            rounds = row["seen"].get(broker, [])
            failed = any("error" in one for one in rounds)
            cells.append("failed" if failed else form(median(rounds, name)))
        out.append([row["scenario"]["name"], *cells])
    return table(["", *(titles[broker] for broker in names)], out)


def latency_table(rows, titles):
    names = list(titles)
    out = []
    for row in rows:
        cells = []
        for broker in names:
            rounds = row["seen"].get(broker, [])
            half, most = (median(rounds, f"latency_{q}_us") for q in ("p50", "p99"))
            cells.append("–" if half is None else f"{half:,.0f} / {most:,.0f}")
        out.append([row["scenario"]["name"], *cells])
    return table(["", *(titles[broker] for broker in names)], out)


def goal_table(goals):
    return table(["goal", "must be", "is", ""],
                 [[goal["what"], goal["goal"], goal["figure"],
                   "–" if goal["goal"] in ("reported", "small") else
                   "holds" if goal["holds"] else "**missed**"] for goal in goals])


def chart(path, rows, titles):
    """CPU time per million messages of each broker, by scenario, logarithmic. No script in it."""
    import pygal
    from pygal.style import Style
    style = Style(background="transparent", plot_background="transparent", font_family="sans-serif",
                  foreground="#57606a", foreground_strong="#24292f", foreground_subtle="#8c959f",
                  opacity="0.9", colors=("#8c959f", "#0969da", "#bf3989", "#1a7f37", "#bc4c00",
                                         "#8250df"))
    bars = pygal.Bar(style=style, logarithmic=True, width=1000, height=440, legend_at_bottom=True,
                     legend_at_bottom_columns=len(titles), js=(), disable_xml_declaration=True,
                     pretty_print=True, show_y_guides=True, no_prefix=True,
                     y_title="CPU seconds per million messages")
    bars.x_labels = [row["scenario"]["name"] for row in rows]
    for broker, title in titles.items():
        bars.add(title, [median(row["seen"].get(broker, []), COST) for row in rows])
    path.write_text(bars.render(is_unicode=True))


TEXT = """# Performance, beside what you would pick instead

This file is written by `make bench`; a stranger with a machine like this gets the same ratios.

* **Machine**: {machine}. Load average before the run: {load:.1f}.
* **Method**: broker on core 0, load (`skerry-bench`) on core 1, loopback, {rounds} rounds of {seconds:g} s after a second of
  warm-up, all brokers in turns within a round; medians. W: messages of a publisher under way at a time, a closed loop. NATS,
  RabbitMQ and Aedes ran one round.
* **Skerry** ran as it always does: a listener with a policy that every message is judged by, metrics, the twin listening.
* **The relay** only finds where packets end and passes bytes on: what no broker can go below on this kind of machine.
* **Versions**: {versions}.

CPU seconds of the broker per million delivered messages is the figure to hold on to; messages a second depend on what else
the machine does.

## Skerry against its goals

{verdicts}

![CPU seconds per million messages](images/performance-cpu.svg)

## Its other goals

Each on a server of its own, core 0, the load on core 1 (two cores: both on both); ratios are medians of rounds in turns.
Mosquitto keeps everything in memory.

{goals}

## CPU seconds per million delivered messages

{cost}

## Delivered messages a second

{rate}

## Latency, p50 / p99, microseconds

{latency}

## Resident memory at the end, MiB

{memory}

What the scenarios are: [perf/compare/scenarios.yaml](../perf/compare/scenarios.yaml); how each broker is started:
[perf/compare/brokers.yaml](../perf/compare/brokers.yaml); how the other goals are measured: [perf/compare/goals.py](../perf/compare/goals.py).
"""


def write(options, found):
    rows, titles, versions = found["rows"], found["titles"], found["versions"]
    images = options.out / "images"
    images.mkdir(parents=True, exist_ok=True)
    if rows:
        chart(images / "performance-cpu.svg", rows, titles)
    failures = [f"* {titles[name]}, {row['scenario']['name']}: {one['error']}"
                for row in rows for name, rounds in row["seen"].items()
                for one in rounds if "error" in one]
    text = TEXT.format(
        machine=machine(), load=found["load"], rounds=options.rounds, seconds=options.seconds,
        versions=", ".join(f"{titles[name]} {version}" for name, version in versions.items()
                           if version),
        verdicts=verdict_table(rows), goals=goal_table(found["goals"]),
        cost=broker_table(rows, titles, COST, number),
        rate=broker_table(rows, titles, "delivered_per_second", thousands),
        latency=latency_table(rows, titles),
        memory=broker_table(rows, titles, "broker_resident_mib", lambda v: number(v, 3)))
    if failures:
        text += "\n## What failed\n\n" + "\n".join(failures) + "\n"
    (options.out / "performance.md").write_text(text)
    print(f"written: {options.out / 'performance.md'} ({time.strftime('%H:%M')})")
