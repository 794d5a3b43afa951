"""The trials of pressure.py. Each takes a server of its own and a scale, and returns rows; Failed when
what it promises does not hold. Who floods here is as fast as the server takes it (subscriptions,
topics, one client that never reads), or works at a rate below what the server can do (a thousand
subscribers to one topic): with the server at its end everybody waits, and nothing would be shown."""
import collections
import threading
import time

import mqtt_codec as codec
from pressure_clients import (MEBI, Beside, Counts, Failed, Taker, VERSION, is_let_in, open_client,
                              read_packet, read_until_quiet, send_all, send_at_least_once,
                              send_at_least_once_at_rate, send_at_rate, subscribe, take_all)
from server import wait_until

SLOW_RATE, STORED_RATE = 200, 50       # messages a second to a thousand subscribers at QoS 0, QoS 1

Row = collections.namedtuple("Row", "trial beside sent missing dropped refused note")


def row(trial, beside, counts, sent, missing, note=""):
    return Row(trial, beside, sent, missing, counts.dropped(), counts.refused(), note)


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
    counts.check_missing(missing)
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
        back = open_client(port, "away", clean=False)
        received = take_whole(back, "stored", payload)
        publisher.close()
    counts.check_missing(count - received)
    open_client(port, "away", clean=True).close()
    note = f"{index / count:.0f} B of index and {grown / count:.0f} B of RSS a message"
    return row("away, QoS 1 on disk", beside, counts, count, count - received, note)


def take_whole(connection, topic, payload):
    """All that a client gets, in its order; the connection is closed afterwards."""
    size = len(codec.publish(topic, payload, version=VERSION, qos=1, packet_id=1))
    taker = Taker(connection, size, topic)
    take_all([taker])
    taker.check_order()
    connection.close()
    return taker.count


def never_reads_connected(server, scale):
    """1 GB at QoS 1 to two clients that are connected and do not read until all is sent: a session
    that is kept misses nothing, one that ends with its connection what is counted."""
    payload = b"x" * 1000
    count = int(1_000_000 * scale)
    port = server.ports["plain"]
    rows = []
    for kept in (True, False):
        counts = Counts(server)
        with Beside(server) as beside:
            silent = open_client(port, "silent", clean=not kept, receive_bytes=65_536)
            subscribe(silent, ["silent"], qos=1)
            publisher = open_client(port, "publisher")
            send_at_least_once(publisher, "silent", payload, count)
            publisher.close()
        received = take_whole(silent, "silent", payload)
        if kept:
            if counts.dropped():
                raise Failed(f"a kept session lost messages: {dict(counts.dropped())}")
            received += take_whole(open_client(port, "silent", clean=False), "silent", payload)
        ended = server.metric("skerry_slow_consumers_ended_total")
        if kept or not ended:
            counts.check_missing(count - received)
        open_client(port, "silent", clean=True).close()
        rows.append(row(f"connected, QoS 1, {'kept' if kept else 'clean'}", beside, counts, count,
                        count - received, f"{ended:.0f} ended"))
    return rows


def thousand_slow(server, scale):
    """1,000 clients that do not read: what they may hold shrinks until all fit."""
    clients, messages = int(1_000 * scale), 4_000
    counts = Counts(server)
    port = server.ports["plain"]
    with Beside(server) as beside:
        slow = [open_client(port, f"slow-{i}", receive_bytes=4096) for i in range(clients)]
        for each in slow:
            subscribe(each, ["flood/#"])
        publisher = open_client(port, "publisher")
        frame = codec.publish("flood/a", b"x" * 1024, version=VERSION)
        send_at_rate(publisher, (frame for _ in range(messages)), SLOW_RATE / scale)
        ended = server.metric("skerry_slow_consumers_ended_total")
    for each in slow:
        each.close()
    publisher.close()
    wait_until_calm(server)
    return row(f"{clients} slow, QoS 0", beside, counts, clients * messages, None,
               f"{ended:.0f} ended; {SLOW_RATE / scale:.0f}/s, server at {beside.load:.0%}")


def wait_until_calm(server):
    wait_until(lambda: server.metric("skerry_memory_pressure") == 0,
               "the doors open again once the slow are gone", 60)
    wait_until(lambda: is_let_in(server.ports["plain"]), "somebody new is let in", 60)


