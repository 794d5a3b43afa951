"""Clients with a will that die in every way a client can: politely, suddenly, back in time or not,
taken over by themselves, together with the server; and who watches what comes of it.

What the lab knows of a will is what MQTT lets a client know. After a DISCONNECT no answer comes, so
a will is off only when the server lived for a second longer; see will_history.py.
"""
import asyncio

import mqtt
from actors import CONNECT_ERRORS, HOST, end, make_payload

SETTLED_SECONDS = 1.0          # after which a server without trouble has done what it was told
DELAY_MARGIN = 1.0             # a client that is back so long before its will is due has stopped it


class Mortal:
    """One client, life after life; will `seq` belongs to its seq-th CONNECT."""

    def __init__(self, world, name, version):
        self.world, self.name, self.version = world, name, version
        self.random, self.seq, self.client = world.random, world.counters[name], None
        self.task = asyncio.get_running_loop().create_task(self.run())

    async def run(self):
        while True:
            await self.world.load_on.wait()
            if self.client is None or not self.client.connected:
                if not await self.connect():
                    continue
            await asyncio.sleep(self.random.uniform(0.02, 0.5))
            await self.die()

    async def connect(self, take_over=False):
        """True when the server has taken the new will, and with it the plan for its end."""
        self.plan = self.random.choice(("polite", "polite", "sudden", "sudden", "back", "replaced",
                                        "server"))
        self.delay = 0
        if self.version == 5:
            self.delay = {"back": 3, "replaced": 0}.get(self.plan, self.random.choice((0, 0, 1)))
        self.seq += 1
        self.world.counters[self.name] = self.seq
        topic = f"wills/{self.name}"
        will = {"topic": topic, "payload": make_payload(self.name, topic, 2, self.seq, 0),
                "qos": 2, "properties": {"will_delay": self.delay}}
        old, self.client = self.client, mqtt.Client(self.name, version=self.version, clean=False,
                                                    session_expiry=3600, will=will)
        self.world.record("will_asked", self.name, self.seq)
        try:
            await self.client.connect(HOST, self.world.port, timeout=20)
            self.world.record("will_taken", self.name, self.seq)
            return True
        except CONNECT_ERRORS:
            await asyncio.sleep(0.05)
            return False
        finally:
            if take_over:
                old.abort()

    async def die(self):
        if not self.client.connected:
            await self.after_the_server()
        elif self.plan == "polite":
            await self.leave_politely()
        elif self.plan == "sudden":
            self.client.abort()
            self.world.record("will_due", self.name, self.seq)
            await self.stay_away()
        elif self.plan == "back" and self.version == 5:
            await self.come_back_in_time()
        elif self.plan == "replaced":
            await self.take_over()

    async def stay_away(self):
        """Until the will was seen, which is the judge's business when it is not."""
        seq = self.seq
        while not self.world.judge.wills.seen(self.name, seq):
            await asyncio.sleep(0.05)
            if (self.name, seq) not in self.world.judge.wills.unjudged:
                break                          # a drain has judged it meanwhile

    async def after_the_server(self):
        """The server died while this one was connected. If it stays away, its will is due."""
        if self.delay <= 1 and self.random.random() < 0.6:
            self.world.record("will_due", self.name, self.seq)
            await self.stay_away()

    async def leave_politely(self):
        trouble = self.world.trouble
        await self.client.disconnect()
        await asyncio.sleep(SETTLED_SECONDS)
        if trouble == self.world.trouble and self.world.server_up:
            self.world.record("will_off", self.name, self.seq)

    async def come_back_in_time(self):
        loop = asyncio.get_running_loop()
        seq, delay, began = self.seq, self.delay, loop.time()
        self.client.abort()
        if await self.connect() and loop.time() - began < delay - DELAY_MARGIN:
            self.world.record("will_off", self.name, seq)

    async def take_over(self):
        """The old connection ends without a DISCONNECT, so its will is due at once."""
        seq, trouble = self.seq, self.world.trouble
        if await self.connect(take_over=True) and trouble == self.world.trouble:
            self.world.record("will_due", self.name, seq)

    async def stop(self):
        await end(self.task)
        if self.client is not None:
            self.client.abort()
