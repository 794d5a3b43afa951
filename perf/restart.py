#!/usr/bin/env python3
"""From the start of a server to serving, with messages that wait for offline persistent sessions:
the time until a new client has its CONNACK, and until one of the sessions has its CONNACK with
session present and all its messages. Exit code 1 when a goal is missed.
Usage: restart.py [--binaries DIR] [--messages 100000,1000000] [--sessions 200] [--retained 100000]
                  [--payload 200] [--ends kill,stop] [--realtime]

The server is killed or stopped and started again over the same data; the files are in the page
cache, so a disk that was cold comes on top. --realtime gives the server a processor before all
others, as on a machine that does nothing else; it needs the right to do so. The memory is that of the server when all is served.
"""
import argparse
import os
import pathlib
import signal
import socket
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import mqtt_codec as codec  # noqa: E402
from server import HOST, Server, plain_listener  # noqa: E402

GOALS = {100_000: 1.0, 1_000_000: 5.0}      # seconds until serving
EXPIRY = 3600
WINDOW = 16_384
PERSISTENT = {"session_expiry": EXPIRY, "receive_maximum": 65_535}


class Client:
    """A blocking client that reads whole packets; just enough to fill queues and to empty one."""

    def __init__(self, port, client_id, clean=True, timeout=120.0):
        self.socket = socket.create_connection((HOST, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        properties = {"receive_maximum": 65_535} if clean else PERSISTENT
        self.socket.sendall(codec.connect(client_id, clean=clean, properties=properties))
        answer = self.packet()
        assert answer.kind == codec.CONNACK and answer.reason == 0, answer
        self.session_present = answer.session_present

    def packet(self):
        while True:
            if len(self.buffer) >= 2:
                try:
                    length, at = codec.read_variable(self.buffer, 1)
                except IndexError:
                    length, at = 1 << 30, 0
                if len(self.buffer) >= at + length:
                    body = bytes(self.buffer[at:at + length])
                    first = self.buffer[0]
                    del self.buffer[:at + length]
                    return codec.decode(first, body)
            more = self.socket.recv(1 << 18)
            if not more:
                raise ConnectionError("the server closed the connection")
            self.buffer += more

    def close(self):
        self.socket.sendall(codec.disconnect())
        self.socket.close()


def session_name(number):
    return f"offline-{number:05}"


def open_sessions(port, count):
    for number in range(count):
        client = Client(port, session_name(number), clean=False)
        client.socket.sendall(codec.subscribe(1, [(f"queue/{number:05}", 1)]))
        assert client.packet().kind == codec.SUBACK
        client.close()


def acknowledged_in(buffer):
    """Takes whole PUBACKs from the front of `buffer` and counts them."""
    count = at = 0
    while len(buffer) - at >= 2 and len(buffer) - at >= 2 + buffer[at + 1]:
        if buffer[at] != codec.PUBACK << 4 or (buffer[at + 1] > 2 and buffer[at + 4] >= 0x80):
            sys.exit(f"a message was refused: {bytes(buffer[at:at + 8]).hex()}")
        at += 2 + buffer[at + 1]
        count += 1
    del buffer[:at]
    return count


def publish_all(port, topics, count, payload, retain=False):
    """`count` messages at QoS 1, round the topics; each is acknowledged when this returns."""
    client = Client(port, "filler")
    sent = acknowledged = 0
    while acknowledged < count:
        chunk = bytearray()
        while sent < count and sent - acknowledged < WINDOW and len(chunk) < 1 << 18:
            chunk += codec.publish(topics[sent % len(topics)], sent.to_bytes(8, "big") + payload,
                                   qos=1, retain=retain, packet_id=sent % 65_000 + 1)
            sent += 1
        client.socket.sendall(chunk)
        client.buffer += client.socket.recv(1 << 18)
        acknowledged += acknowledged_in(client.buffer)
    client.close()


def connected(port, client_id, clean, deadline):
    """A client as soon as the server lets it in."""
    while True:
        try:
            return Client(port, client_id, clean)
        except (ConnectionError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)


def resident_megabytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def start_again(server, number, expected, realtime):
    """Seconds to the CONNACK of a new client, to that of session `number`, to its last message."""
    port = server.ports["plain"]
    begin = time.monotonic()
    server.start(wait=False)
    if realtime:
        os.sched_setscheduler(server.pid, os.SCHED_FIFO, os.sched_param(5))
    fresh = connected(port, "fresh", True, begin + 300)
    serving = time.monotonic() - begin
    cpu = cpu_seconds(server.pid)
    session = connected(port, session_name(number), False, begin + 300)
    present = time.monotonic() - begin
    if not session.session_present:
        sys.exit("the session is gone")
    for _ in range(expected):
        packet = session.packet()
        assert packet.kind == codec.PUBLISH, packet
    everything = time.monotonic() - begin
    session.socket.close()  # nothing was acknowledged: the queue stays as it is
    fresh.close()
    server.wait_ready()
    return serving, present, everything, cpu


def fill(server, arguments, messages):
    port = server.ports["plain"]
    open_sessions(port, arguments.sessions)
    payload = bytes(arguments.payload - 8)
    begin = time.monotonic()
    publish_all(port, [f"queue/{n:05}" for n in range(arguments.sessions)], messages, payload)
    if arguments.retained:
        publish_all(port, [f"kept/{n:06}" for n in range(arguments.retained)], arguments.retained,
                    payload, retain=True)
    print(f"  filled in {time.monotonic() - begin:.1f} s, "
          f"RSS {resident_megabytes(server.pid):.0f} MB", flush=True)


def measure(arguments, messages):
    """True when the goal was kept."""
    print(f"{messages} messages of {arguments.payload} bytes for {arguments.sessions} sessions, "
          f"{arguments.retained} retained", flush=True)
    each = messages // arguments.sessions
    kept = True
    limits = {"session_queue_messages_max": each + 10, "receive_maximum": 65_535,
              "inflight_max": 65_535}
    with Server(arguments.binaries, listeners=[plain_listener()],
                overrides={"limits": limits}) as server:
        fill(server, arguments, messages)
        for number, end in enumerate(arguments.ends.split(",")):
            server.kill9() if end == "kill" else server.stop()
            serving, present, everything, cpu = start_again(server, number, min(each, 65_535),
                                                         arguments.realtime)
            print(f"  after {end}: a new client {serving:.2f} s, a session {present:.2f} s, "
                  f"its {each} messages {everything:.2f} s; {cpu:.2f} s of CPU, "
                  f"RSS {resident_megabytes(server.pid):.0f} MB", flush=True)
            kept = kept and everything < GOALS.get(messages, float("inf"))
        if arguments.hold:
            print(f"  pid {server.pid}, data in {server.data_dir}; ends on SIGINT", flush=True)
            signal.pause()
    return kept


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries")
    parser.add_argument("--messages", default="100000,1000000")
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--retained", type=int, default=100_000)
    parser.add_argument("--payload", type=int, default=200)
    parser.add_argument("--ends", default="kill,stop", help="kill, stop or both, by comma")
    parser.add_argument("--realtime", action="store_true", help="before all other processes")
    parser.add_argument("--hold", action="store_true", help="leave the last server running")
    arguments = parser.parse_args()
    kept = [measure(arguments, int(count)) for count in arguments.messages.split(",")]
    if not all(kept):
        sys.exit("a goal was missed")


if __name__ == "__main__":
    main()
