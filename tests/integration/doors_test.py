#!/usr/bin/env python3
"""The doors over the wire: every limit on who may come and on what a client may send, small by
configuration, with the answer that MQTT or TCP has for it and the counter that says why."""
import contextlib
import errno
import pathlib
import socket
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt_codec as codec  # noqa: E402
import pki  # noqa: E402
from server import HOST, Server, plain_listener, wait_until  # noqa: E402

RATE_EXCEEDED, TOO_FAST = 0x9F, 0x96
PAUSE = 0.1                                      # between looks at metrics: they have doors, too
LIMITS = {"address_accepts_per_second": 50, "address_accepts_burst": 200,
          "address_connections_max": 150, "unattached_max": 20, "connects_per_minute": 30,
          "connect_timeout": "2s"}
LISTENERS = [plain_listener(), plain_listener("few", limits={"connections_max": 2}),
             plain_listener("held", limits={"messages_per_second": 20}),
             plain_listener("strict", limits={"messages_per_second": 20,
                                              "rate_policy": "disconnect"}),
             plain_listener("bytes", limits={"bytes_per_second": "4KiB",
                                             "rate_policy": "disconnect"})]
server = None


def setUpModule():
    global server
    server = Server(listeners=LISTENERS, overrides={"limits": LIMITS})


def tearDownModule():
    server.close()


def shed(reason):
    label = f'skerry_connections_shed_total{{reason="{reason}"}}'
    for line in server.metrics_get("/metrics")[1].splitlines():
        if line.startswith(label):
            return int(float(line.rsplit(" ", 1)[1]))
    raise AssertionError(f"there is no {label}")


def dial(listener, host):
    """From 127.0.0.`host`, so that each test is an address of its own."""
    connection = socket.socket()
    connection.settimeout(20)
    connection.bind((f"127.0.0.{host}", 0))
    connection.connect((HOST, server.ports[listener]))
    return connection


def is_reset(listener, host):
    """A new connection: maybe while it is still being opened."""
    try:
        with contextlib.closing(dial(listener, host)) as connection:
            connection.recv(1)
    except ConnectionResetError:
        return True
    return False


def read_packet(connection, version=5):
    """None at the end of the stream."""
    data = b""
    while len(data) < 2 or len(data) < 2 + data[1]:     # none of ours is longer than 127 bytes
        more = connection.recv(2 if len(data) < 2 else 2 + data[1] - len(data))
        if not more:
            return None
        data += more
    return codec.decode(data[0], data[2:], version)


def log_in(listener, host, client_id, version=5, **more):
    """The connection and its CONNACK."""
    connection = dial(listener, host)
    connection.sendall(codec.connect(client_id, version, **more))
    return connection, read_packet(connection, version)


class Coming(unittest.TestCase):
    def test_an_address_that_comes_too_often_is_reset_and_others_come_in(self):
        before, resets = shed("address_rate"), 0
        for _ in range(400):
            try:
                with contextlib.closing(dial("plain", 10)) as connection:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          struct.pack("ii", 1, 0))
            except ConnectionResetError:
                resets += 1
        self.assertGreater(shed("address_rate") - before, 50)
        connection, answer = log_in("plain", 11, "neighbour")
        self.assertEqual(answer.reason, 0)
        connection.close()

    def test_a_listener_has_its_connections_and_the_others_theirs(self):
        before = shed("listener")
        held = [log_in("few", 12, f"few-{n}") for n in range(2)]
        self.assertEqual([answer.reason for _, answer in held], [0, 0])
        self.assertTrue(is_reset("few", 13))
        self.assertEqual(shed("listener"), before + 1)
        connection, answer = log_in("plain", 13, "elsewhere")
        self.assertEqual(answer.reason, 0)
        connection.close()
        held[0][0].close()

        def again():
            try:
                connection, answer = log_in("few", 13, "few-again")
            except OSError:
                return False
            connection.close()
            return answer is not None and answer.reason == 0
        wait_until(again, "there is room again", pause=PAUSE)
        held[1][0].close()

    def test_an_address_has_its_connections(self):
        held = [log_in("plain", 14, f"crowd-{n}") for n in range(LIMITS["address_connections_max"])]
        self.assertTrue(all(answer.reason == 0 for _, answer in held))
        self.assertTrue(is_reset("plain", 14))
        self.assertGreaterEqual(shed("address_connections"), 1)
        for connection, _ in held:
            connection.close()

    def test_silent_ones_give_way_to_new_ones_of_another_address(self):
        before = shed("unattached")
        silent = [dial("devices", 15) for _ in range(3 * LIMITS["unattached_max"])]
        wait_until(lambda: shed("unattached") > before, "somebody gave way", pause=PAUSE)
        connection, answer = log_in("plain", 16, "in-spite")
        self.assertEqual(answer.reason, 0)
        connection.close()
        for each in silent:
            each.close()

    def test_who_stops_in_the_handshake_or_drips_is_gone_when_its_time_is_over(self):
        half = dial("devices", 17)
        half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")   # of a ClientHello
        drips = dial("plain", 17)
        drips.sendall(codec.connect("drips")[:5])
        wait_until(lambda: server.metric("skerry_connections_unattached") >= 2, "both are there",
                   pause=PAUSE)
        for connection in half, drips:
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(connection.recv(1), b"")
            connection.close()
        wait_until(lambda: server.metric("skerry_handshakes_open") == 0, "no handshake is open",
                   pause=PAUSE)

    def test_who_is_gone_before_the_handshake_costs_none(self):
        device = pki.Device.enrolled(server, "in-time")
        before = server.metric("skerry_handshakes_total")
        failed = server.metric("skerry_handshakes_failed_total")
        for _ in range(20):
            dial("devices", 18).close()
        with socket.create_connection((HOST, server.ports["devices"]), 20) as plain:
            with device.context().wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(codec.connect("in-time"))
                self.assertEqual(read_packet(secure).reason, 0)
        self.assertEqual(server.metric("skerry_handshakes_total"), before + 1)
        self.assertEqual(server.metric("skerry_handshakes_failed_total"), failed)
        self.assertGreater(server.metric("skerry_handshake_seconds_total"), 0)

    def test_http_ports_have_doors_too(self):
        label = 'skerry_http_connections_shed_total{port="admin"}'
        for _ in range(600):
            with contextlib.suppress(ConnectionResetError):
                dial("admin", 19).close()

        def counted():
            lines = server.metrics_get("/metrics")[1].splitlines()
            return any(line.startswith(label) and not line.endswith(" 0") for line in lines)
        wait_until(counted, "somebody was reset", pause=PAUSE)
        self.assertIn("version", server.rest("GET", "/api/v1/system/version"))


