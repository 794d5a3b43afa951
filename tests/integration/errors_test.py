#!/usr/bin/env python3
"""What bad input gets: a malformed packet the reason that MQTT names and a close that nobody else
notices; an operator's mistake one clear sentence and an exit code that is not 0."""
import asyncio
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
import mqtt_codec as codec  # noqa: E402
import pki  # noqa: E402
from server import HOST, Server, binaries_directory, plain_listener  # noqa: E402

MALFORMED, PROTOCOL_ERROR, BAD_VERSION = 0x81, 0x82, 0x84
TOPIC_INVALID, PACKET_TOO_LARGE, ALIAS_INVALID, FORMAT_INVALID = 0x90, 0x95, 0x94, 0x99
EXIT_SECONDS = 60

server = None
device = None


def setUpModule():
    global server, device
    server = Server(listeners=[plain_listener()])
    device = pki.Device.enrolled(server, "sensor")


def tearDownModule():
    server.close()


def connect_with(flags=2, name=b"\0\4MQTT", version=5, rest=b"\0\0\0\0\0"):
    """A CONNECT from its parts; `rest`: keep alive, properties, payload."""
    return codec.frame(0x10, name + bytes([version, flags]) + rest)


class Malformed(unittest.IsolatedAsyncioTestCase):
    # What a client sends after its CONNECT of MQTT 5, and the reason of the DISCONNECT.
    AFTER_CONNECT = {
        "a packet type of 0": (b"\x00\x00", MALFORMED),
        "reserved flags of SUBSCRIBE": (b"\x80\x06\0\1\0\0\1a", MALFORMED),
        "QoS 3": (b"\x36\x06\0\1a\0\1\0", MALFORMED),
        "a remaining length of five bytes": (b"\x30\xff\xff\xff\xff\x01", MALFORMED),
        "a property length that takes five bytes": (b"\x30\x09\0\1a\x80\x80\x80\x80\x01x",
                                                    MALFORMED),
        "an unknown property": (b"\x30\x06\0\1a\x02\x7f\0", MALFORMED),
        "a property that the packet may not have": (b"\x30\x09\0\1a\x05\x11\0\0\0\1",
                                                    None),
        "the same property twice": (b"\x30\x08\0\1a\x04\x01\0\x01\0", PROTOCOL_ERROR),
        "a topic that is not UTF-8": (b"\x30\x05\0\2\xc3\x28\0", MALFORMED),
        "a topic with a null character": (b"\x30\x06\0\3a\0b\0", None),
        "a topic with a wildcard": (b"\x30\x06\0\3a/#\0", TOPIC_INVALID),
        "an empty topic without alias": (b"\x30\x03\0\0\0", PROTOCOL_ERROR),
        "topic alias 0": (b"\x30\x07\0\1a\x03\x23\0\0", ALIAS_INVALID),
        "a topic alias above the maximum": (b"\x30\x07\0\1a\x03\x23\xff\xff", ALIAS_INVALID),
        "packet id 0": (b"\x32\x06\0\1a\0\0\0", None),
        "SUBSCRIBE without a filter": (b"\x82\x03\0\1\0", PROTOCOL_ERROR),
        "SUBSCRIBE with a filter that makes no sense": (b"\x82\x08\0\1\0\0\2a#\0", None),
        "SUBSCRIBE with retain handling 3": (b"\x82\x07\0\1\0\0\1a\x30", None),
        "SUBSCRIBE to a shared filter with no local": (
            codec.subscribe(1, [("$share/g/a", 0x05)]), PROTOCOL_ERROR),
        "a second CONNECT": (codec.connect("again"), PROTOCOL_ERROR),
        "a packet that only servers send": (b"\x20\x03\0\0\0", PROTOCOL_ERROR),
        "AUTH that nobody asked for": (b"\xf0\x00", PROTOCOL_ERROR),
        "a topic that is longer than its packet": (b"\x30\x04\0\x09ab", MALFORMED),
        "a packet above the maximum": (b"\x30\xff\xff\xff\x7f", PACKET_TOO_LARGE),
        "PUBREL with reserved flags": (b"\x60\x02\0\1", MALFORMED),
        "PINGREQ with a body": (b"\xc0\x01x", MALFORMED),
    }
    # What comes instead of a CONNECT, and the reason of the CONNACK, None for a silent close.
    INSTEAD_OF_CONNECT = {
        "PUBLISH first": (codec.publish("a", b""), None),
        "HTTP": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
        "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), None),
        "an unknown version": (connect_with(version=6), BAD_VERSION),
        "the reserved flag": (connect_with(flags=3), MALFORMED),
        "a will of QoS 3": (connect_with(flags=0x1E), MALFORMED),
        "will flags without a will": (connect_with(flags=0x22), MALFORMED),
        "receive maximum 0": (connect_with(rest=b"\0\0\x03\x21\0\0\0\0"), PROTOCOL_ERROR),
        "a cut user name": (connect_with(flags=0x82, rest=b"\0\0\0\0\0\0\x09ab"), MALFORMED),
    }

    def setUp(self):
        self.port = server.ports["plain"]

    async def raw(self, version=5):
        return await mqtt.RawConnection.open(HOST, self.port, version=version)

    async def connected(self, version=5):
        raw = await self.raw(version)
        raw.send(codec.connect("raw", version))
        self.assertEqual((await raw.read_packet()).reason, 0)
        return raw

    async def healthy(self):
        """A client in the middle of its work, on both cores as luck has it."""
        clients = []
        for name in ("healthy 1", "healthy 2", "healthy 3"):
            client = mqtt.Client(name)
            await client.connect(HOST, self.port)
            await client.subscribe("healthy/#", qos=2)
            clients.append(client)
        return clients

    async def check_healthy(self, clients):
        for client in clients:
            sent = client.publish("healthy/beat", client.client_id, qos=2)
            self.assertEqual(await sent.acknowledged(), 0)
        for client in clients:
            seen = sorted([(await client.next_message()).payload.decode() for _ in clients])
            self.assertEqual(seen, [other.client_id for other in clients])

    async def leave(self, clients):
        for client in clients:
            await client.disconnect()

    async def test_a_malformed_packet_gets_the_reason_that_mqtt_names_and_then_a_close(self):
        healthy = await self.healthy()
        for what, (data, reason) in self.AFTER_CONNECT.items():
            with self.subTest(what):
                raw = await self.connected()
                raw.send(data)
                packet = await raw.read_packet()
                self.assertIsNotNone(packet, "closed without a DISCONNECT")
                self.assertEqual(packet.kind, codec.DISCONNECT)
                if reason is None:
                    # MQTT leaves open which of both it is.
                    self.assertIn(packet.reason, (MALFORMED, PROTOCOL_ERROR, TOPIC_INVALID, 0x8F))
                else:
                    self.assertEqual(hex(packet.reason), hex(reason))
                self.assertIsNone(await raw.read_packet(), "the connection stays open")
                await raw.close()
        await self.check_healthy(healthy)
        await self.leave(healthy)

    async def test_the_same_bytes_one_at_a_time_get_the_same_answer(self):
        for what, (data, _) in self.AFTER_CONNECT.items():
            with self.subTest(what):
                raw = await self.connected()
                for byte in data:
                    raw.send(bytes([byte]))
                    await asyncio.sleep(0)
                self.assertEqual((await raw.read_packet()).kind, codec.DISCONNECT)
                self.assertIsNone(await raw.read_packet())
                await raw.close()

    async def test_before_mqtt_5_a_malformed_packet_gets_a_close(self):
        for version in (3, 4):
            for data in (b"\x00\x00", b"\x36\x05\0\1a\0\1", b"\x80\x06\0\1\0\0\1a",
                         b"\xf0\x00", b"\x30\x05\0\3a/#"):
                raw = await self.connected(version)
                raw.send(data)
                self.assertIsNone(await raw.read_packet(), f"{data} in version {version}")
                await raw.close()

    async def test_what_is_no_connect_gets_no_further(self):
        healthy = await self.healthy()
        for what, (data, reason) in self.INSTEAD_OF_CONNECT.items():
            with self.subTest(what):
                raw = await self.raw()
                raw.send(data)
                packet = await raw.read_packet()
                if packet is not None:
                    self.assertEqual(packet.kind, codec.CONNACK)
                    self.assertEqual(hex(packet.reason), hex(reason or packet.reason))
                    self.assertGreaterEqual(packet.reason, 0x80)
                    self.assertIsNone(await raw.read_packet())
                else:
                    self.assertIsNone(reason, "closed without a CONNACK")
                await raw.close()
        await self.check_healthy(healthy)
        await self.leave(healthy)

    async def test_older_versions_hear_of_refusal_in_their_own_words(self):
        raw = await self.raw(4)
        raw.send(connect_with(version=4, flags=0, rest=b"\0\0\0\0"))
        # [MQTT-3.1.3-8] of 3.1.1: an empty id needs a clean session.
        self.assertEqual((await raw.read_packet()).reason, 2)
        self.assertIsNone(await raw.read_packet())
        await raw.close()

    async def test_garbage_of_every_kind_harms_nobody(self):
        healthy = await self.healthy()
        generator = random.Random(7)
        for turn in range(100):
            raw = await (self.connected() if turn % 2 else self.raw())
            raw.send(generator.randbytes(generator.randrange(1, 2_000)))
            raw.send(b"\xff" * 64)
            await raw.close()
        await self.check_healthy(healthy)
        await self.leave(healthy)
        self.assertEqual(server.metrics_get("/health/ready")[0], 200)


