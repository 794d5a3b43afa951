"""The clients of the crash lab: publishers and subscribers that live through every crash, keep what
MQTT asks a client to keep, and tell the judge all that they see."""
import asyncio
import collections
import datetime
import json
import pathlib
import sys
import zlib

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent),
                str(pathlib.Path(__file__).resolve().parents[1] / "lib")]
import history  # noqa: E402
import mqtt  # noqa: E402
from server import RestError  # noqa: E402

HOST = "127.0.0.1"
EVENTS_KEPT = 400_000          # for the dump of a history with a finding
CONNECT_ERRORS = (OSError, mqtt.Lost, mqtt.Refused, asyncio.TimeoutError)


def make_payload(publisher, topic, qos, seq, padding):
    head = f"{publisher}|{topic}|{qos}|{seq}|".encode() + b"x" * padding
    return head + b"|%08x" % zlib.crc32(head)


def read_payload(payload):
    """(publisher, topic, qos, seq), or None if it is none of ours or has changed on its way."""
    head, _, checksum = payload.rpartition(b"|")
    parts = head.split(b"|")
    if len(parts) != 5 or b"%08x" % zlib.crc32(head) != checksum:
        return None
    return parts[0].decode(), parts[1].decode(), int(parts[2]), int(parts[3])


def milliseconds(text):
    """Of an instant in RFC 3339."""
    instant = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(instant.timestamp() * 1000)


