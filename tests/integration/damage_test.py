#!/usr/bin/env python3
"""Each kind of file of a real data directory is damaged or taken away: the server starts, says so in
log, metrics and health, serves what was intact, and lets nobody in who had lost the right."""
import asyncio
import json
import os
import pathlib
import shutil
import ssl
import sys
import tempfile
import unittest

from cryptography import x509

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
import pki  # noqa: E402
from server import HOST, Server, plain_listener, wait_until  # noqa: E402

RETAINED, QUEUED = 400, 400


class Damage(unittest.IsolatedAsyncioTestCase):
    """One server and one data directory, copied anew for each damage."""

    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.mkdtemp(prefix="skerry-damage-")
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        cls.data = pathlib.Path(cls.place) / "data"
        cls.server = Server(data_dir=cls.data, listeners=[plain_listener()])
        cls.addClassCleanup(cls.end)
        cls.good = pki.Device.enrolled(cls.server, "good")
        cls.revoked = pki.Device.enrolled(cls.server, "revoked")
        cls.server.rest("POST", "/api/v1/devices/revoked:retire")
        crl = cls.data / "ca" / "device.crl"
        wait_until(lambda: crl.exists() and len(x509.load_der_x509_crl(crl.read_bytes())) == 1,
                   "the list is published")
        asyncio.run(cls.populate("old"))
        cls.server.kill9()
        cls.server.start()  # what was in the log is in tables now
        asyncio.run(cls.populate("new"))
        cls.server.kill9()
        cls.base = pathlib.Path(cls.place) / "base"
        shutil.copytree(cls.data, cls.base)

    @classmethod
    def end(cls):
        if cls.server.process is not None:
            cls.server.kill9()
        cls.server.close()

    @classmethod
    async def populate(cls, age):
        port = cls.server.ports["plain"]
        if age == "old":
            sleeper = mqtt.Client("sleeper", clean=False)
            await sleeper.connect(HOST, port)
            await sleeper.subscribe("queue/#", qos=1)
            await sleeper.disconnect()
        publisher = mqtt.Client("publisher")
        await publisher.connect(HOST, port)
        messages = [(f"kept/{age}/{i:04}", True) for i in range(RETAINED)]
        messages += [(f"queue/{age}/{i:04}", False) for i in range(QUEUED)]
        # A few at a time, since what is acknowledged together is one record of the log.
        for start in range(0, len(messages), 10):
            sent = [publisher.publish(topic, os.urandom(150).hex().encode(), qos=1, retain=retain)
                    for topic, retain in messages[start:start + 10]]
            for message in sent:
                assert await message.acknowledged() == 0
        await publisher.disconnect()

    def setUp(self):
        if self.server.process is not None:
            self.server.kill9()
        shutil.rmtree(self.data)
        shutil.copytree(self.base, self.data)
        self.store = self.data / "store"
        self.server.token = None
        self.lines = len(self.server.stderr_path.read_text().splitlines())

    def tables(self):
        return sorted(self.store.glob("*.sst"), key=lambda path: path.stat().st_size)

    @staticmethod
    def flip(path, at):
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x55]))

    async def found(self):
        """(retained, queued) that the server still serves."""
        port, retained, queued = self.server.ports["plain"], set(), set()
        reader = mqtt.Client("reader", on_message=lambda _client, packet: retained.add(
            packet.topic))
        await reader.connect(HOST, port)
        await reader.subscribe("kept/#", qos=0)
        sleeper = mqtt.Client("sleeper", clean=False, on_message=lambda _client, packet:
                              queued.add(packet.topic))
        await sleeper.connect(HOST, port)
        if not sleeper.connack.session_present:
            await sleeper.subscribe("queue/#", qos=1)
        # All has come when nothing has for a second.
        seen, quiet = None, 0
        while quiet < 10:
            quiet = quiet + 1 if seen == (len(retained), len(queued)) else 0
            seen = (len(retained), len(queued))
            await asyncio.sleep(0.1)
        await reader.disconnect()
        await sleeper.disconnect()
        return retained, queued

    async def connects(self, device):
        client = mqtt.Client(device.id, keep_alive=60)
        try:
            await client.connect(HOST, self.server.ports["devices"], tls=device.context())
            await client.disconnect()
            return True
        except (mqtt.Refused, mqtt.Lost, ssl.SSLError, ConnectionError):
            return False

    async def check(self, least_retained, least_queued, identity="whole"):
        self.server.start()
        retained, queued = await self.found()
        self.assertGreaterEqual(len(retained), least_retained, self.said_in_log())
        self.assertGreaterEqual(len(queued), least_queued, self.said_in_log())
        self.assertFalse(await self.connects(self.revoked), "a retired device must not come back")
        if identity == "whole":
            self.assertTrue(await self.connects(self.good))
        status, text = self.server.metrics_get("/health/ready")
        self.assertEqual(status, 200)
        said = self.server.stderr_path.read_text()
        return json.loads(text).get("warnings", []), said

    def said_in_log(self):
        """What this damage's start said, for a failure."""
        lines = self.server.stderr_path.read_text().splitlines()[self.lines:]
        return "\n".join(line for line in lines if "salvage" in line or "damaged" in line)

    async def check_damage(self, least_retained, least_queued, identity="whole",
                           sets_aside=True):
        warnings, said = await self.check(least_retained, least_queued, identity)
        self.assertIn("the store was damaged at start", " ".join(warnings))
        self.assertIn("store_salvaged", said)
        self.assertGreater(self.server.metric("skerry_storage_quarantined_total"), 0)
        self.assertEqual((self.data / "quarantine").exists(), sets_aside)
        # It is a store like any other from now on.
        self.server.kill9()
        warnings, _ = await self.check(least_retained, 0, identity)
        self.assertEqual(warnings, [])

    async def test_nothing_is_damaged(self):
        warnings, _ = await self.check(2 * RETAINED, 2 * QUEUED)
        self.assertEqual(warnings, [])
        self.assertFalse((self.data / "quarantine").exists())

    def log(self):
        return max(self.store.glob("*.log"), key=lambda path: path.stat().st_size)

    async def test_the_log_ends_within_a_record(self):
        log = self.log()
        content = log.read_bytes().rstrip(b"\0")
        log.write_bytes(content[:-3])
        warnings, _ = await self.check(2 * RETAINED - 50, 2 * QUEUED - 50)
        self.assertEqual(warnings, [])

    async def test_the_log_is_damaged_in_the_middle(self):
        log = self.log()
        size = len(log.read_bytes().rstrip(b"\0"))
        self.flip(log, size // 2)
        await self.check_damage(RETAINED + 100, QUEUED + 50)

    async def test_a_block_of_a_table_is_damaged(self):
        table = self.tables()[-1]
        self.flip(table, table.stat().st_size // 3)
        await self.check_damage(RETAINED, QUEUED)

    async def test_the_end_of_a_table_is_damaged(self):
        table = self.tables()[-1]
        os.truncate(table, table.stat().st_size - 100)
        await self.check_damage(RETAINED, QUEUED)

    async def test_current_is_missing(self):
        (self.store / "CURRENT").unlink()
        await self.check_damage(2 * RETAINED, 2 * QUEUED, sets_aside=False)

    async def test_the_manifest_is_missing(self):
        for manifest in self.store.glob("MANIFEST-*"):
            manifest.unlink()
        await self.check_damage(2 * RETAINED, 2 * QUEUED)

    async def test_the_manifest_is_damaged(self):
        for manifest in self.store.glob("MANIFEST-*"):
            self.flip(manifest, 30)
        await self.check_damage(2 * RETAINED, 2 * QUEUED)

    async def test_each_table_is_missing_in_its_turn(self):
        for name in [table.name for table in self.tables()]:
            with self.subTest(name):
                self.setUp()
                (self.store / name).unlink()
                self.server.start()
                retained, queued = await self.found()
                self.assertGreaterEqual(len(retained) + len(queued), RETAINED)
                self.assertFalse(await self.connects(self.revoked))
                self.assertGreater(self.server.metric("skerry_storage_quarantined_total"), 0)


if __name__ == "__main__":
    unittest.main()
