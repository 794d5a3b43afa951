#!/usr/bin/env python3
"""Telemetry over the wire: every form of payload over mutual TLS, what comes back of it by REST in
every form, what happens live, and that nobody speaks for another device."""
import asyncio
import csv
import io
import json
import pathlib
import struct
import subprocess
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import http.client  # noqa: E402

import mqtt  # noqa: E402
import pki  # noqa: E402
from server import HOST, Server, wait_until  # noqa: E402

PAYLOAD_FORMAT_INVALID = 0x99
CONTENT_TYPE = "content_type"
START = 1_700_000_000_000

server = None


def setUpModule():
    global server
    server = Server()


def tearDownModule():
    server.close()


def cbor(value):
    """A few kinds of values in CBOR (RFC 8949), enough for SenML."""
    def head(major, number):
        for limit, code, form in ((24, None, "B"), (1 << 8, 24, ">B"), (1 << 16, 25, ">H"),
                                  (1 << 32, 26, ">I"), (1 << 64, 27, ">Q")):
            if number < limit:
                if code is None:
                    return bytes([major << 5 | number])
                return bytes([major << 5 | code]) + struct.pack(form, number)
        raise OverflowError
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


def ask(path, accept="application/json", body=None, method=None):
    """(status, headers, text); streamed answers are read to their end."""
    server.token = server.token or server.log_in()
    headers = {"Authorization": "Bearer " + server.token, "Accept": accept}
    if body is not None:
        headers["Content-Type"] = "application/json"
    status, answered, data = server.raw_rest(
        method or ("GET" if body is None else "POST"), "/api/v1" + path,
        None if body is None else json.dumps(body), headers)
    return status, answered, data.decode()


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


class Telemetry(unittest.IsolatedAsyncioTestCase):
    def tearDown(self):
        if not self._outcome.success:
            print(server.tail(20), file=sys.stderr)

    async def connect(self, device, **options):
        client = mqtt.Client(device.id, **options)
        await client.connect(HOST, server.ports["devices"], tls=device.context())
        return client

    async def publish(self, client, topic, payload, content_type=None):
        """The reason of the PUBACK."""
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        properties = {CONTENT_TYPE: content_type} if content_type else None
        return await client.publish(topic, payload, qos=1, properties=properties).acknowledged()