class Often(unittest.TestCase):
    def test_a_client_that_connects_too_often_hears_it_and_others_do_not(self):
        before = server.metric("skerry_connects_rate_limited_total")
        for _ in range(LIMITS["connects_per_minute"]):
            connection, answer = log_in("plain", 20, "restless")
            self.assertEqual(answer.reason, 0)
            connection.close()
        connection, answer = log_in("plain", 20, "restless")
        self.assertEqual(answer.reason, RATE_EXCEEDED)
        self.assertEqual(connection.recv(1), b"")
        connection, answer = log_in("plain", 20, "restless", version=4)
        self.assertEqual(answer.reason, 3)
        self.assertEqual(log_in("plain", 20, "calm")[1].reason, 0)
        self.assertEqual(server.metric("skerry_connects_rate_limited_total"), before + 2)


class Fast(unittest.TestCase):
    def test_a_fast_client_is_held_and_loses_nothing(self):
        before = server.metric("skerry_clients_held_total")
        subscriber, _ = log_in("held", 21, "reader")
        subscriber.sendall(codec.subscribe(1, [("fast", 1)]))
        self.assertEqual(read_packet(subscriber).kind, codec.SUBACK)
        publisher, _ = log_in("held", 21, "writer", keep_alive=1)
        for number in range(1, 81):
            publisher.sendall(codec.publish("fast", str(number).encode(), qos=1, packet_id=number))
        got = []
        while len(got) < 80:
            packet = read_packet(subscriber)
            got.append(packet.payload)
            subscriber.sendall(codec.acknowledgement(codec.PUBACK, packet.packet_id))
        self.assertEqual(got, [str(number).encode() for number in range(1, 81)])
        self.assertGreater(server.metric("skerry_clients_held_total"), before)
        # Held for longer than one and a half keep alives, and still there when it is read again.
        publisher.sendall(codec.frame(codec.PINGREQ << 4, b""))
        names = [codec.NAMES[read_packet(publisher).kind] for _ in range(81)]
        self.assertEqual(names.count("PUBACK"), 80)
        self.assertIn("PINGRESP", names)
        publisher.close()
        subscriber.close()

    def refused(self, listener, payload, count):
        publisher, _ = log_in(listener, 22, f"rude-{listener}")
        with contextlib.suppress(OSError):
            for _ in range(count):
                publisher.sendall(codec.publish("rude", payload))
        try:
            packet = read_packet(publisher)
        except OSError as error:
            self.assertIn(error.errno, (errno.ECONNRESET, errno.EPIPE))
            return None
        self.assertEqual((packet.kind, packet.reason), (codec.DISCONNECT, TOO_FAST))
        publisher.close()
        return packet

    def test_with_the_other_policy_it_is_disconnected_by_messages_and_by_bytes(self):
        before = server.metric("skerry_clients_too_fast_total")
        self.refused("strict", b"x", 45)
        self.refused("bytes", b"x" * 3_000, 4)
        self.assertEqual(server.metric("skerry_clients_too_fast_total"), before + 2)


class Wait(unittest.TestCase):
    def test_a_core_that_may_shake_few_hands_still_lets_everybody_in(self):
        limits = {"handshake_cpu_percent": 5, "accepts_per_second": 30, "connect_timeout": "2min"}
        with Server(overrides={"limits": limits}) as slow:
            device = pki.Device.enrolled(slow, "patient")
            context = device.context()
            plain = [socket.create_connection((HOST, slow.ports["devices"]), 60)
                     for _ in range(60)]
            for number, each in enumerate(plain):
                secure = context.wrap_socket(each, server_hostname="localhost")
                secure.sendall(codec.connect(f"patient-{number}"))
                self.assertEqual(read_packet(secure).reason, 0)
                secure.close()
            self.assertEqual(slow.metric("skerry_handshakes_total"), 60)
            self.assertEqual(slow.metric("skerry_connections_shed_total"), 0)

            def deferred():
                # A machine that is slow itself may never have come faster than the rate.
                for each in [socket.create_connection((HOST, slow.ports["devices"]), 60)
                             for _ in range(60)]:
                    each.close()
                return slow.metric("skerry_accepts_deferred_total") > 0
            wait_until(deferred, "an accept is deferred")


if __name__ == "__main__":
    unittest.main(verbosity=2)
