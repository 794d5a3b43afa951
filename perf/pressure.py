#!/usr/bin/env python3
"""Clients that would push a server over: in each trial the resident memory of the server stays inside
its budget, a healthy client beside it is served, and what is missing at a receiver is what the
counters of drops say. Prints a table; exit code 1 when one of these does not hold.
Usage: pressure.py [--binaries DIR] [--budget-mib 512] [--scale 1.0] [trial ...]

Counts are those of `--scale 1`: 1 GB to a client that never reads (QoS 0; QoS 1 into a queue on
disk), 1,000 slow clients, 1,000,000 filters, 1,000,000 topics, wildcards over as many retained ones.
"""
import argparse
import collections
import multiprocessing
import pathlib
import re
import select
import socket
import struct
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import mqtt_codec as codec  # noqa: E402
from server import HOST, Server, plain_listener, wait_until  # noqa: E402

VERSION = 4
MEBI = 1024 * 1024
PROBE_INTERVAL = 0.02
QUIET_SECONDS = 3.0
WINDOW = 1_000
DROPS = re.compile(r'skerry_messages_dropped_total\{reason="(\w+)"\} (\S+)')
REFUSALS = re.compile(r'skerry_memory_refused_total\{what="(\w+)"\} (\S+)')

Row = collections.namedtuple("Row", "trial peak p50 p99 sent missing dropped refused note")


class Failed(Exception):
    """What the trial promised does not hold."""


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
    """QoS 0, in pieces that a socket takes at once."""
    piece, size = [], 0
    for frame in frames:
        piece.append(frame)
        size += len(frame)
        if size >= MEBI:
            connection.sendall(b"".join(piece))
            piece, size = [], 0
    connection.sendall(b"".join(piece))
    ping(connection)


def send_at_least_once(connection, topic, payload, count):
    """QoS 1 with a window; returns when the last PUBACK is here."""
    acknowledged = sent = 0
    while acknowledged < count:
        room = min(WINDOW - (sent - acknowledged), count - sent)
        if room >= WINDOW // 2 or (room > 0 and sent + room == count):
            connection.sendall(b"".join(
                codec.publish(topic, payload, version=VERSION, qos=1, packet_id=sent % 60_000 + i + 1)
                for i in range(room)))
            sent += room
        acknowledged += len(read_exactly(connection, 4)) // 4


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


def is_let_in(port):
    try:
        open_client(port, "newcomer").close()
        return True
    except Failed:
        return False


