#!/usr/bin/env python3
"""Bad input gets the answer its specification names, in words that help: malformed packets, wrong
configuration, telemetry that is none, and starts that cannot succeed."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt_codec as codec  # noqa: E402
from server import HOST, Server, binaries_directory, plain_listener  # noqa: E402


def read_packet(connection):
    """(first byte, body), or None when the server has closed."""
    data = b""
    while True:
        if len(data) >= 2:
            length = codec.read_variable(data, 1)
            if length is not None and len(data) >= length[1] + length[0]:
                return data[0], data[length[1]:length[1] + length[0]]
        more = connection.recv(4096)
        if not more:
            return None
        data += more


class Client:
    def __init__(self, server, client_id, version=5):
        self.socket = socket.create_connection((HOST, server.ports["plain"]), 20)
        self.socket.sendall(codec.connect(client_id, version=version))
        assert read_packet(self.socket)[0] >> 4 == codec.CONNACK

    def ping(self):
        self.socket.sendall(b"\xc0\x00")
        return read_packet(self.socket) == (0xd0, b"")

    def ends(self):
        """The reason of the DISCONNECT (None without one) before the server closes."""
        reason, packet = None, read_packet(self.socket)
        while packet is not None:
            if packet[0] >> 4 == 14:
                reason = packet[1][0] if packet[1] else 0
            packet = read_packet(self.socket)
        return reason


MALFORMED = [
    ("a reserved packet type", b"\x00\x00", 0x81),
    ("wrong flags of SUBSCRIBE", b"\x80\x06\x00\x01\x00\x00\x01a\x00", 0x81),
    ("QoS 3", b"\x36\x07\x00\x01a\x00\x01\x00x", 0x81),
    ("a Remaining Length of five bytes", b"\x30\xff\xff\xff\xff\x01", 0x81),
    ("a packet above the maximum", b"\x30\xff\xff\xff\x7f", 0x95),
    ("a topic with a wildcard", b"\x30\x06\x00\x03a/#\x00", 0x90),
    ("a topic that is not UTF-8", b"\x30\x05\x00\x02\xc3\x28\x00", 0x81),
    ("a topic alias of 0", b"\x30\x07\x00\x01a\x03\x23\x00\x00", 0x94),
    ("a filter with a wildcard in a level", b"\x82\x09\x00\x01\x00\x00\x03a#b\x00", 0x8f),
    ("a second CONNECT", codec.connect("again"), 0x82),
    ("packet id 0", b"\x32\x06\x00\x01a\x00\x00\x00", 0x82),
]


class MalformedPackets(unittest.TestCase):
    def test_each_gets_its_reason_and_nobody_else_notices(self):
        with Server(listeners=[plain_listener()]) as server:
            healthy = Client(server, "healthy")
            for what, packet, reason in MALFORMED:
                with self.subTest(what):
                    client = Client(server, "bad")
                    client.socket.sendall(packet)
                    got = client.ends()
                    # Both codes stand for a packet id of 0 in the specification.
                    allowed = {reason} if what != "packet id 0" else {0x81, 0x82}
                    self.assertIn(got, allowed, f"{got:#x}" if got else got)
                    self.assertTrue(healthy.ping())

    def test_a_first_packet_that_is_no_connect_is_cut(self):
        with Server(listeners=[plain_listener()]) as server:
            for first in (b"GET / HTTP/1.1\r\n\r\n", b"\xc0\x00", b"\x16\x03\x01\x02\x00\x01\x00"):
                with socket.create_connection((HOST, server.ports["plain"]), 20) as connection:
                    connection.sendall(first)
                    self.assertIsNone(read_packet(connection))
            self.assertTrue(Client(server, "healthy").ping())

    def test_an_unknown_protocol_version_is_told_so(self):
        with Server(listeners=[plain_listener()]) as server:
            with socket.create_connection((HOST, server.ports["plain"]), 20) as connection:
                connection.sendall(b"\x10\x0d\x00\x04MQTT\x09\x02\x00\x00\x00\x01a")
                first, body = read_packet(connection)
                self.assertEqual((first >> 4, body[1]), (codec.CONNACK, 0x84))


class Telemetry(unittest.TestCase):
    def test_what_is_not_json_is_refused_in_5_and_acknowledged_but_not_stored_in_3(self):
        topic = "devices/d1/telemetry"
        with Server(listeners=[plain_listener()]) as server:
            for version, answer in ((5, 0x99), (4, None)):
                client = Client(server, "d1", version)
                client.socket.sendall(codec.publish(topic, b"21.5 degrees", version=version, qos=1,
                                                    packet_id=7))
                first, body = read_packet(client.socket)
                self.assertEqual((first >> 4, body[:2]), (codec.PUBACK, b"\x00\x07"))
                self.assertEqual(body[2] if len(body) > 2 else None, answer)
            self.assertEqual(server.metric("skerry_telemetry_rejected_total"), 2)
            self.assertEqual(server.metric("skerry_telemetry_samples_total"), 0)


def run_skerryd(*arguments, cwd=None):
    done = subprocess.run([str(binaries_directory() / "skerryd"), *arguments], cwd=cwd, timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stderr.strip()


class Starts(unittest.TestCase):
    def refused(self, server, expect):
        """The second start of this server's configuration ends at once with one sentence."""
        code, said = run_skerryd("--config", str(server.configuration_path))
        self.assertEqual(code, 1, said)
        sentences = [line for line in said.splitlines() if not line.startswith("{")]
        self.assertEqual(len(sentences), 1, said)
        self.assertRegex(sentences[0], expect)

    def test_a_wrong_configuration_key_names_file_line_and_nearest_key(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "skerry.yaml"
            path.write_text("data_dir: ./data\n\nlistners: []\n")
            code, said = run_skerryd("--config", str(path), "--check-config")
            self.assertEqual(code, 2)
            self.assertIn(f'{path}:3: unknown key "listners"', said)
            self.assertIn('"listeners"', said)

    def test_a_port_in_use(self):
        with Server(listeners=[plain_listener()]) as server:
            server.stop()
            with socket.create_server((HOST, server.ports["plain"])):
                self.refused(server, r"127\.0\.0\.1:%d.*in use" % server.ports["plain"])
            server.start()

    def test_a_second_server_on_the_same_data(self):
        with Server() as server:
            with Server(data_dir=server.data_dir, start=False) as second:
                second.configuration_path.write_text(json.dumps(second.configuration))
                self.refused(second, r"data.*(another|other) process|process.*data")

    def test_an_unreadable_key(self):
        with Server() as server:
            server.stop()
            key = server.data_dir / "ca" / "device-ca.key"
            good = key.read_bytes()
            key.write_text("-----BEGIN PRIVATE KEY-----\nbroken\n-----END PRIVATE KEY-----\n")
            self.refused(server, r"device-ca\.key")
            key.write_bytes(good)
            server.start()

    def test_data_of_a_newer_version(self):
        source = pathlib.Path(__file__).with_name("newer_version.cpp")
        with Server() as server:
            server.stop()
            with tempfile.TemporaryDirectory() as folder:
                program = os.path.join(folder, "newer_version")
                subprocess.run(["g++", "-std=c++20", "-O0", "-o", program, str(source), "-lrocksdb"],
                               check=True)
                subprocess.run([program, str(server.data_dir / "store"), "2"], check=True)
                self.refused(server, r"newer|version 2")
                subprocess.run([program, str(server.data_dir / "store"), "1"], check=True)
            server.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)