class Telemetry(unittest.IsolatedAsyncioTestCase):
    BAD = [b"", b"21.5", b"no JSON", b'{"temperature":', b'"text"', b"[1, 2]", b"\xff\xfe",
           b'{"temperature": 1}{"temperature": 2}', b'{"ts": "now", "temperature": 1}',
           b"[" * 5_000]

    async def client(self, version):
        client = mqtt.Client(device.id, version=version)
        await client.connect(HOST, server.ports["devices"], tls=device.context())
        return client

    async def stored(self):
        return await asyncio.to_thread(
            server.rest, "GET", f"/api/v1/devices/{device.id}/telemetry/latest")

    async def test_what_is_not_json_is_refused_in_mqtt_5_and_only_acknowledged_in_3_1_1(self):
        spy = mqtt.Client("spy")
        await spy.connect(HOST, server.ports["plain"])
        await spy.subscribe("devices/#")
        for version in (4, 5):
            client = await self.client(version)
            for payload in self.BAD:
                for qos in (1, 2):
                    sent = client.publish(device.topic("telemetry"), payload, qos=qos)
                    self.assertEqual(await sent.acknowledged(),
                                     FORMAT_INVALID if version == 5 else 0, payload[:40])
            self.assertTrue(client.connected)
            self.assertEqual((await self.stored())["items"], [])
            await client.disconnect()
        client = await self.client(5)
        good = client.publish(device.topic("telemetry"), b'{"temperature": 21.5}', qos=1)
        self.assertEqual(await good.acknowledged(), 0)
        self.assertEqual([item["value"] for item in (await self.stored())["items"]], [21.5])
        await client.disconnect()
        await spy.disconnect()