class Payloads(Telemetry):
    async def test_every_form_is_stored_and_read_back(self):
        device = pki.Device.enrolled(server, "forms")
        client = await self.connect(device)
        flat, senml, binary = (device.topic("telemetry" + tail) for tail in ("", "/senml", "/cbor"))
        for topic, payload, kind in (
                (flat, {"ts": START, "flat": 21.5, "gps": {"lat": 52.25}, "on": True}, None),
                (flat, {"ts": START, "values": {"values": "text"}}, "application/json"),
                (flat, [{"ts": START, "array": 1}, {"ts": START + 1, "array": 2}], None),
                (senml, [{"bn": "forms:", "bt": START / 1000, "n": "temp", "u": "Cel", "v": 20.5},
                         {"n": "temp", "t": 1, "v": 20.75}, {"n": "label", "vs": "Room"}], None),
                (flat, [{"bn": "urn:skerry:device:forms:", "bt": START / 1000, "n": "typed",
                         "v": 7}], "application/senml+json"),
                (binary, cbor([{-2: "forms:", -3: START / 1000, 0: "cbor", 1: "V", 2: 3.25},
                               {0: "cbor", 6: 1, 2: 4}, {0: "raw", 8: b"hi \n"}]), None),
                (flat, cbor([{-3: START // 1000, 0: "both", 4: True}]), "application/senml+cbor")):
            self.assertEqual(await self.publish(client, topic, payload, kind), 0, payload)
        await client.disconnect()
        answer = server.rest("GET", "/api/v1/devices/forms/telemetry")
        self.assertIsNone(answer["next"])
        self.assertEqual(
            {s["key"]: [row["value"] for row in s["samples"]] for s in answer["series"]},
            {"array": [1, 2], "both": [True], "cbor": [3.25, 4], "flat": [21.5],
             "gps.lat": [52.25], "label": ["Room"], "on": [True], "raw": ["aGkgCg"],
             "temp": [20.5, 20.75], "typed": [7], "values": ["text"]})
        keys = {item["key"]: item for item in
                server.rest("GET", "/api/v1/devices/forms/telemetry/keys")["items"]}
        self.assertEqual(keys["temp"]["unit"], "Cel")
        self.assertEqual(keys["cbor"]["unit"], "V")
        self.assertNotIn("unit", keys["flat"])
        self.assertEqual(keys["on"]["type"], "boolean")
        status, _, text = ask("/devices/forms/telemetry?keys=temp", "application/senml+json")
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(text)[0], {"bn": "urn:skerry:device:forms:", "n": "temp",
                                               "u": "Cel", "t": START / 1000, "v": 20.5})

    async def test_no_pack_speaks_for_another_device(self):
        """Threat 15."""
        victim = pki.Device.enrolled(server, "victim")
        thief = pki.Device.enrolled(server, "thief")
        client = await self.connect(thief)
        for name in ("victim:", "urn:skerry:device:victim:", "thief2:", "urn:dev:ow:10e2:"):
            pack = [{"bn": name, "n": "forged", "v": 1}]
            for topic, payload in ((thief.topic("telemetry/senml"), pack),
                                   (thief.topic("telemetry/cbor"),
                                    cbor([{-2: name, 0: "forged", 2: 1}]))):
                self.assertEqual(await self.publish(client, topic, payload),
                                 PAYLOAD_FORMAT_INVALID, name)
        # One good record does not carry a bad one along.
        self.assertEqual(await self.publish(client, thief.topic("telemetry/senml"), [
            {"bn": "thief:", "n": "good", "v": 1}, {"bn": "victim:", "n": "forged", "v": 1}]),
            PAYLOAD_FORMAT_INVALID)
        self.assertNotEqual(await self.publish(client, victim.topic("telemetry/senml"), [
            {"bn": "victim:", "n": "forged", "v": 1}]), 0)
        await client.disconnect()
        for device in ("victim", "thief"):
            self.assertEqual(server.rest("GET", f"/api/v1/devices/{device}/telemetry")["series"],
                             [])

    async def test_hostile_packs_are_refused_and_the_next_good_one_is_not(self):
        device = pki.Device.enrolled(server, "hostile")
        client = await self.connect(device)
        hostile = [
            ("senml", b"[" * 5000), ("senml", b'[{"n":"a","v":1e999}]'),
            ("senml", b'[{"n":"a","v":1,"x_":1}]'), ("senml", b"[" + b'{"n":"a","v":1},' * 2000),
            ("cbor", b"\x9f" * 5000), ("cbor", b"\x9b" + b"\xff" * 8),
            ("cbor", b"\x81\xbb" + b"\xff" * 8), ("cbor", b"\x81\xa2\x00\x7b" + b"\xff" * 8),
            ("cbor", cbor([{0: "a", 2: float("nan")}])), ("cbor", b"\x81\xa2\x00\x61a\x02\xc2\x41\x01"),
            ("cbor", b""), ("cbor", cbor([{0: "a", 2: 1}])[:-1]),
            ("cbor", cbor([{0: "k" * 200, 2: 1}])), ("cbor", cbor([{0: "a", 2: 1}] * 2000)),
        ]
        for tail, payload in hostile:
            self.assertEqual(await self.publish(client, device.topic("telemetry/" + tail), payload),
                             PAYLOAD_FORMAT_INVALID, payload[:40])
        self.assertEqual(await self.publish(client, device.topic("telemetry/cbor"),
                                            cbor([{0: "a", 2: 1}])), 0)
        await client.disconnect()
        self.assertEqual(len(server.rest("GET", "/api/v1/devices/hostile/telemetry")["series"]), 1)


class Queries(Telemetry):
    async def asyncSetUp(self):
        # 3,000 samples a second apart, one in ten left out, on four devices.
        self.devices = [f"query{i}-{id(self) % 100_000}" for i in range(4)]
        for number, name in enumerate(self.devices):
            device = pki.Device(server, name)
            server.rest("POST", "/api/v1/devices",
                        {"id": name, "tags": [self._testMethodName.replace("_", "-")[:60]],
                         "attributes": {"site": "north" if number < 3 else "south"},
                         "keys": [{"fingerprint": pki.fingerprint(device.key)}]})
            device.enrol()
            client = await self.connect(device)
            for at in range(0, 3000, 500):
                self.assertEqual(await self.publish(client, device.topic("telemetry"), [
                    {"ts": START + i * 1000, "n": i, "flag": i % 2 == 0}
                    for i in range(at, at + 500) if i // 100 % 10 != 3]), 0)
            await client.disconnect()
        self.path = f"/devices/{self.devices[0]}/telemetry"

    async def test_ranges_pages_and_forms(self):
        status, _, text = ask(self.path + "?keys=n", "text/csv")
        self.assertEqual(status, 200)
        rows = rows_of(text)
        self.assertEqual(rows[0], ["key", "ts", "value", "flags"])
        self.assertEqual([int(row[2]) for row in rows[1:]],
                         [i for i in range(3000) if i // 100 % 10 != 3])
        lines = ask(self.path, "application/x-ndjson")[2].splitlines()
        self.assertEqual(len(lines), 2 * (len(rows) - 1))
        values, cursor = [], ""
        while cursor is not None:
            page = json.loads(ask(self.path + "?keys=n&limit=700&order=desc" + cursor)[2])
            values += [row["value"] for s in page["series"] for row in s["samples"]]
            cursor = page["next"] and "&cursor=" + page["next"]
        self.assertEqual(values, [int(row[2]) for row in rows[:0:-1]])
        whole = json.loads(ask(self.path + f"?limit=all&from={START + 5000}&to={START + 7000}")[2])
        self.assertEqual([s["key"] for s in whole["series"]], ["flag", "n"])
        self.assertEqual([row["value"] for row in whole["series"][1]["samples"]], [5, 6])

    async def test_buckets_are_aligned_and_filled(self):
        first = START - START % 60_000
        path = (self.path + f"?keys=n&step=1m&agg=avg,min,max,sum,count,first,last"
                f"&from={first}&to={first + 10 * 60_000}")
        rows = rows_of(ask(path, "text/csv")[2])
        kept = [i for i in range(3000) if i // 100 % 10 != 3]
        def bucket(number):
            return [i for i in kept if first + number * 60_000 <= START + i * 1000
                    < first + (number + 1) * 60_000]
        expected = [bucket(number) for number in range(10)]
        self.assertIn([], expected)
        self.assertEqual(
            [[float(cell) for cell in row[2:]] for row in rows[1:]],
            [[sum(b) / len(b), min(b), max(b), sum(b), len(b), b[0], b[-1]]
             for b in expected if b])
        for fill in ("null", "prev", "linear"):
            filled = rows_of(ask(path + "&fill=" + fill, "text/csv")[2])[1:]
            self.assertEqual(len(filled), 10)
            gap = expected.index([])
            before, after = expected[gap - 1], expected[gap + 1]
            maximum = {"null": "", "prev": before[-1],
                       "linear": (before[-1] + after[-1]) / 2}[fill]
            self.assertEqual(filled[gap][4], "" if maximum == "" else f"{maximum:g}")
            self.assertEqual(filled[gap][6], "0")

    async def test_a_fleet_by_filter_and_group(self):
        tag = self._testMethodName.replace("_", "-")[:60]
        status, _, text = ask("/telemetry:query", "application/x-ndjson", {
            "filter": f"tags:{tag} attributes.site:north", "keys": ["n"], "step": "1h",
            "agg": ["max", "count"]})
        self.assertEqual(status, 200, text)
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual({line["device"] for line in lines}, set(self.devices[:3]))
        self.assertEqual(sum(line["count"] for line in lines), 3 * 2700)
        text = ask("/telemetry:query", "text/csv", {
            "filter": f"tags:{tag}", "keys": ["n"], "step": "1d", "agg": "count,max",
            "groupBy": "attributes.site"})[2]
        rows = rows_of(text)
        self.assertEqual(rows[0], ["group", "key", "ts", "count", "max"])
        self.assertEqual([(row[0], row[3], row[4]) for row in rows[1:]],
                         [("north", "8100", "2999"), ("south", "2700", "2999")])
        page = server.rest("GET", "/api/v1/telemetry/latest?keys=n&filter=" +
                           urllib.parse.quote(f"tags:{tag}"))
        self.assertEqual([(item["device"], item["value"]) for item in page["items"]],
                         [(name, 2999) for name in sorted(self.devices)])

    async def test_what_is_wrong_is_said_with_its_place(self):
        for path, code, pointer in (
                ("?step=5", "invalid_parameter", "/query/step"),
                ("?agg=avg", "invalid_parameter", "/query/agg"),
                (f"?step=1ms&fill=null&from=0", "invalid_parameter", "/query/step"),
                ("?limit=0", "invalid_parameter", "/query/limit"),
                ("?cursor=zz", "invalid_parameter", "/query/cursor"),
                ("?colour=red", "invalid_parameter", "/query/colour")):
            status, _, text = ask(self.path + path)
            problem = json.loads(text)
            self.assertEqual((status, problem["code"], problem["errors"][0]["pointer"]),
                             (400, code, pointer), path)
        self.assertEqual(ask(self.path, "image/png")[0], 406)
        self.assertEqual(ask("/devices/nobody/telemetry")[0], 404)
        status, _, text = ask("/telemetry/latest?filter=%28")
        self.assertEqual((status, json.loads(text)["code"]), (400, "invalid_filter"))
        for body, code in (({"filter": "("}, "invalid_filter"), ({}, "invalid_field"),
                           ({"filter": "", "x": 1}, "unknown_field")):
            status, _, text = ask("/telemetry:query", body=body)
            self.assertEqual((status, json.loads(text)["code"]), (422, code))

    async def test_deletions_are_kept_and_recorded(self):
        def count(query=""):
            return len(ask(self.path + query, "application/x-ndjson")[2].splitlines())
        self.assertEqual(count(), 5400)
        self.assertEqual(ask(self.path + f"?key=n&from={START}&to={START + 100_000}",
                             method="DELETE")[0], 204)
        self.assertEqual(count(), 5300)
        self.assertEqual(ask(self.path + "/keys/flag", method="DELETE")[0], 204)
        self.assertEqual(count(), 2600)
        self.assertEqual(ask(self.path + "?key=", method="DELETE")[0], 400)
        self.assertEqual(ask(self.path, method="DELETE")[0], 204)
        self.assertEqual(count(), 0)


class Stream:
    """A text/event-stream that a thread reads."""

    def __init__(self, path, last_id=None):
        self.connection = http.client.HTTPSConnection(HOST, server.ports["admin"], timeout=60,
                                                      context=server.server_context())
        headers = {"Authorization": "Bearer " + (server.token or server.log_in()),
                   "Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        self.connection.request("GET", "/api/v1" + path, headers=headers)
        self.answer = self.connection.getresponse()
        self.events = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        if self.answer.status == 200:
            self.thread.start()

    def read(self):
        event = {}
        try:
            for line in self.answer:
                line = line.decode().rstrip("\n")
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                elif "event" in event:
                    event["data"] = json.loads(event["data"])
                    self.events.append(event)
                    event = {}
                else:
                    event = {}
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass
        self.ended.set()

    def wait(self, count, what="events of the stream"):
        return wait_until(lambda: self.events if len(self.events) >= count else None, what)

    def close(self):
        self.connection.sock and self.connection.sock.shutdown(2)
        self.thread.join(10)
        self.connection.close()


class Live(Telemetry):
    async def test_one_device_as_it_comes_and_where_it_went_on(self):
        device = pki.Device.enrolled(server, "live")
        other = pki.Device.enrolled(server, "other")
        client, loud = await self.connect(device), await self.connect(other)
        stream = Stream("/devices/live/telemetry/live")
        self.assertEqual(stream.answer.status, 200)
        await self.publish(loud, other.topic("telemetry"), {"a": 0})
        await self.publish(client, device.topic("telemetry"), {"ts": START, "a": 1.5, "b": "x"})
        event = stream.wait(1)[0]
        self.assertEqual((event["event"], event["data"]["device"]), ("telemetry", "live"))
        self.assertEqual([(s["key"], s["value"]) for s in event["data"]["data"]["samples"]],
                         [("a", 1.5), ("b", "x")])
        stream.close()
        await self.publish(client, device.topic("telemetry"), {"a": 2})
        stream = Stream("/devices/live/telemetry/live", event["id"])
        await self.publish(client, device.topic("telemetry"), {"a": 3})
        values = [e["data"]["data"]["samples"][0]["value"] for e in stream.wait(2)]
        self.assertEqual(values, [2, 3])
        stream.close()
        stream = Stream("/events?types=telemetry&filter=id:oth*", "another-7")
        gap = stream.wait(1)[0]
        self.assertEqual((gap["event"], gap["data"]), ("gap", {"lost": None}))
        await self.publish(client, device.topic("telemetry"), {"a": 4})
        await self.publish(loud, other.topic("telemetry"), {"a": 5})
        self.assertEqual(stream.wait(2)[1]["data"]["device"], "other")
        stream.close()
        await client.disconnect()
        await loud.disconnect()

    async def test_the_life_of_devices_is_told(self):
        stream = Stream("/events?types=device,certificate")
        pki.Device.enrolled(server, "told")
        events = stream.wait(2)
        self.assertEqual({event["data"]["device"] for event in events}, {"told"})
        self.assertEqual(events[0]["event"], "device")
        self.assertIn("certificate", [event["event"] for event in events])
        stream.close()

    async def test_a_stream_ends_with_its_token(self):
        kept, kept_id = server.token or server.log_in(), None
        answer = server.rest("POST", "/api/v1/tokens",
                             {"user": "admin", "password": server.password}, authenticated=False)
        kept_id = answer["id"]
        server.token = answer["token"]
        try:
            stream = Stream("/events")
        finally:
            server.token = kept
        self.assertEqual(stream.answer.status, 200)
        server.rest("DELETE", "/api/v1/tokens/" + kept_id)
        self.assertTrue(stream.ended.wait(20))
        self.assertEqual((stream.events[-1]["event"], stream.events[-1]["data"]),
                         ("end", {"reason": "token_invalid"}))

    async def test_streams_are_refused_with_reasons(self):
        for path, status in (("/events?types=wind", 400), ("/events?device=a%20b", 400),
                             ("/events?filter=%28", 400), ("/devices/nobody/telemetry/live", 404)):
            stream = Stream(path)
            self.assertEqual(stream.answer.status, status, path)
            stream.connection.close()
        self.assertEqual(ask("/events")[0], 406)


class Command(Telemetry):
    """skerryctl telemetry …"""

    def words(self, *words):
        server.token = server.token or server.log_in()
        return [str(server.binaries / "skerryctl"), "--server",
                f"https://{HOST}:{server.ports['admin']}", "--token", server.token, "--ca",
                server.root_certificate, "telemetry", *words]

    def run_words(self, *words, expect=0):
        ran = subprocess.run(self.words(*words), capture_output=True, text=True, timeout=60)
        self.assertEqual(ran.returncode, expect, ran.stderr)
        return ran.stdout

    async def test_query_latest_keys_and_delete(self):
        device = pki.Device.enrolled(server, "worded")
        client = await self.connect(device)
        await self.publish(client, device.topic("telemetry"), [
            {"ts": START + i * 60_000, "t": i, "mode": "auto"} for i in range(10)])
        await client.disconnect()
        rows = rows_of(self.run_words("query", "worded", "--key", "t", "--step", "5m", "--agg",
                                      "min,count", "-o", "csv"))
        self.assertEqual(rows[0], ["ts", "key", "min", "count"])
        self.assertEqual(sum(int(row[3]) for row in rows[1:]), 10)
        rows = json.loads(self.run_words("query", "--filter", "id:worded", "--key", "t", "-o",
                                         "json"))
        self.assertEqual([(row["device"], row["value"]) for row in rows],
                         [("worded", i) for i in range(10)])
        table = self.run_words("query", "worded", "--key", "t", "--limit", "3").splitlines()
        self.assertEqual((len(table), table[0].split()), (4, ["TIME", "KEY", "VALUE", "FLAGS"]))
        self.assertIn("mode", self.run_words("latest", "worded"))
        self.assertIn("worded", self.run_words("latest", "-l", "id:worded", "--key", "t"))
        self.assertEqual(self.run_words("keys", "worded", "-q"), "mode\nt\n")
        self.run_words("delete", "worded", "--key", "mode")
        self.assertEqual(self.run_words("keys", "worded", "-q"), "t\n")
        self.run_words("delete", "worded", "--all")
        self.assertEqual(json.loads(self.run_words("query", "worded", "-o", "json")), [])
        self.run_words("query", "nobody", expect=3)

    async def test_tail_shows_what_comes(self):
        device = pki.Device.enrolled(server, "tailed")
        client = await self.connect(device)
        tail = subprocess.Popen(self.words("tail", "tailed", "-n", "2", "-o", "json"),
                                stdout=subprocess.PIPE, text=True)
        try:
            number = 0
            while tail.poll() is None and number < 600:
                await self.publish(client, device.topic("telemetry"), {"n": number})
                number += 1
                await asyncio.sleep(0.05)
            lines = [json.loads(line) for line in tail.stdout]
            self.assertEqual(tail.wait(10), 0)
        finally:
            tail.kill()
            tail.stdout.close()
        await client.disconnect()
        self.assertEqual([line["key"] for line in lines], ["n", "n"])
        self.assertEqual(lines[1]["value"], lines[0]["value"] + 1)


class Crash(Telemetry):
    async def test_what_was_acknowledged_is_there_after_kill_9(self):
        device = pki.Device.enrolled(server, "crash")
        client = await self.connect(device)
        acknowledged = 0
        for number in range(50):
            pack = [{"bn": "crash:", "bt": START / 1000 + number, "n": "n", "u": "V", "v": number}]
            if await self.publish(client, device.topic("telemetry/senml"), pack) == 0:
                acknowledged = number
        server.kill9()
        server.start()
        status, _, text = ask("/devices/crash/telemetry", "text/csv")
        self.assertEqual(status, 200)
        self.assertEqual([int(row[2]) for row in rows_of(text)[1:]], list(range(acknowledged + 1)))
        self.assertEqual(server.rest("GET", "/api/v1/devices/crash/telemetry/keys")
                         ["items"][0]["unit"], "V")

    async def test_a_stopping_server_says_so_to_streams(self):
        stream = Stream("/events")
        self.assertEqual(stream.answer.status, 200)
        server.stop()
        self.assertTrue(stream.ended.wait(20))
        self.assertEqual(stream.events[-1]["data"], {"reason": "server_stopping"})
        server.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)