def thousand_slow_stored(server, scale):
    """1,000 clients at QoS 1 that do not read until all is sent, every second one with a session that
    is kept: these miss nothing in the end, the others no more than is counted."""
    clients, messages = int(1_000 * scale), 1_500
    port = server.ports["plain"]
    counts = Counts(server)
    payload = b"x" * 1000
    size = len(codec.publish("flood/a", payload, version=VERSION, qos=1, packet_id=1))
    kept = {}
    with Beside(server) as beside:
        for i in range(clients):
            kept[f"slow-{i}"] = i % 2 == 0
        slow = {name: open_client(port, name, clean=not stays, receive_bytes=4096)
                for name, stays in kept.items()}
        for each in slow.values():
            subscribe(each, ["flood/#"], qos=1)
        publisher = open_client(port, "publisher")
        send_at_least_once_at_rate(publisher, "flood/a", payload, messages,
                                   STORED_RATE / scale)
        publisher.close()
    takers = {name: Taker(connection, size, "flood/a") for name, connection in slow.items()}
    take_all(list(takers.values()))
    ended = sum(taker.ended for taker in takers.values())
    missing = {name: messages - taker.count for name, taker in takers.items()}
    wait_until_calm(server)
    again = {}
    for name, taker in takers.items():
        taker.connection.close()
        if kept[name] and missing[name]:
            again[name] = Taker(open_client(port, name, clean=False), size, "flood/a")
    take_all(list(again.values()))
    for name, taker in again.items():
        missing[name] -= taker.count
        taker.connection.close()
    lost = sum(missing[name] for name, stays in kept.items() if stays)
    if lost > 0:
        raise Failed(f"kept sessions miss {lost} messages")
    uncounted = sum(missing[name] for name, stays in kept.items()
                    if not stays and not takers[name].ended) - sum(counts.dropped().values())
    if uncounted > 0:
        raise Failed(f"{uncounted} messages are missing and not counted: {dict(counts.dropped())}")
    return row(f"{clients} slow, QoS 1", beside, counts, clients * messages,
               sum(max(each, 0) for each in missing.values()),
               f"{ended} ended; {STORED_RATE / scale:.0f}/s, server at {beside.load:.0%}")


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
    """One publisher, a new topic each time, not retained."""
    count = int(1_000_000 * scale)
    counts = Counts(server)
    with Beside(server) as beside:
        publisher = open_client(server.ports["plain"], "publisher")
        send_all(publisher, topic_frames(count, False))
        publisher.close()
    return row("topics, not retained", beside, counts, count, None)


def keep_topics(server, count):
    """As many retained topics as fit: the row of that, and their number."""
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
    # What came in a rush is still on its way to the disk: the doors may be closed for a moment.
    wait_until(lambda: is_let_in(port), "somebody new is let in again", 60)
    return row("topics, retained", beside, counts, count, count - kept), kept


def retained_storm(server, scale):
    """As many retained topics as fit, then ten wildcards over all of them at once."""
    readers, port = 10, server.ports["plain"]
    storm, kept = keep_topics(server, int(1_000_000 * scale))
    counts = Counts(server)
    size = len(codec.publish("m/0000000", b"v" * 100, version=VERSION, retain=True))
    with Beside(server) as beside:
        clients = [open_client(port, f"reader-{i}") for i in range(readers)]
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
    counts.check_missing(readers * kept - taken)
    return [storm, row("retained storm", beside, counts, readers * kept, readers * kept - taken)]


def retained_slow(server, scale):
    """As many retained topics as fit, and one subscriber of # that reads nothing for a while, then
    slowly: it gets each of them once."""
    count, silent, rate = int(1_000_000 * scale), 10.0, 4_000_000
    filled, kept = keep_topics(server, count)
    counts = Counts(server)
    seen, rest = bytearray(count), b""
    with Beside(server) as beside:
        before = beside.resident()
        reader = open_client(server.ports["plain"], "slow", receive_bytes=65_536)
        subscribe(reader, ["#"])
        time.sleep(silent)
        grown = beside.resident() - before
        reader.settimeout(10)
        begin, taken, found = time.monotonic(), 0, 0
        while found < kept:
            try:
                more = reader.recv(65_536)
            except TimeoutError:
                break
            if not more:
                raise Failed("the slow reader was cut")
            taken += len(more)
            rest, new = note_topics(rest + more, seen)
            found += new
            time.sleep(max(begin + taken / rate - time.monotonic(), 0))
        reader.close()
    if max(seen) > 1:
        raise Failed("a retained message came twice")
    if found != kept:
        raise Failed(f"{kept - found} of {kept} retained messages are missing")
    note = f"{grown / MEBI:.1f} MiB for one who is silent; read at {taken / MEBI:.0f} MiB in all"
    return [filled, row("retained, slow reader", beside, counts, kept, kept - found, note)]


def note_topics(data, seen):
    """Notes which topics of topic_frames() are in whole packets, each with a length of one byte:
    what is left over, and how many were new. What is not retained belongs to somebody else."""
    at = new = 0
    while at + 2 <= len(data) and at + 2 + data[at + 1] <= len(data):
        if data[at] & 1:
            number = int(data[at + 6:at + 13])
            new += not seen[number]
            seen[number] += 1
        at += 2 + data[at + 1]
    return data[at:], new


TRIALS = {trial.__name__: trial for trial in
          (never_reads, never_reads_stored, never_reads_connected, thousand_slow,
           thousand_slow_stored, subscription_flood, million_topics, retained_storm,
           retained_slow)}
