#!/usr/bin/env python3
"""Backups of a server under load, and servers from them: everything acknowledged before a backup
began is in it, damage is found and named, and nothing is restored over something else."""
import asyncio
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
import pki  # noqa: E402
from server import HOST, RestError, Server, plain_listener, wait_until  # noqa: E402

OK, FAILED, NOT_FOUND, CONFLICT = 0, 1, 3, 5
EXPIRY = 3600
# What the publishers have had acknowledged before the backup begins, and go on from.
BEFORE = 400


def skerryctl(server, *words, expect=OK):
    """What skerryctl printed; its complaint when it is expected to fail."""
    done = subprocess.run(
        [str(server.binaries / "skerryctl"), "--config", str(server.directory / "cli.json"),
         *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout if expect == OK else done.stderr


def log_in(server):
    skerryctl(server, "login", "--server", f"https://localhost:{server.ports['admin']}",
              "--user", "admin", "--password", server.password, "--ca", server.root_certificate)


def wait_complete(server, name):
    def ended():
        backup = server.rest("GET", f"/api/v1/backups/{name}")
        return backup if backup["state"] != "running" else None
    return wait_until(ended, f"the backup {name} ends", 120)


class Load:
    """Publishers at QoS 1 and 2 for an offline session, telemetry of a device, and enrolment."""

    def __init__(self, server):
        self.server = server
        self.acknowledged = set()      # of the offline session's topic
        self.readings = 0
        self.enrolled = 0
        self.stopped = False

    async def open(self):
        reader = mqtt.Client("offline", clean=False, session_expiry=EXPIRY)
        await reader.connect(HOST, self.server.ports["plain"])
        await reader.subscribe("work/#", qos=2)
        await reader.disconnect()

    async def publish(self, name, qos):
        client = mqtt.Client(name)
        await client.connect(HOST, self.server.ports["plain"])
        number = 0
        while not self.stopped:
            batch = []
            for _ in range(8):
                payload = f"{name}-{number}"
                number += 1
                batch.append((payload, client.publish(f"work/{name}", payload, qos=qos)))
            batch.append((None, client.publish(f"kept/{name}/{number}", "x", qos=1, retain=True)))
            for payload, sent in batch:
                assert await sent.acknowledged() < 0x80
                if payload:
                    self.acknowledged.add(payload)
        await client.disconnect()

    async def measure(self, device):
        client = mqtt.Client("meter")
        await client.connect(HOST, self.server.ports["plain"])
        while not self.stopped:
            sent = client.publish(f"devices/{device}/telemetry",
                                  json.dumps({"n": self.readings}), qos=1)
            assert await sent.acknowledged() < 0x80
            self.readings += 1
        await client.disconnect()

    def enrol(self):
        while not self.stopped:
            pki.Device.enrolled(self.server, f"new-{self.enrolled}")
            self.enrolled += 1


async def read_everything(server):
    """The payloads that wait for the offline session."""
    got = set()
    reader = mqtt.Client("offline", clean=False, session_expiry=EXPIRY,
                         on_message=lambda _, packet: got.add(packet.payload.decode()))
    packet = await reader.connect(HOST, server.ports["plain"])
    assert packet.session_present
    marker = mqtt.Client("marker")
    await marker.connect(HOST, server.ports["plain"])
    await marker.publish("work/end", "end", qos=1).acknowledged()
    for _ in range(3000):
        if "end" in got:
            break
        await asyncio.sleep(0.02)
    assert "end" in got
    await marker.disconnect()
    await reader.disconnect()
    return got


class UnderLoad(unittest.TestCase):
    """One long story: load, backup, restore, a second server."""

    def test_backup_under_load_restored_elsewhere(self):
        with Server(listeners=[plain_listener()],
                    overrides={"limits": {"session_queue_messages_max": 1_000_000}}) as server:
            log_in(server)
            pki.Device.enrolled(server, "meter")
            asyncio.run(self.make(server))
            backup = server.data_dir / "backups" / "loaded"
            verified = json.loads(skerryctl(server, "backup", "verify", backup, "-o", "json"))
            told = server.rest("GET", "/api/v1/backups/loaded")
            for member in ("sequence", "bytes", "files", "families", "storeFormat"):
                self.assertEqual(verified[member], told[member], member)
            self.restore(server, backup, verified)

    async def make(self, server):
        load = Load(server)
        await load.open()
        enrolment = threading.Thread(target=load.enrol)
        enrolment.start()
        tasks = [asyncio.create_task(load.publish("one", 1)),
                 asyncio.create_task(load.publish("two", 2)),
                 asyncio.create_task(load.measure("meter"))]
        try:
            while len(load.acknowledged) < BEFORE or load.readings < 50 or load.enrolled < 2:
                await asyncio.sleep(0.01)
            self.before = set(load.acknowledged)
            self.readings, self.enrolled = load.readings, load.enrolled
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, lambda: skerryctl(server, "backup", "create",
                                                               "loaded"))
            self.assertGreater(len(load.acknowledged), len(self.before))
        finally:
            load.stopped = True
            await asyncio.gather(*tasks)
            await asyncio.get_running_loop().run_in_executor(None, enrolment.join)
        self.published = set(load.acknowledged)

    def restore(self, server, backup, verified):
        with Server(binaries=server.binaries, listeners=[plain_listener()], start=False,
                    overrides={"limits": {"session_queue_messages_max": 1_000_000}}) as second:
            said = skerryctl(server, "backup", "restore", backup, "--data-dir", second.data_dir)
            self.assertIn("record by record", said)
            second.password = server.password
            second.start()
            # What a start does not change is still the same when the second server tells of it.
            second.rest("POST", "/api/v1/backups", {"name": "again"})
            again = wait_complete(second, "again")
            self.assertEqual(again["state"], "complete", again)
            unchanged = ("messages", "subscriptions", "registry", "series_log", "series_chunks")
            self.assertEqual(self.of_families(again, unchanged),
                             self.of_families(verified, unchanged))
            got = asyncio.run(read_everything(second)) - {"end"}
            self.assertLessEqual(self.before, got)
            self.assertLessEqual(got, self.published)
            for name in ("meter", *(f"new-{number}" for number in range(self.enrolled))):
                self.assertEqual(second.rest("GET", f"/api/v1/devices/{name}")["state"],
                                 "enrolled")
            newest = second.rest("GET", "/api/v1/devices/meter/telemetry/latest")["items"][0]
            self.assertGreaterEqual(newest["value"], self.readings - 1)
            self.assertEqual(pathlib.Path(second.root_certificate).read_bytes(),
                             pathlib.Path(server.root_certificate).read_bytes())

    @staticmethod
    def of_families(backup, names):
        return {family["name"]: (family["records"], family["sha256"])
                for family in backup["families"] if family["name"] in names}


class Idle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(listeners=[plain_listener()],
                            overrides={"persistence": {"backup_keep": 3}})
        log_in(cls.server)
        pki.Device.enrolled(cls.server, "pump")
        skerryctl(cls.server, "backup", "create", "base")
        cls.base = cls.server.data_dir / "backups" / "base"

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(dir=self.server.directory))

    def copy(self):
        return pathlib.Path(shutil.copytree(self.base, self.place / "base"))

    def refused(self, *words, code=FAILED):
        return skerryctl(self.server, "backup", *words, expect=code)

    def test_a_copy_is_verified_anywhere(self):
        copy = self.copy()
        shown = json.loads(skerryctl(self.server, "backup", "verify", copy, "-o", "json"))
        self.assertEqual(shown["name"], "base")
        # Its hash is one that other tools read.
        line = (copy / "manifest.sha256").read_text().split()
        self.assertEqual(line, [hashlib.sha256((copy / "manifest.json").read_bytes()).hexdigest(),
                                "manifest.json"])

    def test_one_damaged_byte_in_whatever_file(self):
        copy = self.copy()
        for path in sorted(p for p in copy.rglob("*") if p.is_file() and p.stat().st_size):
            whole = path.read_bytes()
            broken = bytearray(whole)
            broken[len(broken) // 2] ^= 1
            path.write_bytes(broken)
            with self.subTest(path.name):
                self.assertIn(path.name, self.refused("verify", copy))
                target = self.place / "target"
                self.assertIn(path.name, self.refused("restore", copy, "--data-dir", target))
                self.assertFalse(target.exists())
            path.write_bytes(whole)
        skerryctl(self.server, "backup", "verify", copy)

    def test_files_short_missing_and_too_many(self):
        copy = self.copy()
        table = next((copy / "store").glob("MANIFEST-*"))
        whole = table.read_bytes()
        table.write_bytes(whole[:-1])
        self.assertIn(f"{table.name} has {len(whole) - 1} bytes", self.refused("verify", copy))
        table.unlink()
        self.assertIn(f"{table.name} is missing", self.refused("verify", copy))
        table.write_bytes(whole)
        (copy / "store" / "more").write_text("x")
        self.assertIn("store/more is not in the manifest", self.refused("verify", copy))
        self.refused("verify", self.place / "none", code=NOT_FOUND)

    def test_a_manifest_that_leads_elsewhere(self):
        copy = self.copy()
        text = (copy / "manifest.json").read_text().replace('"ca/', '"../ca/', 1).encode()
        (copy / "manifest.json").write_bytes(text)
        (copy / "manifest.sha256").write_text(f"{hashlib.sha256(text).hexdigest()}  manifest.json\n")
        self.assertIn("leads elsewhere",
                      self.refused("restore", copy, "--data-dir", self.place / "target"))
        self.assertEqual(sorted(path.name for path in self.place.iterdir()), ["base"])

    def test_where_something_is_nothing_is_restored(self):
        said = self.refused("restore", self.base, "--data-dir", self.server.data_dir,
                            code=CONFLICT)
        self.assertIn("a server is running on", said)
        (self.place / "mine").write_text("x")
        said = self.refused("restore", self.base, "--data-dir", self.place, code=CONFLICT)
        self.assertIn("is not empty", said)
        self.assertEqual((self.place / "mine").read_text(), "x")

    def test_a_server_does_not_start_on_half_a_restore(self):
        target = self.place / "target"
        skerryctl(self.server, "backup", "restore", self.base, "--data-dir", target)
        (target / "restore-unfinished").write_text("as a crash would leave it")
        configuration = self.place / "skerry.yaml"
        configuration.write_text(json.dumps({**self.server.configuration,
                                             "data_dir": str(target)}))
        done = subprocess.run([str(self.server.binaries / "skerryd"), "--config",
                               str(configuration)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("was not finished: empty the directory", done.stderr)

    def test_names_are_no_paths(self):
        for name in ("../x", "a/b", ".hidden", "", "x" * 65):
            with self.assertRaises(RestError) as caught:
                self.server.rest("POST", "/api/v1/backups", {"name": name})
            self.assertEqual((caught.exception.status, caught.exception.code),
                             (422, "field_invalid"))
        for name in ("..%2Fbase", "%2E%2E", ".unfinished-x"):
            for method in ("GET", "DELETE"):
                with self.assertRaises(RestError) as caught:
                    self.server.rest(method, f"/api/v1/backups/{name}")
                self.assertIn(caught.exception.status, (400, 404), name)
        self.assertIn("base", skerryctl(self.server, "backup", "list", "-q").split())

    def test_zz_the_oldest_go(self):
        for name in ("b1", "b2", "b3"):
            skerryctl(self.server, "backup", "create", name)
        self.assertEqual(skerryctl(self.server, "backup", "list", "-q").split(),
                         ["b1", "b2", "b3"])
        self.assertEqual(self.server.metric("skerry_backups_completed_total"), 4)
        skerryctl(self.server, "backup", "delete", "b1")
        self.refused("show", "b1", code=NOT_FOUND)
        actions = [record["action"] for record in self.server.pages("/api/v1/audit?limit=100")]
        for action in ("backup.create", "backup.end", "backup.delete"):
            self.assertIn(action, actions)


class Disks(unittest.TestCase):
    def test_killed_in_the_middle(self):
        """Whatever the moment: what has the name is whole, the rest goes with the next start."""
        with Server(listeners=[plain_listener()]) as server:
            backups = server.data_dir / "backups"
            for number in range(5):
                server.rest("POST", "/api/v1/backups", {"name": f"k{number}"})
                wait_until(lambda: backups.exists() and any(backups.iterdir()), "it has begun")
                server.kill9()
                server.start()
                wait_until(lambda: not list(backups.glob(".*")), "what was left over is gone")
                for backup in backups.iterdir():
                    skerryctl(server, "backup", "verify", backup)

    @unittest.skipUnless(os.geteuid() == 0, "mounts a small file system")
    def test_full_in_the_middle(self):
        """The file system has room enough in bytes, but not for so many files."""
        with contextlib.ExitStack() as stack:
            place = pathlib.Path(tempfile.mkdtemp(prefix="skerry-small-"))
            stack.callback(shutil.rmtree, place, ignore_errors=True)
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m,nr_inodes=9",
                                      "skerry-test", str(place)], capture_output=True, text=True)
            if mounted.returncode:
                self.skipTest(mounted.stderr)
            stack.callback(subprocess.run, ["umount", str(place)], check=True)
            server = stack.enter_context(Server(
                listeners=[plain_listener()],
                overrides={"persistence": {"backup_directory": str(place / "backups")}}))
            server.rest("POST", "/api/v1/backups", {"name": "full"})
            backup = wait_complete(server, "full")
            self.assertEqual((backup["state"], backup["error"]["code"]),
                             ("failed", "storage_full"), backup)
            self.assertEqual(list((place / "backups").iterdir()), [])
            self.assertEqual(server.metric("skerry_backups_failed_total"), 1)
            self.assertEqual(server.metric("skerry_storage_healthy"), 1)
            log_in(server)
            self.assertIn("was not made",
                          skerryctl(server, "backup", "create", "again", expect=FAILED))
            # The name is free, and what failed is no obstacle, once there is room.
            subprocess.run(["mount", "-o", "remount,nr_inodes=1000", str(place)], check=True)
            skerryctl(server, "backup", "create", "full")

    @unittest.skipUnless(os.geteuid() == 0, "mounts a small file system")
    def test_no_room_at_all(self):
        with contextlib.ExitStack() as stack:
            place = pathlib.Path(tempfile.mkdtemp(prefix="skerry-small-"))
            stack.callback(shutil.rmtree, place, ignore_errors=True)
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "skerry-test",
                                      str(place)], capture_output=True, text=True)
            if mounted.returncode:
                self.skipTest(mounted.stderr)
            stack.callback(subprocess.run, ["umount", str(place)], check=True)
            server = stack.enter_context(Server(
                listeners=[plain_listener()],
                overrides={"persistence": {"backup_directory": str(place)}}))
            with self.assertRaises(RestError) as caught:
                server.rest("POST", "/api/v1/backups", {})
            self.assertEqual((caught.exception.status, caught.exception.code),
                             (507, "storage_full"))


if __name__ == "__main__":
    unittest.main()
