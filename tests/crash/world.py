"""Everybody in the crash lab, the server they talk to and the judge; and what is done to the server.

A world outlives its run: after a drain nobody owes anybody anything, so the data directory, what the
judge knows and the clients' numbers are enough to go on with (save(), World(..., saved)).
"""
import asyncio
import collections
import http.client
import os
import pathlib
import pickle
import random
import signal
import subprocess
import time

import history
from actors import Device, Publisher, Recorder, Subscriber, delete_session, read_retained
from mortals import Mortal
from power import Power
from server import Server, plain_listener, wait_until

PUBLISHERS = 6
WINDOW = "skerry_persistence_loss_window_seconds"
WINDOW_SECONDS_MAX = 10.0      # persistence.interval is 0.1 s, and a sync on a busy disk takes long
QUIET_SECONDS = 15             # a drain that makes no progress for so long has failed
# (name, version, habit, filters with QoS, options)
SUBSCRIBERS = (
    ("live-5", 5, "live", [("load/#", 2), ("retained/+/live1", 1)], {}),
    ("move-4", 4, "move", [("load/#", 2)], {}),
    ("move-narrow", 5, "move", [("load/#", 1)], {"properties": {"receive_maximum": 3}}),
    ("flap-5", 5, "flap", [("load/#", 2), ("retained/+/live2", 2)], {}),
    ("flap-4", 4, "flap", [("load/+/a", 2)], {}),
    ("sleep-5", 5, "sleep", [("load/#", 2)], {}),
    ("sleep-4", 4, "sleep", [("load/+/b", 1)], {}),
    ("member-1", 5, "live", [("$share/workers/shared/#", 2)], {}),
    ("member-2", 5, "move", [("$share/workers/shared/#", 2)], {}),
    ("member-3", 5, "flap", [("$share/workers/shared/#", 2)], {}),
    ("member-4", 5, "sleep", [("$share/night/shared/#", 2)], {}),
    ("member-5", 5, "sleep", [("$share/night/shared/#", 2)], {}),
)
WATCHERS = (("watch-5", 5, "live", [("wills/#", 2)], {}),
            ("watch-4", 4, "sleep", [("wills/#", 2)], {}))
MORTALS = (("mortal-1", 5), ("mortal-2", 5), ("mortal-3", 5), ("mortal-4", 4))
DEVICES = (("lab-1", 5, 1), ("lab-2", 5, 2), ("lab-3", 4, 1))


class LabServer(Server):
    """skerryd, or skerryd-lab with a planted bug; on demand with the power switch below it."""

    def __init__(self, options, data_dir):
        self.plant, self.power = options.plant, None
        overrides = {"limits": {"session_queue_messages_max": 200_000,
                                "session_queue_bytes_max": "512MiB"}}
        # Writes are to fail here; the watermark would refuse them before.
        persistence = {"free_space_min": "0"} if options.mode == "full" else {}
        if options.sync or options.mode == "interval":
            persistence["sync"] = options.sync or "interval"
        if persistence:
            overrides["persistence"] = persistence
        super().__init__(options.binaries, data_dir, overrides, [plain_listener()], start=False)
        if options.mode in ("power", "interval"):
            self.power = Power(data_dir, self.directory / "power",
                               options.power_library or self.binaries / "libskerry-power.so")
        first_password = pathlib.Path(data_dir) / "initial-admin-password"
        if first_password.exists():
            self.password = first_password.read_text().strip()

    def command(self):
        if self.plant is None:
            return super().command()
        return [str(self.binaries / "skerryd-lab"), "--plant", self.plant, "--config",
                str(self.configuration_path)]

    def environment(self):
        return {**os.environ, **self.power.begin()} if self.power else None


class SmallDisk:
    """A tmpfs of its own below the data directory, and a ballast that takes all its room."""

    def __init__(self, directory, megabytes):
        self.directory = pathlib.Path(directory)
        self.ballast = self.directory / "ballast"
        self.directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "skerry-lab",
                        str(self.directory)], check=True)

    def fill(self):
        with open(self.ballast, "ab") as file:
            for size in (1 << 20, 1 << 16, 4096):
                try:
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
                except OSError:
                    pass

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "-l", str(self.directory)], check=False)