def probe_process(port, stop, answer):
    """A healthy client: publishes to itself and notes the time each message takes."""
    connection = open_client(port, "healthy")
    subscribe(connection, ["healthy"])
    times = []
    while not stop.is_set():
        begin = time.perf_counter()
        connection.sendall(codec.publish("healthy", b"x", version=VERSION))
        read_packet(connection)
        times.append(time.perf_counter() - begin)
        time.sleep(PROBE_INTERVAL)
    times.sort()
    answer.send((times[len(times) // 2], times[len(times) * 99 // 100]))


class Beside:
    """Runs the healthy client and watches the memory of the server while a trial goes on."""

    def __init__(self, server):
        context = multiprocessing.get_context("fork")
        self.stop = context.Event()
        self.answer, self.theirs = context.Pipe()
        self.process = context.Process(target=probe_process,
                                       args=(server.ports["plain"], self.stop, self.theirs))
        self.pid = server.pid
        self.peak = 0

    def resident(self):
        pages = int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        self.peak = max(self.peak, pages * 4096)
        return pages * 4096

    def _watch(self):
        while not self.stop.is_set():
            self.resident()
            time.sleep(0.01)

    def __enter__(self):
        self.process.start()
        self.theirs.close()  # so that its end is heard
        self.watcher = threading.Thread(target=self._watch)
        self.watcher.start()
        return self

    def __exit__(self, kind, _error, _trace):
        self.stop.set()
        self.watcher.join()
        if kind is None:
            try:
                if not self.answer.poll(60):
                    raise Failed("the healthy client was not served")
                self.p50, self.p99 = self.answer.recv()
            except EOFError:
                raise Failed("the healthy client was not let in") from None
        self.process.join(10)
        self.process.terminate()


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


def row(trial, beside, counts, sent, missing, note=""):
    return Row(trial, beside.peak, beside.p50, beside.p99, sent, missing, counts.dropped(),
               counts.refused(), note)


def check_missing(missing, counts):
    dropped = sum(counts.dropped().values())
    if missing != dropped:
        raise Failed(f"{missing} are missing and {dropped} counted: {dict(counts.dropped())}")


# --- trials -------------------------------------------------------------------------------------


def never_reads(server, scale):
    """1 GB at QoS 0 to one client that does not read until all is sent."""
    payload = b"x" * 4096
    count = int(262_144 * scale)
    counts = Counts(server)
    frame = codec.publish("flood", payload, version=VERSION)
    with Beside(server) as beside:
        slow = open_client(server.ports["plain"], "slow", receive_bytes=65_536)
        subscribe(slow, ["flood"])
        publisher = open_client(server.ports["plain"], "publisher")
        send_all(publisher, (frame for _ in range(count)))
    received, closed = read_until_quiet(slow)
    if closed:
        raise Failed("the slow client was cut although memory was not short")
    missing = count - received // len(frame)
    check_missing(missing, counts)
    slow.close()
    publisher.close()
    return row("never reads, QoS 0", beside, counts, count, missing)


def never_reads_stored(server, scale):
    """1 GB at QoS 1 into the queue of a client that is away; then it comes and takes all."""
    payload = b"x" * 1000
    count = int(1_000_000 * scale)
    port = server.ports["plain"]
    away = open_client(port, "away", clean=False)
    subscribe(away, ["stored"], qos=1)
    away.close()
    wait_until(lambda: server.metric("skerry_sessions_persistent") >= 1, "the session is kept")
    counts = Counts(server)
    with Beside(server) as beside:
        publisher = open_client(port, "publisher")
        before = beside.resident()
        send_at_least_once(publisher, "stored", payload, count)
        wait_until(lambda: server.metric('skerry_memory_used_bytes{what="queues"}') == 0,
                   "no message of the queue is in memory", 60)
        index = server.metric('skerry_memory_used_bytes{what="queue_index"}')
        grown = beside.resident() - before
        queued = int(server.metric("skerry_queued_messages"))
        if queued != count:
            raise Failed(f"{queued} of {count} are queued")
        begin = time.monotonic()
        back = open_client(port, "away", clean=False)
        received = take_in_order(back, count)
        seconds = time.monotonic() - begin
        back.close()
        publisher.close()
    check_missing(count - received, counts)
    clean = open_client(port, "away", clean=True)
    clean.close()
    note = (f"{index / count:.0f} B of index and {grown / count:.0f} B of RSS a message; "
            f"taken at {received / seconds:,.0f}/s")
    return row("away, QoS 1 on disk", beside, counts, count, count - received, note)


def take_in_order(connection, count):
    """Acknowledges and counts PUBLISH packets of QoS 1 whose packet ids must go up."""
    received, last, data = 0, 0, b""
    while received < count:
        ready, _, _ = select.select([connection], [], [], 60)
        if not ready:
            return received
        data += connection.recv(MEBI)
        at, answers = 0, []
        while True:
            begin = at
            if len(data) < at + 5:
                break
            length, body = codec.read_variable(data, at + 1)
            if len(data) < body + length:
                break
            topic = struct.unpack_from(">H", data, body)[0]
            packet_id = struct.unpack_from(">H", data, body + 2 + topic)[0]
            if packet_id != last % 65_535 + 1:
                raise Failed(f"packet id {packet_id} after {last}")
            last = packet_id
            answers.append(struct.pack(">BBH", 0x40, 2, packet_id))
            received += 1
            at = body + length
            if at == begin:
                break
        data = data[at:]
        connection.sendall(b"".join(answers))
    return received


def thousand_slow(server, scale):
    """1,000 clients that do not read: what they may hold shrinks until all fit."""
    clients, messages = int(1_000 * scale), 4_000
    payload = b"x" * 1024
    counts = Counts(server)
    port = server.ports["plain"]
    with Beside(server) as beside:
        slow = [open_client(port, f"slow-{i}", receive_bytes=4096) for i in range(clients)]
        for each in slow:
            subscribe(each, ["flood/#"])
        publisher = open_client(port, "publisher")
        frame = codec.publish("flood/a", payload, version=VERSION)
        send_all(publisher, (frame for _ in range(messages)))
        ended = server.metric("skerry_slow_consumers_ended_total")
    for each in slow:
        each.close()
    publisher.close()
    wait_until(lambda: server.metric("skerry_memory_pressure") == 0,
               "the doors open again once the slow are gone", 60)
    open_client(port, "afterwards").close()
    return row(f"{clients} slow clients", beside, counts, clients * messages, None,
               f"{ended:.0f} ended; doors open again afterwards")


def subscription_flood(server, scale):
    """One client asks for 1,000,000 filters, wildcards among them."""
    packets, each = int(1_000 * scale), 1_000
    counts = Counts(server)
    granted = 0
    with Beside(server) as beside:
        client = open_client(server.ports["plain"], "greedy")
        for packet in range(packets):
            filters = [f"+/{packet}/{i}/#" if i % 2 else f"a/{packet}/+/{i}" for i in range(each)]
            client.sendall(codec.subscribe(packet % 65_535 + 1, [(f, 0) for f in filters],
                                           version=VERSION))
            _, body = read_packet(client)
            granted += sum(code < 0x80 for code in body[2:])
        client.close()
    if granted > 1_000:
        raise Failed(f"{granted} filters of one client were granted")
    return row("subscription flood", beside, counts, packets * each, None, f"{granted} granted")


def topic_frames(count, retain):
    return (codec.publish(f"m/{i:07}", b"v" * 100, version=VERSION, retain=retain)
            for i in range(count))


def million_topics(server, scale):
    """One publisher, a new topic each time, not retained; one subscriber takes them all."""
    count = int(1_000_000 * scale)
    counts = Counts(server)
    with Beside(server) as beside:
        publisher = open_client(server.ports["plain"], "publisher")
        send_all(publisher, topic_frames(count, False))
        publisher.close()
    return row("topics, not retained", beside, counts, count, None)


def retained_storm(server, scale):
    """As many retained topics as fit, then ten wildcards over all of them at once."""
    count, readers = int(1_000_000 * scale), 10
    port = server.ports["plain"]
    counts = Counts(server)
    before = int(server.metric("skerry_retained_messages"))
    with Beside(server) as beside:
        publisher = open_client(port, "publisher")
        send_all(publisher, topic_frames(count, True))
        publisher.close()
        # Half of the topics belong to another core, which may still be at work.
        wait_until(lambda: server.metric("skerry_retained_messages") - before
                   + sum(counts.dropped().values()) == count, "each topic is kept or counted", 60)
        kept = int(server.metric("skerry_retained_messages")) - before
    storm = row("topics, retained", beside, counts, count, count - kept)
    # What came in a rush is still on its way to the disk: the doors may be closed for a moment.
    wait_until(lambda: is_let_in(port), "somebody new is let in again", 60)
    counts = Counts(server)
    size = len(codec.publish("m/0000000", b"v" * 100, version=VERSION, retain=True))
    with Beside(server) as beside:
        clients = []
        try:
            for i in range(readers):
                clients.append(open_client(port, f"reader-{i}"))
        except Failed as error:
            return [storm, Row("retained storm", beside.peak, 0, 0, 0, None, {}, counts.refused(),
                               f"the doors were closed: {error}")]
        received = [0] * readers

        def read(i):
            clients[i].sendall(codec.subscribe(1, [("m/#", 0)], version=VERSION))
            received[i] = read_until_quiet(clients[i], 10.0)[0]

        threads = [threading.Thread(target=read, args=(i,)) for i in range(readers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for client in clients:
        client.close()
    suback = 5
    taken = sum((each - suback) // size for each in received)
    check_missing(readers * kept - taken, counts)
    return [storm, row("retained storm", beside, counts, readers * kept, readers * kept - taken)]


TRIALS = {trial.__name__: trial for trial in
          (never_reads, never_reads_stored, thousand_slow, subscription_flood, million_topics,
           retained_storm)}


# --- report -------------------------------------------------------------------------------------


def quiet(server):
    counts = Counts(server)
    with Beside(server) as beside:
        time.sleep(QUIET_SECONDS)
    return row("quiet", beside, counts, 0, None)


def show(each, budget):
    causes = {**each.dropped, **{f"refused {what}": n for what, n in each.refused.items()}}
    said = ", ".join(f"{name} {number:,}" for name, number in causes.items()) or "-"
    missing = "" if each.missing is None else f"{each.missing:,}"
    print(f"{each.trial:24} {each.peak / MEBI:6.0f} of {budget / MEBI:.0f} MiB "
          f"p50 {each.p50 * 1e3:6.2f} p99 {each.p99 * 1e3:7.2f} ms  sent {each.sent:>9,} "
          f"missing {missing:>9}  {said}  {each.note}", flush=True)


def overrides(budget_mib):
    return {"limits": {"memory": f"{budget_mib}MiB", "session_queue_messages_max": 2_000_000,
                       "session_queue_bytes_max": "4GiB", "keep_alive_max": "0s"},
            "cores": {"count": 2}}


def run(binaries, budget_mib, scale, names):
    """Every trial against a server of its own; returns the rows and what failed."""
    rows, failed = [], []
    for name in names:
        with Server(binaries, overrides=overrides(budget_mib),
                    listeners=[plain_listener()]) as server:
            found = [quiet(server)] if not rows else []
            try:
                result = TRIALS[name](server, scale)
                found += result if isinstance(result, list) else [result]
            except (Failed, OSError, TimeoutError) as error:
                failed.append(f"{name}: {error}")
                print(failed[-1], flush=True)
            for each in found:
                show(each, budget_mib * MEBI)
                if each.peak > budget_mib * MEBI:
                    failed.append(f"{name}: {each.peak / MEBI:.0f} MiB were resident")
            rows += found
    return rows, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries")
    parser.add_argument("--budget-mib", type=int, default=512)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("trials", nargs="*", choices=[[], *TRIALS], default=[])
    options = parser.parse_args()
    _, failed = run(options.binaries, options.budget_mib, options.scale, options.trials or TRIALS)
    sys.exit("\n".join(failed) or 0)


if __name__ == "__main__":
    main()
