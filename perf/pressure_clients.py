"""What the trials of pressure.py are made of: clients that do as little as they need, healthy ones
whose latency is measured beside them, the memory of the server, and what it has counted."""
import collections
import multiprocessing
import os
import pathlib
import re
import select
import socket
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import mqtt_codec as codec  # noqa: E402
from server import HOST  # noqa: E402

VERSION = 4
MEBI = 1024 * 1024
WINDOW = 1_000
PAIRS, INTERVAL = 4, 0.005             # healthy clients, and seconds between two of their messages
DROPS = re.compile(r'skerry_messages_dropped_total\{reason="(\w+)"\} (\S+)')
REFUSALS = re.compile(r'skerry_(?:memory_refused|connections_shed)_total'
                      r'\{(?:what|reason)="(\w+)"\} (\S+)')

USES = re.compile(r'skerry_memory_used_bytes\{what="(\w+)"\} (\S+)')


class Failed(Exception):
    """What the trial promised does not hold."""


def set_niceness(value):
    """Of this process; only root may become less nice again, so others stay as they are."""
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, value)


# --- clients ------------------------------------------------------------------------------------


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise Failed("the server closed a connection that it should have kept")
        data += more
    return data


def read_packet(connection):
    first = read_exactly(connection, 1)[0]
    length = shift = 0
    while True:
        byte = read_exactly(connection, 1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first, read_exactly(connection, length)


def open_client(port, name, clean=True, receive_bytes=None, timeout=120):
    connection = socket.socket()
    if receive_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(timeout)
    connection.connect((HOST, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(codec.connect(name, version=VERSION, clean=clean))
    first, body = read_packet(connection)
    if first >> 4 != codec.CONNACK or body[1] != 0:
        raise Failed(f"{name} was refused with code {body[1]}")
    return connection


def is_let_in(port):
    """A newcomer whose connection is reset, or who hears a refusal, is not."""
    try:
        open_client(port, "newcomer").close()
        return True
    except (Failed, ConnectionError):
        return False


def subscribe(connection, filters, qos=0):
    connection.sendall(codec.subscribe(1, [(each, qos) for each in filters], version=VERSION))
    read_packet(connection)


def ping(connection):
    """Everything sent before has been taken when the answer is here."""
    connection.sendall(b"\xc0\x00")
    first, _ = read_packet(connection)
    if first >> 4 != 13:
        raise Failed(f"packet {first:#x} instead of PINGRESP")


def send_all(connection, frames):
    """QoS 0, as fast as the server takes them, in pieces that a socket takes at once."""
    piece, size = [], 0
    for frame in frames:
        piece.append(frame)
        size += len(frame)
        if size >= MEBI:
            connection.sendall(b"".join(piece))
            piece, size = [], 0
    connection.sendall(b"".join(piece))
    ping(connection)


def send_at_rate(connection, frames, rate):
    """QoS 0, each when it is due, whatever became of those before it (an open loop)."""
    begin = time.monotonic()
    for number, frame in enumerate(frames):
        wait = begin + number / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        connection.sendall(frame)
    ping(connection)


def send_at_least_once(connection, topic, payload, count):
    """QoS 1 with a window; returns when the last PUBACK is here."""
    acknowledged = sent = 0
    while acknowledged < count:
        room = min(WINDOW - (sent - acknowledged), count - sent)
        if room >= WINDOW // 2 or (room > 0 and sent + room == count):
            connection.sendall(b"".join(_at_least_once(topic, payload, sent + i)
                                        for i in range(room)))
            sent += room
        acknowledged += len(read_exactly(connection, 4)) // 4


def send_at_least_once_at_rate(connection, topic, payload, count, rate):
    """The same, each message when it is due as long as the window lets it."""
    begin, acknowledged = time.monotonic(), 0
    for number in range(count):
        while number - acknowledged >= WINDOW or select.select([connection], [], [], 0)[0]:
            read_exactly(connection, 4)
            acknowledged += 1
        time.sleep(max(begin + number / rate - time.monotonic(), 0))
        connection.sendall(_at_least_once(topic, payload, number))
    read_exactly(connection, 4 * (count - acknowledged))


def _at_least_once(topic, payload, number):
    return codec.publish(topic, payload, version=VERSION, qos=1, packet_id=number % 60_000 + 1)


def read_until_quiet(connection, quiet=2.0):
    """Bytes that come until none come for a while, and whether the server has closed."""
    total = 0
    connection.settimeout(quiet)
    while True:
        try:
            more = connection.recv(MEBI)
        except TimeoutError:
            return total, False
        except ConnectionError:
            return total, True
        if not more:
            return total, True
        total += len(more)


class Taker:
    """Takes PUBLISH packets of QoS 1 that are all `size` bytes long, acknowledges and counts them."""

    def __init__(self, connection, size, topic):
        self.connection, self.size = connection, size
        self.id_at = 1 + len(codec.variable(size - 3)) + 2 + len(topic)
        self.count, self.rest, self.ended = 0, b"", False
        self.ids = bytearray()

    def take(self):
        """Once, when there is something to read."""
        try:
            more = self.connection.recv(MEBI)
        except ConnectionError:
            more = b""
        if not more:
            self.ended = True
            return
        data = self.rest + more
        whole = len(data) // self.size
        used, self.rest = data[:whole * self.size], data[whole * self.size:]
        high, low = used[self.id_at::self.size], used[self.id_at + 1::self.size]
        acknowledgements = bytearray(b"\x40\x02\x00\x00" * whole)
        acknowledgements[2::4], acknowledgements[3::4] = high, low
        self.count += whole
        self.ids += bytes(byte for pair in zip(high, low) for byte in pair)
        try:
            self.connection.sendall(acknowledgements)
        except ConnectionError:
            self.ended = True

    def check_order(self):
        """Packet ids go up, one by one, and round."""
        numbers = [self.ids[i] << 8 | self.ids[i + 1] for i in range(0, len(self.ids), 2)]
        for before, now in zip(numbers, numbers[1:]):
            if now != before % 65_535 + 1:
                raise Failed(f"packet id {now} after {before}")


def take_all(takers, quiet=5.0):
    """Until each has ended or nothing has come for anybody for a while."""
    poll = select.poll()
    by_descriptor = {}
    for taker in takers:
        by_descriptor[taker.connection.fileno()] = taker
        poll.register(taker.connection, select.POLLIN)
    while by_descriptor:
        ready = poll.poll(quiet * 1000)
        if not ready:
            return
        for descriptor, _ in ready:
            taker = by_descriptor[descriptor]
            taker.take()
            if taker.ended:
                poll.unregister(descriptor)
                del by_descriptor[descriptor]


# --- who must not notice ------------------------------------------------------------------------


def healthy_process(port, stop, answer):
    """Pairs of clients, mostly on different cores. Messages are due by the clock, and their time
    counts from then: one that could not be sent in time is late, too."""
    publishers = [open_client(port, f"healthy-publisher-{i}") for i in range(PAIRS)]
    subscribers = [open_client(port, f"healthy-subscriber-{i}") for i in range(PAIRS)]
    poll, due, rest = select.poll(), {}, {}
    for i, subscriber in enumerate(subscribers):
        subscribe(subscriber, [f"healthy/{i}"])
        poll.register(subscriber, select.POLLIN)
        due[subscriber.fileno()], rest[subscriber.fileno()] = collections.deque(), b""
    size = len(codec.publish("healthy/0", b"x", version=VERSION))
    by_descriptor = {each.fileno(): each for each in subscribers}
    times, sent, begin = [], 0, time.perf_counter()
    while True:
        ending, at = stop.is_set(), begin + sent * INTERVAL
        if ending and not any(due.values()):
            break
        if not ending and time.perf_counter() >= at:
            due[subscribers[sent % PAIRS].fileno()].append(at)
            publishers[sent % PAIRS].sendall(
                codec.publish(f"healthy/{sent % PAIRS}", b"x", version=VERSION))
            sent += 1
            continue
        ready = poll.poll((60 if ending else max(at - time.perf_counter(), 0)) * 1000)
        if ending and not ready:
            raise Failed("a message of a healthy client was lost")
        for descriptor, _ in ready:
            data = rest[descriptor] + by_descriptor[descriptor].recv(65_536)
            now = time.perf_counter()
            for _ in range(len(data) // size):
                times.append(now - due[descriptor].popleft())
            rest[descriptor] = data[len(data) // size * size:]
    times.sort()
    answer.send((times[len(times) // 2], times[len(times) * 99 // 100], times[-1]))


class Beside:
    """Runs the healthy clients and watches the memory of the server while a trial goes on."""

    def __init__(self, server):
        context = multiprocessing.get_context("fork")
        self.stop = context.Event()
        self.answer, self.theirs = context.Pipe()
        self.port, self.pid, self.peak = server.ports["plain"], server.pid, 0
        self.process = context.Process(target=self._healthy)

    def _healthy(self):
        set_niceness(0)
        self.answer.close()
        healthy_process(self.port, self.stop, self.theirs)

    def resident(self):
        pages = int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        self.peak = max(self.peak, pages * 4096)
        return pages * 4096

    def _watch(self):
        while not self.stop.wait(0.02):
            self.resident()

    def __enter__(self):
        self.process.start()
        self.theirs.close()  # so that its end is heard
        self.began, self.spent = time.monotonic(), cpu_seconds(self.pid)
        self.watcher = threading.Thread(target=self._watch)
        self.watcher.start()
        return self

    def __exit__(self, kind, _error, _trace):
        self.load = (cpu_seconds(self.pid) - self.spent) / (time.monotonic() - self.began)
        self.stop.set()
        self.watcher.join()
        if kind is None:
            try:
                if not self.answer.poll(120):
                    raise Failed("the healthy clients were not served")
                self.p50, self.p99, self.worst = self.answer.recv()
            except EOFError:
                raise Failed("the healthy clients were not let in, cut or lost a message") from None
        self.process.join(10)
        self.process.terminate()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- what the server counted --------------------------------------------------------------------


def counted(server, pattern):
    text = server.metrics_get("/metrics")[1]
    return collections.Counter({name: int(float(value)) for name, value in pattern.findall(text)})


class Counts:
    """Drops and refusals since it was made."""

    def __init__(self, server):
        self.server = server
        self.before = counted(server, DROPS), counted(server, REFUSALS)

    def dropped(self):
        return counted(self.server, DROPS) - self.before[0]

    def refused(self):
        return counted(self.server, REFUSALS) - self.before[1]

    def check_missing(self, missing):
        dropped = sum(self.dropped().values())
        if missing != dropped:
            raise Failed(f"{missing} are missing and {dropped} counted: {dict(self.dropped())}")