class World:
    """All actors, the server, the judge."""

    def __init__(self, server, seed, options, saved=None):
        self.server, self.port = server, server.ports["plain"]
        self.random, self.pace = random.Random(seed), options.pace
        self.judge = saved["judge"] if saved else history.Judge()
        self.numbers = saved["numbers"] if saved else collections.Counter()
        self.counters = saved["counters"] if saved else collections.Counter()
        self.incoming = saved["incoming"] if saved else {}
        # On a full disk large messages, since the engine's log has room kept for small ones.
        self.paddings = (0, 10, 100, 100, 2000) if options.mode != "full" else \
            (0, 10, 100, 2000, 2000, 100_000)
        self.epoch = saved["epoch"] if saved else int(time.time() * 1000)
        self.record = Recorder(self.judge)
        self.load_on = asyncio.Event()
        self.trouble, self.server_up = 0, True
        self.loss = collections.Counter()
        # What a power loss takes of QoS 2 may be an id that the client still knows: once is not
        # promised then, and what is lost may be another message that gets the same id.
        self.states_window = options.mode == "interval"
        self.qualities = (1,) if self.states_window else (1, 2)
        self.believes_window = options.window is None
        self.late, self.late_count = [], saved["late_count"] if saved else 0
        self.publishers = [Publisher(self, f"p{i}", (5, 4)[i % 2], (1, 5, 20, 50)[i % 4])
                           for i in range(PUBLISHERS)]
        subscribers = SUBSCRIBERS + (WATCHERS if options.mode in ("kill", "power") else ())
        self.subscribers = [Subscriber(self, name, version, habit, filters, **more)
                            for name, version, habit, filters, more in subscribers]
        self.devices = [Device(self, *device) for device in DEVICES]
        self.mortals = []
        self.has_mortals = options.mode in ("kill", "power")

    @property
    def actors(self):
        return [*self.publishers, *self.devices, *self.subscribers, *self.late]

    def save(self, path):
        """After a drain."""
        known = {actor.name: set(actor.client.session.incoming) for actor in self.actors}
        with open(path, "wb") as out:
            pickle.dump({"judge": self.judge, "numbers": self.numbers, "counters": self.counters,
                         "incoming": known, "epoch": self.epoch, "late_count": self.late_count},
                        out)

    async def begin(self):
        """Everybody is there, has subscribed and is known."""
        known = {device["id"] for device in await self.in_thread(self.server.pages,
                                                                 "/api/v1/devices")}
        for device in self.devices:
            if device.name not in known:
                await self.in_thread(self.server.rest, "POST", "/api/v1/devices",
                                     {"id": device.name})
        await self.everybody_in()
        if self.has_mortals:
            for name, *_ in WATCHERS:
                self.record("will_watched", name)
            self.mortals = [Mortal(self, *mortal) for mortal in MORTALS]
        if self.states_window:         # sessions and subscriptions are there before the first loss
            await self.in_thread(wait_until, lambda: self.server.metric(WINDOW) == 0,
                                 "everything is synced")

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

    async def add_late_subscriber(self):
        """Subscribes in the middle of the load: from its SUBACK on it is owed everything."""
        await asyncio.sleep(self.random.uniform(0.05, 0.5))
        self.late_count += 1
        topic = f"load/p{self.random.randrange(PUBLISHERS)}/#"
        subscriber = Subscriber(self, f"late-{self.late_count}", self.random.choice((4, 5)), "live",
                                [(topic, 2)])
        subscriber.wanted.set()
        self.late.append(subscriber)

    async def read_retained(self):
        self.judge.figures["readers"] += 1
        await read_retained(self, f"reader-{self.judge.figures['readers']}")

    # -- what is done to the server ---------------------------------------------------------------
    def check_alive(self):
        code = self.server.process.poll()
        if code is not None:
            self.judge.finding(history.DIED, f"exit {code}\n{self.server.tail()}")

    def kill(self):
        """kill -9, and with the power switch the loss of all that was not synced."""
        self.check_alive()
        self.trouble += 1
        self.server_up = False
        cuts = self.server.power and not (self.states_window and self.random.random() < 0.25)
        if self.states_window and cuts:
            self.ask_window()
        self.server.kill9()
        if cuts:
            loss = self.server.power.cut(self.random)
            figures = vars(loss)
            undone = figures.pop("undone")
            self.loss.update(figures)
            self.record("crashed", "power", figures, undone)
        else:
            self.record("crashed")

    def ask_window(self):
        """What is acknowledged was written before: what is older than the oldest write that is not
        synced is safe, and what the answer was under way for is young."""
        asked = asyncio.get_running_loop().time()
        window = 0.0
        try:
            window = self.server.metric(WINDOW)
        except (OSError, http.client.HTTPException):
            if self.server.is_ready():
                raise
            # It is starting, and has acknowledged nothing that was not there.
        self.record.judge.figures["windows"] += 1
        self.record.judge.figures["window ms"] += round(window * 1000)
        if window > WINDOW_SECONDS_MAX:
            self.judge.finding(history.WINDOW, f"{window:.1f} s are not synced")
        self.record("may_lose", asked - (window if self.believes_window else 0))

    async def crash(self, twice):
        """Kills, `twice` again on the way up, and starts. Seconds down."""
        self.kill()
        began = time.monotonic()
        if self.random.random() < 0.1:
            await asyncio.sleep(self.random.uniform(0, 1))
        if twice:
            self.server.start(wait=False)
            await asyncio.sleep(self.random.uniform(0.01, 0.4))
            self.kill()
        await self.in_thread(self.server.start)
        self.server_up = True
        self.record("started")
        return time.monotonic() - began

    async def pause(self, seconds):
        """SIGSTOP, and after a while SIGCONT."""
        self.check_alive()
        self.trouble += 1
        self.server_up = False
        self.server.process.send_signal(signal.SIGSTOP)
        self.record("paused", seconds)
        await asyncio.sleep(seconds)
        self.server.process.send_signal(signal.SIGCONT)
        self.trouble += 1
        self.server_up = True

    # -- the end of a stretch -----------------------------------------------------------------
    async def drain(self, whole=False):
        """Stops the load, brings everybody in and waits until nothing is owed, or nothing moves."""
        self.load_on.clear()
        await self.everybody_in()
        moved, figures, calm = time.monotonic(), None, 0
        while calm < 3:
            await asyncio.sleep(0.05)
            now = dict(self.judge.figures)
            if now != figures:
                figures, moved, calm = now, time.monotonic(), 0
                continue
            owed = sum(actor.client.unacknowledged for actor in (*self.publishers, *self.devices))
            owed += sum(not actor.client.connected for actor in self.actors)
            if owed + self.judge.missing_now() == 0:
                calm += 1
            elif time.monotonic() - moved > QUIET_SECONDS:
                break
        self.record("drained")
        self.check_alive()
        await self.read_retained()
        for device in self.devices:
            await device.read_back(whole)
        await self.dismiss_late()

    async def dismiss_late(self):
        late, self.late = self.late, []
        for subscriber in late:
            await subscriber.stop()
            await delete_session(self, subscriber.name, subscriber.client.version)

    async def stop(self):
        for actor in (*self.mortals, *self.actors):
            await actor.stop()
