#!/usr/bin/env python3
"""The crash lab: skerryd under mixed load is killed with -9 at random moments, loses its power, is
stopped for a while or finds its disk full, and goes on with the same data, while clients that keep
their state go on with it; history.py judges all that they saw.

Usage: crash.py --cycles N [--mode kill|power|full|interval] [--binaries DIR] [--seed S] [--log FILE]
                [--world DIR] [--fresh] [--keep DIR] [--plant NAME --expect KIND]

A cycle is one fault (at times two) in the middle of the load. About every fourth cycle, and the last,
ends with a drain: everybody is connected, everything acknowledged, and what is missing then is lost.
A run goes on with the world (data and all that its clients know) that the run before left behind in
--world, unless that ended with a finding or not at all. Each cycle is a line of --log, which is
only ever appended to; its sum over all runs is printed at the end (`make crash-summary`).
Exit code 1 on any finding; its history and the data directory are kept in --keep then.
"""
import argparse
import asyncio
import collections
import datetime
import json
import pathlib
import pickle
import random
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
import history  # noqa: E402
import runlog  # noqa: E402
import mqtt  # noqa: E402
from server import HOST, ROOT  # noqa: E402
from world import LabServer, SmallDisk, World  # noqa: E402

PLANTS = ("acknowledge-before-commit", "forget-qos2-id", "drop-on-takeover")
FULL_MEGABYTES = 160


class Lab:
    """One run: a world and its log."""

    def __init__(self, world, options, common, disk):
        self.world, self.options, self.common, self.disk = world, options, common, disk
        self.random = world.random
        self.figures, self.findings = world.judge.figures.copy(), world.judge.counts.copy()
        self.loss = world.loss.copy()
        self.began = time.monotonic()

    def line(self, number, **more):
        """Appends what has come since the line before."""
        world, now = self.world, time.monotonic()
        line = {**self.common, "cycle": number, "seconds": round(now - self.began, 2), **more}
        for name, counter, before in (("figures", world.judge.figures, self.figures),
                                      ("findings", world.judge.counts, self.findings),
                                      ("loss", world.loss, self.loss)):
            line[name] = dict(counter - before)
            before.clear()
            before.update(counter)
        self.began = now
        runlog.append(self.options.log, line)
        return line

    async def probe(self):
        """After a full disk a message is stored again without a restart."""
        client = mqtt.Client("probe", version=5)
        try:
            for _ in range(60):
                await client.connect(HOST, self.world.port)
                reason = await client.publish("probe", b"x", 1, retain=True).acknowledged()
                await client.disconnect()
                if reason in (0, 0x10):
                    return
                await asyncio.sleep(0.5)
            self.world.judge.finding(history.STUCK, "nothing is stored 30 s after a full disk")
        except (mqtt.Lost, mqtt.Refused, asyncio.TimeoutError) as error:
            self.world.judge.finding(history.STUCK, f"after a full disk: {error}")

    async def cycle(self, number, is_last):
        world = self.world
        world.begin_load()
        late = asyncio.create_task(world.add_late_subscriber()) \
            if self.random.random() < 0.3 and not world.states_window else None
        load_seconds = self.random.uniform(0.1, 1.0)
        await asyncio.sleep(load_seconds)
        fault = self.fill_disk if self.options.mode == "full" else self.kill
        down_seconds = await fault()
        if late:
            await late
        judged = is_last or self.random.random() < 0.25 or self.options.mode == "full"
        if judged:
            await asyncio.sleep(self.random.uniform(0, 0.3))
            await world.drain(whole=is_last)
        elif self.random.random() < 0.3:
            await world.read_retained()
        return self.line(number, load_seconds=round(load_seconds, 2),
                         down_seconds=round(down_seconds, 2), judged=judged)

    async def kill(self):
        draw = self.random.random()
        if draw < 0.12:
            await self.world.pause(self.random.uniform(0.1, 1.5))
            await asyncio.sleep(self.random.choice((0, 0.02, 0.3)))
        return await self.world.crash(twice=self.random.random() < 0.2)

    async def fill_disk(self):
        """Full for a while under load; the server lives through it, or is killed meanwhile."""
        world, seconds = self.world, self.options.full_seconds or self.random.uniform(0.3, 3)
        world.trouble += 1
        await world.in_thread(self.disk.fill)
        world.record("full", seconds)
        await asyncio.sleep(seconds)
        down = 0.0
        if self.random.random() < self.options.kill_share:
            world.kill()
            began = time.monotonic()
            self.disk.free()
            await world.in_thread(world.server.start)
            world.server_up = True
            world.record("started")
            down = time.monotonic() - began
        else:
            self.disk.free()
            world.check_alive()
            await self.probe()
        await asyncio.sleep(self.random.uniform(0, 0.5))
        world.trouble += 1
        return down

    def has_enough(self):
        judge = self.world.judge
        return judge.counts[self.options.expect] if self.options.expect else \
            judge.found and not self.options.go_on

    async def run(self):
        """The number of cycles that were run."""
        world, number = self.world, 0
        await world.begin()
        try:
            for number in range(1, self.options.cycles + 1):
                out_of_time = self.options.until and time.time() > self.options.until
                is_last = number == self.options.cycles or out_of_time
                say(await self.cycle(number, is_last), self.options.mode, world)
                if out_of_time or self.has_enough():
                    break
        except (RuntimeError, TimeoutError, OSError) as error:
            world.judge.finding(history.DIED, f"{type(error).__name__}: {error}")
            self.line(number, judged=False)
        finally:
            await world.stop()
        return number