async def end(task):
    """Cancels it, again and again: asyncio.wait_for of Python 3.11 can lose a cancellation."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.2)


class Recorder:
    """Feeds the judge and keeps the last events for a dump."""

    def __init__(self, judge):
        self.judge = judge
        self.events = collections.deque(maxlen=EVENTS_KEPT)

    def __call__(self, *event):
        now = asyncio.get_running_loop().time()
        self.events.append((round(now, 4), *event))
        self.judge.feed(event, now)


class Participant:
    """A client with a persistent session that is connected whenever `wanted` is set."""

    def __init__(self, world, name, version, **options):
        self.world, self.name = world, name
        self.wanted, self.stopping = asyncio.Event(), False
        self.client = mqtt.Client(name, version=version, clean=False, on_message=self.on_message,
                                  on_acknowledged=self.on_acknowledged, **options)
        self.filters, self.subscribed = [], asyncio.Event()
        self.connecting, self.refused = asyncio.Lock(), False
        self.client.session.incoming = set(world.incoming.get(name, ()))
        self.task = asyncio.get_running_loop().create_task(self.run())

    async def run(self):
        while not self.stopping:
            await self.wanted.wait()
            try:
                async with self.connecting:    # a take-over may have done it
                    if not self.client.connected:
                        await self.connect()
                await self.subscribe()
                await self.client.wait_lost(timeout=None)
            except CONNECT_ERRORS:
                await asyncio.sleep(0.02)

    async def connect(self, **options):
        packet = await self.client.connect(HOST, self.world.port, timeout=20, **options)
        self.world.record("connected", self.name, packet.session_present)

    async def take_over(self):
        """Opens the session from a second connection while the first one lives."""
        async with self.connecting:
            if not self.client.connected or not self.wanted.is_set():
                return
            self.world.record("takes_over", self.name)
            try:
                await self.connect(take_over=True)
            except CONNECT_ERRORS:
                pass                           # run() comes next

    async def subscribe(self):
        if self.subscribed.is_set():
            return
        for text, qos in self.filters:
            self.world.record("asked", self.name, text, qos)
        handling = 2 if self.client.version == 5 else 0
        granted = await self.client.subscribe(
            [(text, qos | handling << 4) for text, qos in self.filters]) if self.filters else ()
        for (text, _), qos in zip(self.filters, granted):
            self.world.record("subscribed", self.name, text, qos)
        self.subscribed.set()

    def leave(self, politely):
        """Goes offline; the session stays."""
        self.wanted.clear()
        if politely and self.client.connected:
            asyncio.get_running_loop().create_task(self.client.disconnect())
        else:
            self.client.abort()

    async def stop(self):
        self.stopping = True
        await end(self.task)
        self.client.abort()

    def on_message(self, _client, packet):
        message = read_payload(packet.payload)
        if message is None or message[1] != packet.topic:
            self.world.record("garbage", self.name, f"{packet.topic} {packet.payload[:80]!r}")
        elif message[1].startswith("wills/"):
            self.world.record("will_received", self.name, message[0], message[3])
        else:
            self.world.record("received", self.name, *message)

    def on_acknowledged(self, _client, outgoing, kind):
        if kind != mqtt.PUBREC or outgoing.reason is not None:
            self.world.record(*outgoing.tag, outgoing.reason)
            if outgoing.reason >= 0x80 and outgoing.reason != 0x92:
                self.refused = True


class Publisher(Participant):
    """Sends bursts on topics of its own while the world's load is on, never more than its window
    unacknowledged."""

    def __init__(self, world, name, version, window):
        super().__init__(world, name, version, window=window)
        self.window, self.numbers = window, world.numbers
        self.random = world.random
        self.load_task = asyncio.get_running_loop().create_task(self.load())

    def choose(self):
        """(topic, qos, retain, may clear) of the next burst."""
        draw = self.random.random()
        qos = self.random.choice(self.world.qualities)
        if draw < 0.55:
            return f"load/{self.name}/{self.random.choice('ab')}", qos, False, False
        if draw < 0.80:
            return f"shared/{self.name}/a", qos, False, False
        kind = self.random.choice(("live", "mute", "clear"))
        # A retained topic has one QoS: between two of them MQTT promises no order.
        return f"retained/{self.name}/{kind}{qos}", qos, True, kind == "clear"

    def send_one(self, topic, qos, retain, may_clear):
        self.numbers[self.name, topic, qos] += 1
        seq = self.numbers[self.name, topic, qos]
        clear = may_clear and self.random.random() < 0.4
        padding = self.random.choice(self.world.paddings)
        payload = b"" if clear else make_payload(self.name, topic, qos, seq, padding)
        # Told before it is sent: an answer can never come before the question.
        self.world.record("sent", self.name, topic, qos, seq, "clear" if clear else "")
        self.client.publish(topic, payload, qos, retain, 
                            tag=("acknowledged", self.name, topic, qos, seq))

    async def load(self):
        while not self.stopping:
            await self.world.load_on.wait()
            choice = self.choose()
            for _ in range(self.random.choice((1, 1, 5, 20))):
                while self.client.unacknowledged >= self.window:
                    await asyncio.sleep(0.002)
                if not self.world.load_on.is_set():
                    break
                self.send_one(*choice)
            if self.random.random() < 0.02:
                await self.take_over()
            pause = self.random.choice((0, 0.005, 0.02, 0.05)) * self.world.pace
            await asyncio.sleep(max(pause, 0.05 if self.refused else 0))
            self.refused = False               # who was told to come later does

    async def stop(self):
        await end(self.load_task)
        await super().stop()


class Device(Participant):
    """Publishes telemetry: sample `seq` has the value seq and stands seq milliseconds after the
    beginning of its world."""

    def __init__(self, world, name, version, qos):
        super().__init__(world, name, version, window=20)
        qos = min(qos, max(world.qualities))
        self.qos, self.random, self.read_to = qos, world.random, 0
        self.load_task = asyncio.get_running_loop().create_task(self.load())

    async def load(self):
        while not self.stopping:
            await self.world.load_on.wait()
            for _ in range(self.random.choice((1, 1, 3, 10))):
                if self.client.unacknowledged < 20:
                    self.send_one()
            pause = self.random.choice((0.005, 0.02, 0.05)) * self.world.pace
            await asyncio.sleep(max(pause, 0.05 if self.refused else 0))
            self.refused = False

    def send_one(self):
        self.world.counters[self.name] += 1
        seq = self.world.counters[self.name]
        self.world.record("sample_sent", self.name, seq)
        self.client.publish(f"devices/{self.name}/telemetry",
                            json.dumps({"ts": self.world.epoch + seq, "n": seq}), self.qos,
                            tag=("sample_acknowledged", self.name, seq))

    async def read_back(self, whole):
        """What the server holds of it since the last look, or ever, over REST."""
        first = 1 if whole else self.read_to + 1
        self.read_to = self.world.counters[self.name]
        path = f"/api/v1/devices/{self.name}/telemetry?keys=n&limit=all"
        try:
            answer = await self.world.in_thread(self.world.server.rest, "GET",
                                                f"{path}&from={self.world.epoch + first}")
        except RestError as error:             # its token and its device were acknowledged, too
            self.world.judge.finding(history.FORGOTTEN, f"{self.name} over REST: {error}")
            return
        rows = [(milliseconds(row["ts"]) - self.world.epoch, row["value"])
                for series in answer["series"] for row in series["samples"]]
        self.world.record("samples_read", self.name, first, rows)

    async def stop(self):
        await end(self.load_task)
        await super().stop()


class Subscriber(Participant):
    """`habit`: live (always connected), flap (comes and goes), sleep (only there to drain), move
    (opens its session again and again from a new connection)."""

    def __init__(self, world, name, version, habit, filters, **options):
        super().__init__(world, name, version, **options)
        self.habit, self.filters, self.random = habit, filters, world.random
        habits = {"flap": self.flap, "move": self.move}
        self.flap_task = asyncio.get_running_loop().create_task(habits[habit]()) \
            if habit in habits else None

    async def move(self):
        while not self.stopping:
            await self.world.load_on.wait()
            await asyncio.sleep(self.random.uniform(0.02, 0.4))
            await self.take_over()

    async def flap(self):
        while not self.stopping:
            await self.world.load_on.wait()
            await asyncio.sleep(self.random.uniform(0.05, 0.6))
            if self.world.load_on.is_set() and self.wanted.is_set():
                self.leave(politely=self.random.random() < 0.5)
            else:
                self.wanted.set()

    async def stop(self):
        await end(self.flap_task)
        await super().stop()


async def delete_session(world, name, version):
    """A clean start and an end: the server forgets the session."""
    client = mqtt.Client(name, version=version, clean=True, session_expiry=0)
    await client.connect(HOST, world.port)
    await client.disconnect()
    world.record("gone", name)


async def read_retained(world, name, patience=3.0):
    """Asks for every retained message with a fresh client and tells the judge what came."""
    loop, seen, last = asyncio.get_running_loop(), set(), [0.0]
    world.record("reading", name)

    def on_message(_client, packet):
        last[0] = loop.time()
        if not packet.retain:
            return                             # published meanwhile
        message = read_payload(packet.payload)
        if message is None or message[1] != packet.topic:
            world.record("garbage", name, f"retained {packet.topic} {packet.payload[:80]!r}")
        else:
            seen.add(packet.topic)
            world.record("read", name, *message)

    client = mqtt.Client(name, version=5, clean=True, on_message=on_message)
    try:
        await client.connect(HOST, world.port)
        await client.subscribe("retained/#", qos=1)
        begin = last[0] = loop.time()
        due = world.judge.retained_due(name)
        while loop.time() - begin < patience and not (due <= seen and loop.time() - last[0] > 0.1):
            if not client.connected:
                raise mqtt.Lost()
            await asyncio.sleep(0.02)
        world.record("has_read", name)
        await client.disconnect()
    except CONNECT_ERRORS:
        world.record("abandoned", name)
        client.abort()
