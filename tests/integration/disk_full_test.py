#!/usr/bin/env python3
"""A disk that fills up under load, on a small tmpfs, and is freed again: the server neither dies nor
needs a restart, QoS 0 flows all the time, and every message that was acknowledged is there. First
with the watermark, which refuses durable work while there is still room, then without it, so that
writes fail.

SKERRY_DISK_FULL_SECONDS: how long the disk stays full (3). Needs to be root, to mount."""
import asyncio
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
from server import HOST, RestError, Server, plain_listener  # noqa: E402

SECONDS = float(os.environ.get("SKERRY_DISK_FULL_SECONDS", "3"))
DISK_MIB = 256
MARK_MIB = 24
QUOTA_EXCEEDED = 0x97
logging.getLogger("asyncio").setLevel(logging.ERROR)  # it names every slow step otherwise
PUBLISHERS, WINDOW, PAYLOAD_BYTES = 4, 8, 8192


def mount_or_skip(directory):
    """Mounts a tmpfs; skips with the reason when that is not possible."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("SKIPPED: a tmpfs can only be mounted as root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "skerry-test",
                           directory], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise unittest.SkipTest(f"SKIPPED: no tmpfs could be mounted: {done.stderr.strip()}")


class Load:
    """Publishers at QoS 1 that note what was acknowledged, and one at QoS 0 beside its reader."""

    def __init__(self, port):
        self.port = port
        self.acknowledged = set()
        self.refused = 0
        self.read = 0
        self.running = True
        self.tasks = []

    async def start(self):
        reader = mqtt.Client("live", on_message=self._count)
        await reader.connect(HOST, self.port)
        await reader.subscribe("live", qos=0)
        self.tasks = [asyncio.create_task(self._publish(i)) for i in range(PUBLISHERS)]
        self.tasks.append(asyncio.create_task(self._beat()))
        self.reader = reader

    def _count(self, _client, _packet):
        self.read += 1

    async def _publish(self, number):
        client = mqtt.Client(f"publisher-{number}")
        await client.connect(HOST, self.port)
        sent = 0
        while self.running:
            window = []
            for _ in range(WINDOW):
                name = f"{number}:{sent}"
                payload = name.encode().ljust(PAYLOAD_BYTES, b".")
                window.append((name, client.publish("load/a", payload, qos=1)))
                sent += 1
            for name, message in window:
                reason = await message.acknowledged(60)
                if reason < 0x80:
                    self.acknowledged.add(name)
                elif reason == QUOTA_EXCEEDED:
                    self.refused += 1
                else:
                    raise AssertionError(f"acknowledged with {reason:#x}")
            # Some 1,000 messages a second in all; nothing is gained by more.
            await asyncio.sleep(0.03)
        await client.disconnect()

    async def _beat(self):
        client = mqtt.Client("beat")
        await client.connect(HOST, self.port)
        while self.running:
            client.publish("live", b"x")
            await asyncio.sleep(0.02)
        await client.disconnect()

    async def stop(self):
        self.running = False
        await asyncio.gather(*self.tasks)
        await self.reader.disconnect()


async def until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.05)


class DiskFull(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.disk = tempfile.mkdtemp(prefix="skerry-disk-")
        self.addCleanup(os.rmdir, self.disk)
        mount_or_skip(self.disk)
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=False)
        self.ballast = pathlib.Path(self.disk) / "ballast"

    def serve(self, free_space_min):
        server = Server(data_dir=self.disk + "/data", listeners=[plain_listener()], overrides={
            "persistence": {"free_space_min": free_space_min},
            "limits": {"session_queue_messages_max": 1_000_000,
                       "session_queue_bytes_max": "1GiB"}})
        self.addCleanup(server.close)
        self.port = server.ports["plain"]
        return server

    def fill(self, leave_mib=0):
        """Takes the space of the disk but `leave_mib`."""
        with open(self.ballast, "ab", buffering=0) as file:
            try:
                while True:
                    space = os.statvfs(self.disk)
                    left = space.f_bavail * space.f_frsize - leave_mib * 1024 * 1024
                    if left <= 0:
                        break
                    file.write(bytes(min(left, 1024 * 1024)))
            except OSError:
                pass

    async def sleeper(self, name):
        client = mqtt.Client(name, clean=False)
        await client.connect(HOST, self.port)
        await client.subscribe("load/#", qos=1)
        await client.disconnect()

    async def wake(self, name, wanted):
        """All that waits for a sleeper, as names."""
        got = set()
        client = mqtt.Client(name, clean=False, on_message=lambda _client, packet: got.add(
            packet.payload.rstrip(b".").decode()))
        packet = await client.connect(HOST, self.port)
        self.assertTrue(packet.session_present)
        try:
            await until(lambda: wanted <= got, "everything acknowledged is delivered")
        except TimeoutError:
            missing = sorted(wanted - got)
            self.fail(f"{len(missing)} of {len(wanted)} acknowledged are lost: {missing[:5]}")
        await client.disconnect()
        return got

    async def run_full(self, server, leave_mib, is_full):
        """Load before, while and after the disk is full. Gives the load."""
        for name in ("first", "second"):
            await self.sleeper(name)
        load = Load(self.port)
        await load.start()
        await until(lambda: len(load.acknowledged) > 500, "messages are acknowledged")
        pid = server.pid
        self.fill(leave_mib)
        await until(lambda: is_full(server), "the server notices")
        await until(lambda: load.refused > 0, "durable work is refused")
        read, begun = load.read, time.monotonic()
        await self.while_full(server)
        while time.monotonic() - begun < SECONDS:
            await asyncio.sleep(0.1)
        beats = (load.read - read) / (time.monotonic() - begun)
        self.assertGreater(beats, 5, "QoS 0 must flow while the disk is full")
        self.assertEqual(server.pid, pid)
        self.assertIsNone(server.process.poll())
        acknowledged, freed = len(load.acknowledged), time.monotonic()
        self.ballast.unlink()
        await until(lambda: len(load.acknowledged) > acknowledged + 200, "it goes on by itself")
        back = time.monotonic() - freed
        await until(lambda: not is_full(server) and server.is_ready(), "it is ready again")
        await load.stop()
        got = await self.wake("first", load.acknowledged)
        print(f"{self._testMethodName}: {len(load.acknowledged)} acknowledged, {load.refused} "
              f"refused, {len(got)} delivered, QoS 0 {beats:.0f}/s while full, back after "
              f"{back:.1f} s", file=sys.stderr)
        # And on the disk: the other sleeper gets them from a server that was killed.
        server.kill9()
        server.start()
        await self.wake("second", load.acknowledged)
        return load

    async def while_full(self, server):
        pass


class Watermark(DiskFull):
    async def test_low_space_is_refused_before_the_disk_is_full(self):
        server = self.serve(f"{MARK_MIB}MiB")
        server.rest("POST", "/api/v1/devices", {"id": "kept"})
        await self.run_full(server, MARK_MIB - 4,
                            lambda server: server.metric("skerry_storage_space_low") == 1)
        self.assertEqual(server.metric("skerry_storage_failures_total"), 0)

    async def while_full(self, server):
        self.assertEqual(server.metric("skerry_storage_failures_total"), 0)
        status, text = server.metrics_get("/health/ready")
        self.assertEqual(status, 200, "clients must come to take what waits for them")
        self.assertIn("free disk space is low", " ".join(json.loads(text)["warnings"]))
        self.assertGreater(server.metric("skerry_durable_refused_total"), 0)
        with self.assertRaises(RestError) as refused:
            server.rest("POST", "/api/v1/devices", {"id": "new"})
        self.assertEqual((refused.exception.status, refused.exception.code),
                         (507, "storage_low"))
        server.rest("DELETE", "/api/v1/devices/kept")
        with self.assertRaises(mqtt.Refused) as session:
            await mqtt.Client("nobody-yet", clean=False).connect(HOST, self.port)
        self.assertEqual(session.exception.packet.reason, QUOTA_EXCEEDED)
        device = mqtt.Client("telemetry")
        await device.connect(HOST, self.port)
        sent = device.publish("devices/pump/telemetry", b'{"t":1}', qos=1)
        self.assertEqual(await sent.acknowledged(), QUOTA_EXCEEDED)
        self.assertGreater(server.metric("skerry_series_refused_messages_total"), 0)
        await device.disconnect()

    async def test_draining_a_queue_makes_room_by_itself(self):
        server = self.serve(f"{MARK_MIB}MiB")
        await self.sleeper("first")
        self.fill(MARK_MIB + 60)
        publisher = mqtt.Client("publisher")
        await publisher.connect(HOST, self.port)
        names, refused = set(), False
        while not refused:
            window = [publisher.publish("load/a", f"{len(names) + i}".encode().ljust(8192, b"."),
                                        qos=1) for i in range(32)]
            for message in window:
                if await message.acknowledged() == QUOTA_EXCEEDED:
                    refused = True
                else:
                    names.add(message.payload.rstrip(b".").decode())
        self.assertEqual(server.metric("skerry_storage_space_low"), 1)
        await self.wake("first", names)
        await until(lambda: server.metric("skerry_storage_space_low") == 0,
                    "the space of what was delivered comes back")
        self.assertEqual(server.metric("skerry_storage_failures_total"), 0)
        self.assertEqual(await publisher.publish("load/a", b"again", qos=1).acknowledged(), 0)


class ReallyFull(DiskFull):
    async def test_writes_fail_and_the_store_comes_back(self):
        server = self.serve("0")
        await self.run_full(server, 0,
                            lambda server: server.metric("skerry_storage_healthy") == 0)
        self.assertIn("store_recovered", server.stderr_path.read_text()
                      + server.stdout_path.read_text())

    async def while_full(self, server):
        status, text = server.metrics_get("/health/ready")
        self.assertEqual(status, 503)
        self.assertIn("the store cannot be written", text)
        with self.assertRaises(RestError) as refused:
            server.rest("POST", "/api/v1/devices", {"id": "new"})
        self.assertIn(refused.exception.status, (503, 507))


if __name__ == "__main__":
    unittest.main()
