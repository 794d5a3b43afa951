#!/usr/bin/env python3
"""A fleet with certificates of its own publishes readings at QoS 1 over mutual TLS while the server
is killed with -9 twice and started again; then every acknowledged reading is in its device's twin.
SKERRY_FLEET=1000x100 runs a thousand devices with a hundred readings each (by default 100x20)."""
import asyncio
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
import pki  # noqa: E402
from server import HOST, Server  # noqa: E402

WINDOW = 10                    # readings of one device that wait for their PUBACK
PAUSE_SECONDS = 0.1            # at most, between two readings of one device
HANDSHAKES = 50                # at the same time, so that none waits for the others too long
KILLS = 2
PATIENCE_SECONDS = 60          # without a single acknowledgement


class Sensor:
    """One device: publishes readings 1..count in order and reconnects until all are acknowledged."""

    def __init__(self, fleet, device, count, version):
        self.fleet, self.device, self.count = fleet, device, count
        self.context = device.context()
        self.acknowledged, self.refused, self.connects = set(), {}, 0
        self.begin = int(time.time() * 1000)
        self.client = mqtt.Client(device.id, version=version, clean=False, window=WINDOW,
                                  on_acknowledged=self.on_acknowledged)

    def on_acknowledged(self, _client, outgoing, _kind):
        if outgoing.reason:
            self.refused[outgoing.tag] = outgoing.reason
        else:
            self.acknowledged.add(outgoing.tag)
        self.fleet.progress += 1

    async def publish_all(self):
        """Goes on while the server is away, as a device does that measures on."""
        await self.fleet.all_connected.wait()
        for number in range(1, self.count + 1):
            text = '{"ts":%d,"reading":%d}' % (self.begin + number, number)
            self.client.publish(self.device.topic("telemetry"), text, qos=1, tag=number)
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))

    @property
    def finished(self):
        return len(self.acknowledged) + len(self.refused) == self.count

    async def run(self):
        publishing = asyncio.create_task(self.publish_all())
        while not self.finished:
            try:
                async with self.fleet.handshakes:
                    await self.client.connect(HOST, self.fleet.port, tls=self.context)
                self.connects += 1
                self.fleet.note_connected()
                while self.client.connected and not self.finished:
                    await asyncio.sleep(0.05)
            except (OSError, mqtt.Lost, asyncio.TimeoutError):
                await asyncio.sleep(0.1)
        await publishing
        await self.client.disconnect()


class Fleet:
    def __init__(self, server, device_count, reading_count):
        self.server, self.port = server, server.ports["devices"]
        self.handshakes = asyncio.Semaphore(HANDSHAKES)
        self.progress, self.total = 0, device_count * reading_count
        self.device_count, self.connect_count = device_count, 0
        self.all_connected = asyncio.Event()
        devices = pki.enrol_many(server, [f"sensor-{i}" for i in range(device_count)])
        self.sensors = [Sensor(self, device, reading_count, (5, 4)[i % 2])
                        for i, device in enumerate(devices)]

    def note_connected(self):
        self.connect_count += 1
        if self.connect_count == self.device_count:
            self.all_connected.set()

    async def kill_twice(self):
        loop = asyncio.get_running_loop()
        for kill in range(1, KILLS + 1):
            while self.progress < self.total * kill // (KILLS + 1):
                await asyncio.sleep(0.001)
            await asyncio.sleep(random.uniform(0, 0.05))
            self.server.kill9()
            open_count = sum(sensor.client.unacknowledged for sensor in self.sensors)
            print(f"killed at {self.progress:,} acknowledged, {open_count:,} sent and open", flush=True)
            await loop.run_in_executor(None, self.server.start)

    async def watch(self):
        """Ends with a complaint when nothing moves any more."""
        seen, since = None, time.monotonic()
        while time.monotonic() - since < PATIENCE_SECONDS:
            if self.progress != seen:
                seen, since = self.progress, time.monotonic()
            process = self.server.process
            if process is not None and process.poll() is not None:
                raise RuntimeError(f"skerryd ended by itself with {process.returncode}")
            await asyncio.sleep(0.5)
        stuck = [sensor for sensor in self.sensors if not sensor.finished]
        raise TimeoutError(f"{len(stuck)} devices have not finished: " + "; ".join(
            f"{s.device.id} {'connected' if s.client.connected else 'away'}, "
            f"{len(s.acknowledged)} of {s.count} acknowledged, {len(s.client.session.in_flight)} "
            f"in flight, {s.connects} connections" for s in stuck[:10]))

    async def run(self):
        watch = asyncio.create_task(self.watch())
        work = asyncio.gather(self.kill_twice(), *(sensor.run() for sensor in self.sensors))
        await asyncio.wait({watch, work}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            await watch
        watch.cancel()
        await work


def stored_readings(server, device_id):
    """Reading -> how often it is in the twin."""
    counts, cursor = {}, ""
    while cursor is not None:
        page = server.rest("GET", f"/api/v1/devices/{device_id}/telemetry?keys=reading&limit=1000"
                           + (f"&cursor={cursor}" if cursor else ""))
        for sample in (sample for series in page["series"] for sample in series["samples"]):
            counts[sample["value"]] = counts.get(sample["value"], 0) + 1
        cursor = page["next"]
    return counts


def check(server, sensors):
    """Complaints; none when every acknowledged reading is stored once and nothing else is."""
    complaints, stored_count = [], 0
    for sensor in sensors:
        stored = stored_readings(server, sensor.device.id)
        stored_count += len(stored)
        name = sensor.device.id
        if lost := sorted(sensor.acknowledged - stored.keys()):
            complaints.append(f"{name}: acknowledged and not stored: {lost}")
        if strange := sorted(stored.keys() - set(range(1, sensor.count + 1))):
            complaints.append(f"{name}: stored and never sent: {strange}")
        if twice := sorted(value for value, count in stored.items() if count > 1):
            complaints.append(f"{name}: stored more than once: {twice}")
        if sensor.refused:
            complaints.append(f"{name}: refused: {sensor.refused}")
    return complaints, stored_count


def main():
    device_count, reading_count = map(int, os.environ.get("SKERRY_FLEET", "100x20").split("x"))
    with Server() as server:
        began = time.monotonic()

        async def everything():
            fleet = Fleet(server, device_count, reading_count)
            print(f"{device_count:,} devices enrolled in {time.monotonic() - began:.1f} s")
            published = time.monotonic()
            await fleet.run()
            return fleet, time.monotonic() - published

        fleet, seconds = asyncio.run(everything())
        acknowledged = sum(len(sensor.acknowledged) for sensor in fleet.sensors)
        print(f"{acknowledged:,} of {fleet.total:,} readings acknowledged in {seconds:.1f} s over "
              f"{sum(sensor.connects for sensor in fleet.sensors):,} connections, {KILLS} kills")
        complaints, stored_count = check(server, fleet.sensors)
        print(f"{stored_count:,} readings in the twins; {len(complaints)} complaints")
        print("\n".join(complaints[:20]))
    return 1 if complaints or acknowledged != fleet.total else 0


if __name__ == "__main__":
    sys.exit(main())