class Operator(unittest.TestCase):
    """Each mistake: one sentence on standard error that names what to mend, no way on."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="skerry-test-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.other = Server(start=False)
        self.addCleanup(self.other.close)

    def fails(self, *words, code=1):
        """The sentence with which skerryd ends."""
        done = subprocess.run([str(binaries_directory() / "skerryd"), *words], cwd=self.directory,
                              capture_output=True, timeout=EXIT_SECONDS, stdin=subprocess.DEVNULL)
        said = done.stderr.decode()
        self.assertEqual(done.returncode, code, said)
        sentences = [line for line in said.splitlines() if not line.startswith("{")]
        self.assertEqual(len(sentences), 1, said)
        self.assertTrue(sentences[0].startswith("skerryd: "), said)
        self.assertNotIn(b"password", done.stdout)
        print("   ", sentences[0])
        return sentences[0]

    def fails_with(self, configuration, code=1):
        path = self.directory / "skerry.yaml"
        path.write_text(configuration if isinstance(configuration, str)
                        else json.dumps(configuration))
        return self.fails("--config", str(path), code=code)

    def assert_names(self, sentence, *words):
        for word in words:
            self.assertIn(str(word), sentence)

    def test_an_unknown_key_is_named_with_file_line_and_the_nearest_known_one(self):
        for text, line, nearest in (
                ("cores: 2\nlisteneers:\n  - name: x\n", 2, "listeners"),
                ("cores: 2\nlog:\n  levle: debug\n", 3, "level"),
                ("listeners:\n  - name: x\n    bind: 127.0.0.1:0\n    polisy: open\n", 4, "policy"),
                ("limits:\n  packet_size_max: 1MiB\n  inflight_maxi: 7\n", 3, "inflight_max")):
            self.assert_names(self.fails_with(text, code=2), f"skerry.yaml:{line}:",
                              f'"{nearest}"')

    def test_wrong_values_are_named_with_file_and_line(self):
        for text, line, word in (
                ("cores: many\n", 1, "many"),
                ("data_dir: x\ncores: 2\nlog: {level: loud}\n", 3, "loud"),
                ("listeners:\n  - name: x\n    bind: here\n", 3, "bind"),
                ("listeners:\n  - name: x\n", 2, "bind"),
                ("limits:\n  connect_timeout: 5 apples\n", 2, "5 apples"),
                ("data_dir: [\n", 2, "YAML")):
            self.assert_names(self.fails_with(text, code=2), f"skerry.yaml:{line}:", word)

    def test_a_configuration_that_is_not_there_or_an_unknown_option_is_exit_2(self):
        self.assert_names(self.fails("--config", "nowhere.yaml", code=2), "nowhere.yaml")
        done = subprocess.run([str(binaries_directory() / "skerryd"), "--konfig", "x"],
                              capture_output=True, timeout=EXIT_SECONDS)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"--konfig", done.stdout + done.stderr)

    def test_a_port_in_use_is_named(self):
        for section in ("admin", "enrolment", "metrics", "devices"):
            with socket.socket() as taken:
                taken.bind((HOST, 0))
                taken.listen()
                address = f"{HOST}:{taken.getsockname()[1]}"
                configuration = json.loads(json.dumps(self.other.configuration))
                if section == "devices":
                    configuration["listeners"][0]["bind"] = address
                elif section == "enrolment":
                    configuration["identity"]["enrolment"]["bind"] = address
                else:
                    configuration[section]["bind"] = address
                self.assert_names(self.fails_with(configuration), address, "use")

    def test_a_server_that_could_not_start_starts_when_the_mistake_is_mended(self):
        with socket.socket() as taken:
            taken.bind((HOST, self.other.ports["admin"]))
            taken.listen()
            self.fails_with(self.other.configuration)
        # The one-time password was not lost with the attempt.
        self.other.start()
        self.other.rest("GET", "/api/v1/system/version")

    def test_a_second_server_on_the_same_data_directory_is_told_so(self):
        configuration = json.loads(json.dumps(self.other.configuration))
        configuration["data_dir"] = str(server.data_dir)
        self.assert_names(self.fails_with(configuration), server.data_dir, "in use")
        self.assertEqual(server.metrics_get("/health/ready")[0], 200)

    def test_a_data_directory_of_a_newer_version_is_refused(self):
        self.other.start()
        self.other.stop()
        subprocess.run([os.environ["SKERRY_NEWER_DATA"], str(self.other.data_dir / "store")],
                       check=True)
        self.assert_names(self.fails_with(self.other.configuration), self.other.data_dir, "newer")

    def test_an_unreadable_key_is_named(self):
        self.other.start()
        self.other.stop()
        for name in ("device-ca.key", "root.key", "server.key"):
            path = self.other.data_dir / "ca" / name
            if not path.exists():
                continue
            kept = path.read_bytes()
            path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
            self.assert_names(self.fails_with(self.other.configuration), path)
            path.write_bytes(kept)
        listener = {"name": "own", "bind": f"{HOST}:0", "tls": {
            "certificate": self.other.root_certificate,
            "private_key": str(self.directory / "no.key")}}
        configuration = dict(self.other.configuration, listeners=[listener])
        self.assert_names(self.fails_with(configuration), "no.key")
        (self.directory / "no.key").write_text("no key at all")
        self.assert_names(self.fails_with(configuration), "key")

    def test_a_data_directory_that_cannot_be_made_is_named(self):
        (self.directory / "file").write_text("")
        configuration = dict(self.other.configuration, data_dir=str(self.directory / "file/data"))
        self.assert_names(self.fails_with(configuration), "file/data")


if __name__ == "__main__":
    unittest.main(verbosity=2)
