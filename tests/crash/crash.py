#!/usr/bin/env python3
"""The crash lab: skerryd under mixed QoS 1 and 2 load is killed with -9 at random moments and
started again on the same data, while clients that keep their state go on; history.py judges all
that they saw. Usage: crash.py --cycles N [--binaries DIR] [--seed S] [--log FILE] [--keep DIR]

One cycle is one kill -9 (some with a second one during the restart). About every other cycle, and
the last, ends with a drain: everybody is connected, everything acknowledged, and what is missing
then is lost. Exit code 1 on any finding; its history and the data directory are kept then.
"""
import argparse
import asyncio
import datetime
import json
import pathlib
import random
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
import history  # noqa: E402
from actors import Publisher, Recorder, Subscriber, delete_session, read_retained  # noqa: E402
from server import ROOT, Server, plain_listener  # noqa: E402

PUBLISHERS = 6
QUIET_SECONDS = 15             # a drain that makes no progress for so long has failed
# (name, version, habit, filters with QoS, options)
SUBSCRIBERS = (
    ("live-5", 5, "live", [("load/#", 2), ("retained/+/live1", 1)], {}),
    ("live-4", 4, "live", [("load/#", 2)], {}),
    ("live-narrow", 5, "live", [("load/#", 1)], {"properties": {"receive_maximum": 3}}),
    ("flap-5", 5, "flap", [("load/#", 2), ("retained/+/live2", 2)], {}),
    ("flap-4", 4, "flap", [("load/+/a", 2)], {}),
    ("sleep-5", 5, "sleep", [("load/#", 2)], {}),
    ("sleep-4", 4, "sleep", [("load/+/b", 1)], {}),
    ("member-1", 5, "live", [("$share/workers/shared/#", 2)], {}),
    ("member-2", 5, "live", [("$share/workers/shared/#", 2)], {}),
    ("member-3", 5, "flap", [("$share/workers/shared/#", 2)], {}),
    ("member-4", 5, "sleep", [("$share/night/shared/#", 2)], {}),
    ("member-5", 5, "sleep", [("$share/night/shared/#", 2)], {}),
)


class World:
    """All actors, the server, the judge."""

    def __init__(self, server, seed):
        self.server, self.port = server, server.ports["plain"]
        self.random = random.Random(seed)
        self.judge = history.Judge()
        self.record = Recorder(self.judge)
        self.load_on = asyncio.Event()
        self.late, self.readers = [], 0
        self.publishers = [Publisher(self, f"p{i}", (5, 4)[i % 2], (1, 5, 20, 50)[i % 4])
                           for i in range(PUBLISHERS)]
        self.subscribers = [Subscriber(self, name, version, habit, filters, **options)
                            for name, version, habit, filters, options in SUBSCRIBERS]

    @property
    def actors(self):
        return [*self.publishers, *self.subscribers, *self.late]

    async def everybody_in(self):
        for actor in self.actors:
            actor.wanted.set()
        for actor in self.actors:
            await asyncio.wait_for(actor.subscribed.wait(), 60)

    async def in_thread(self, function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)

    def begin_load(self):
        for subscriber in self.subscribers:
            if subscriber.habit == "sleep":
                subscriber.leave(politely=self.random.random() < 0.5)
        self.load_on.set()

    async def add_late_subscriber(self, cycle):
        """Subscribes in the middle of the load: from its SUBACK on it is owed everything."""
        await asyncio.sleep(self.random.uniform(0.05, 0.8))
        topic = f"load/p{self.random.randrange(PUBLISHERS)}/#"
        subscriber = Subscriber(self, f"late-{cycle}", self.random.choice((4, 5)), "live",
                                [(topic, 2)])
        subscriber.wanted.set()
        self.late.append(subscriber)

    async def read_retained(self):
        self.readers += 1
        await read_retained(self, f"reader-{self.readers}")

    def check_alive(self):
        code = self.server.process.poll()
        if code is not None:
            self.judge.finding(history.DIED, f"exit {code}\n{self.server.tail()}")

    async def crash(self):
        """kill -9 and start again; sometimes killed a second time on the way up. Seconds down."""
        self.check_alive()
        self.server.kill9()
        began = time.monotonic()
        self.record("crashed")
        if self.random.random() < 0.2:
            await asyncio.sleep(self.random.uniform(0, 1))
        if self.random.random() < 0.25:
            self.server.start(wait=False)
            await asyncio.sleep(self.random.uniform(0.01, 0.6))
            self.check_alive()
            self.server.kill9()
            self.record("crashed")
        await self.in_thread(self.server.start)
        self.record("started")
        return time.monotonic() - began

    async def drain(self):
        """Stops the load, brings everybody in and waits until nothing is owed, or nothing moves."""
        self.load_on.clear()
        await self.everybody_in()
        moved, figures, calm = time.monotonic(), None, 0
        while calm < 5:
            await asyncio.sleep(0.05)
            now = dict(self.judge.figures)
            if now != figures:
                figures, moved, calm = now, time.monotonic(), 0
                continue
            owed = sum(p.client.unacknowledged for p in self.publishers)
            owed += sum(not actor.client.connected for actor in self.actors)
            if owed + self.judge.missing_now() == 0:
                calm += 1
            elif time.monotonic() - moved > QUIET_SECONDS:
                break
        self.record("drained")
        await self.read_retained()
        await self.dismiss_late()

    async def dismiss_late(self):
        late, self.late = self.late, []
        for subscriber in late:
            await subscriber.stop()
            await delete_session(self, subscriber.name, subscriber.client.version)

    async def stop(self):
        for actor in self.actors:
            await actor.stop()