def say(line, mode, world):
    figures = collections.Counter(line["figures"])
    sent = figures["sent QoS 1"] + figures["sent QoS 2"] + figures["samples sent"]
    got = (figures["acknowledged QoS 1"] + figures["acknowledged QoS 2"] +
           figures["samples acknowledged"])
    lost = f", {line['loss'].get('bytes_lost', 0):7,} bytes lost" \
        if mode in ("power", "interval") else ""
    if mode == "interval":
        lost += (f", {figures['lost in the window']} deliveries and samples of "
                 f"{figures['acknowledged in the window']} acknowledged in "
                 f"{figures['window ms']} ms of window")
    print(f"cycle {line['cycle']:4}: {line['seconds']:5.2f} s, down {line['down_seconds']:4.2f} s"
          f"{lost}; sent {sent:6,}, acknowledged {got:6,}, delivered {figures['received']:7,}; "
          f"{'judged: ' if line['judged'] else 'so far: '}{world.judge.found} findings", flush=True)


def keep(world, directory):
    """What is needed to understand a finding."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with open(directory / "history.jsonl", "w") as out:
        for event in world.record.events:
            out.write(json.dumps(event) + "\n")
    (directory / "findings.json").write_text(json.dumps(world.judge.texts, indent=1))
    (directory / "server.log").write_text(world.server.tail(2000))
    shutil.copytree(world.server.data_dir, directory / "data", dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("*.key", "*.sock", "ballast"))
    for core in world.server.directory.glob("core*"):     # where `ulimit -c` allows them
        shutil.copy(core, directory)
    print(f"history, findings and data are kept in {directory}", flush=True)


def saved_world(directory, fresh):
    """What the run before left, or None and an empty directory."""
    state = directory / "state.pickle"
    if not fresh and state.exists():
        with open(state, "rb") as file:
            saved = pickle.load(file)
        state.unlink()                         # until this run has come to its end
        return saved
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return None


def commit():
    answer = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


async def run(options, server, saved, disk):
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    started = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    common = {"run": started, "seed": seed, "mode": options.mode, "plant": options.plant,
              "sync": options.sync, "window": options.window, "version": options.version or commit()}
    print(f"seed {seed}, {'the world goes on' if saved else 'a fresh world'}", flush=True)
    world = World(server, seed, options, saved)
    began = time.monotonic()
    cycles = await Lab(world, options, common, disk).run()
    judge = world.judge
    for kind in history.KINDS:
        for text in judge.texts[kind][:3 if options.expect else 10]:
            print(f"  {kind}: {text}")
    if judge.found and not options.expect:
        keep(world, options.keep)
    print(f"{cycles} cycles in {time.monotonic() - began:.0f} s, "
          f"{judge.found or 'no'} findings\n", flush=True)
    return world, judge.found


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--mode", choices=("kill", "power", "full", "interval"), default="kill")
    parser.add_argument("--binaries", type=pathlib.Path, default=None)
    parser.add_argument("--power-library", type=pathlib.Path, default=None)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--log", type=pathlib.Path, default=ROOT / "build/crash/log.jsonl")
    parser.add_argument("--world", type=pathlib.Path, default=None)
    parser.add_argument("--fresh", action="store_true", help="do not go on with an earlier world")
    parser.add_argument("--keep", type=pathlib.Path, default=None)
    parser.add_argument("--go-on", action="store_true", help="also after a finding")
    parser.add_argument("--until", type=lambda text: datetime.datetime.fromisoformat(
        text).timestamp(), help="end after the cycle that is under way then (local time)")
    parser.add_argument("--pace", type=float, default=1.0, help="longer pauses of the clients")
    parser.add_argument("--version", help="of the server, for the log")
    parser.add_argument("--window", choices=("none",),
                        help="mode interval: forgive nothing, though the server says it may lose")
    parser.add_argument("--sync", choices=("commit", "none"), help="persistence.sync")
    parser.add_argument("--full-seconds", type=float, help="how long the disk stays full")
    parser.add_argument("--kill-share", type=float, default=0.3, help="of full disks with a kill")
    parser.add_argument("--plant", choices=PLANTS, help="a bug in the server (skerryd-lab)")
    parser.add_argument("--expect", choices=history.KINDS,
                        help="go on until there is a finding of this kind; exit code 1 without one")
    options = parser.parse_args()
    name = f"{options.mode}-{options.plant or options.sync or 'world'}"
    options.world = (options.world or ROOT / "build/crash" / name).resolve()
    options.keep = options.keep or options.world.parent / f"finding-{options.world.name}"
    options.fresh = options.fresh or options.expect or options.mode == "full"
    return options


def main():
    options = parse()
    saved = saved_world(options.world, options.fresh)
    data, disk = options.world / "data", None
    if options.mode == "full":
        disk = SmallDisk(options.world / "disk", FULL_MEGABYTES)
        data = options.world / "disk/data"
    try:
        server = LabServer(options, data)
        try:
            server.start()
            world, found = asyncio.run(run(options, server, saved, disk))
            server.close()
            if not found and options.mode != "full":
                world.save(options.world / "state.pickle")
        finally:
            if server.process is not None:
                server.kill9()
    finally:
        if disk:
            disk.close()
    if options.expect:
        return 0 if world.judge.counts[options.expect] else 1
    runlog.summary(options.log)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