async def one_cycle(world, number, is_last):
    """The line of the log for it."""
    began, before = time.monotonic(), world.judge.figures.copy()
    world.begin_load()
    late = asyncio.create_task(world.add_late_subscriber(number))
    load_seconds = world.random.uniform(0.3, 2.5)
    await asyncio.sleep(load_seconds)
    down_seconds = await world.crash()
    reading = asyncio.create_task(world.read_retained())
    await late
    drained = is_last or world.random.random() < 0.5
    if drained:
        await asyncio.sleep(world.random.uniform(0, 0.5))
        await reading
        await world.drain()
    now = world.judge.figures
    line = {"cycle": number, "load_seconds": round(load_seconds, 2),
            "down_seconds": round(down_seconds, 2), "judged": drained,
            "seconds": round(time.monotonic() - began, 1), "findings": dict(world.judge.counts)}
    for name in ("sent QoS 1", "sent QoS 2", "acknowledged QoS 1", "acknowledged QoS 2", "refused",
                 "received", "received again", "retained read", "crashes"):
        line[name.replace(" ", "_").lower()] = now[name] - before[name]
    return line


def say(line):
    sent = line["sent_qos_1"] + line["sent_qos_2"]
    acknowledged = line["acknowledged_qos_1"] + line["acknowledged_qos_2"]
    print(f"cycle {line['cycle']:3}: killed after {line['load_seconds']:4.2f} s, back after "
          f"{line['down_seconds']:4.2f} s; sent {sent:6,}, acknowledged {acknowledged:6,}, "
          f"delivered {line['received']:7,}, again {line['received_again']:4,}; "
          f"{'judged: ' if line['judged'] else 'so far: '}{sum(line['findings'].values())} findings",
          flush=True)


def verdict(judge, cycles, seconds):
    figures = judge.figures
    print(f"\n{cycles} cycles, {figures['crashes']} kills, {seconds:.0f} s")
    for qos in (1, 2):
        print(f"  QoS {qos}: sent {figures[f'sent QoS {qos}']:,}, acknowledged "
              f"{figures[f'acknowledged QoS {qos}']:,}")
    print(f"  delivered {figures['received']:,}, of these a second time (QoS 1) "
          f"{figures['received again'] - judge.counts[history.DOUBLED]:,}; deliveries owed and "
          f"judged {figures['judged']:,}; refused {figures['refused']:,}; "
          f"retained read {figures['retained read']:,}; connects {figures['connects']:,}")
    for kind in history.KINDS:
        print(f"  {kind:24}{judge.counts[kind]:8,}")
        for text in judge.texts[kind][:5]:
            print(f"      {text}")
    print("verdict: " + ("sound" if judge.found == 0 else f"{judge.found} findings"), flush=True)


def append(path, line):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as log:
        log.write(json.dumps(line) + "\n")


def keep(world, directory):
    """What is needed to understand a finding."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "history.jsonl", "w") as out:
        for event in world.record.events:
            out.write(json.dumps(event) + "\n")
    (directory / "findings.json").write_text(json.dumps(world.judge.texts, indent=1))
    (directory / "server.log").write_text(world.server.tail(2000))
    shutil.copytree(world.server.data_dir, directory / "data", dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("*.key", "*.sock"))
    for core in world.server.directory.glob("core*"):     # where `ulimit -c` allows them
        shutil.copy(core, directory)
    print(f"history, findings and data are kept in {directory}", flush=True)


async def run(options, server):
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    world, began = World(server, seed), time.monotonic()
    run_name = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    common = {"run": run_name, "seed": seed}
    await world.everybody_in()
    try:
        for number in range(1, options.cycles + 1):
            line = await one_cycle(world, number, number == options.cycles)
            append(options.log, {**common, **line})
            say(line)
            if world.judge.found and options.stop_at_finding:
                break
    except (RuntimeError, TimeoutError) as error:
        world.judge.finding(history.DIED, f"{type(error).__name__}: {error}")
    finally:
        seconds = time.monotonic() - began
        verdict(world.judge, number, seconds)
        append(options.log, {**common, "cycles": number, "seconds": round(seconds),
                             "figures": dict(world.judge.figures),
                             "findings": dict(world.judge.counts)})
        await world.stop()
        if world.judge.found:
            keep(world, options.keep)
    return world.judge.found == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--binaries", default=None)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--log", type=pathlib.Path, default=ROOT / "build/crash/log.jsonl")
    parser.add_argument("--keep", type=pathlib.Path, default=ROOT / "build/crash/finding")
    parser.add_argument("--stop-at-finding", action="store_true")
    options = parser.parse_args()
    limits = {"limits": {"session_queue_messages_max": 200_000}}
    with Server(options.binaries, listeners=[plain_listener()], overrides=limits) as server:
        return 0 if asyncio.run(run(options, server)) else 1


if __name__ == "__main__":
    sys.exit(main())
