#!/usr/bin/env python3
"""skerry-agent against the real server: it enrols, renews and trusts nobody but its gateway; what it
has to say arrives once and in order, alarms first, whoever is killed; what other programs tell it
arrives, and what it should not believe does not."""
import asyncio
import hashlib
import json
import os
import pathlib
import random
import signal
import ssl
import stat
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
from agent import Agent  # noqa: E402
from server import HOST, ROOT, RestError, Server, plain_listener, wait_until  # noqa: E402

# The same address by a name that no certificate has.
OTHER_NAME = "127.1"
RESIDENT_MAX = 15 * 1000 * 1000
QUIET = {"telemetry": {"interval": "1h", "collect": ["uptime"]}}

server = None
count = 0


def setUpModule():
    global server
    server = Server(listeners=[plain_listener()])


def tearDownModule():
    server.close()


def make_token(gateway, device_id):
    return gateway.rest("POST", "/api/v1/enrolment-tokens", {"deviceId": device_id})["token"]


def root_fingerprint(gateway):
    pem = pathlib.Path(gateway.root_certificate).read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def samples(gateway, device_id, key):
    """[(ts text, value)] of one series, all of it."""
    try:
        answer = gateway.rest(
            "GET", f"/api/v1/devices/{device_id}/telemetry?keys={key}&from=2024-01-01T00:00:00Z"
                   "&limit=all")
    except RestError as error:
        if error.status == 404:  # it has not enrolled yet
            return []
        raise
    found = []
    for series in answer["series"]:
        if series["key"] == key:
            found += [(sample["ts"], sample["value"]) for sample in series["samples"]]
    return found


class Watcher:
    """A back-end with a session that outlives the server's crashes, on a thread of its own: every
    event and telemetry message of one device in the order of arrival."""

    def __init__(self, gateway, device_id):
        self.gateway, self.device_id = gateway, device_id
        self.seen = []
        self.ready, self.done = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)
        self.thread.start()
        if not self.ready.wait(30):
            raise TimeoutError("the watcher has no subscription")

    def on_message(self, _client, packet):
        self.seen.append((packet.topic.split("/", 2)[2], packet.payload.decode()))

    async def run(self):
        client = mqtt.Client(f"watch-{self.device_id}", clean=False, on_message=self.on_message)
        while not self.done.is_set():
            try:
                await client.connect(HOST, self.gateway.ports["plain"])
                if not self.ready.is_set():
                    await client.subscribe([f"devices/{self.device_id}/events/#",
                                            f"devices/{self.device_id}/telemetry"], qos=2)
                    self.ready.set()
                while client.connected and not self.done.is_set():
                    await asyncio.sleep(0.02)
            except (OSError, mqtt.Lost, mqtt.Refused, asyncio.TimeoutError):
                await asyncio.sleep(0.05)
        client.abort()

    def close(self):
        self.done.set()
        self.thread.join()

    def alarms(self):
        return [json.loads(payload)["data"]["n"] for topic, payload in list(self.seen)
                if topic.startswith("events/")]

    def numbers(self):
        """Values of the key n in the order in which they were seen first."""
        found = {}
        for topic, payload in list(self.seen):
            for row in json.loads(payload) if topic == "telemetry" else []:
                if "n" in row["values"]:
                    found.setdefault(row["values"]["n"])
        return list(found)


class Case(unittest.TestCase):
    def agent(self, of=None, token=True, **overrides):
        """One that is closed with the test; not started. `overrides` of its configuration."""
        global count
        count += 1
        device_id = f"agent-{count}"
        made = Agent(of or server, device_id,
                     make_token(of or server, device_id) if token else None, overrides)
        self.agents.append(made)
        self.addCleanup(made.close)
        return made

    def setUp(self):
        self.agents = []

    def tearDown(self):
        result = self._outcome.result
        if any(failed is self for failed, _ in result.failures + result.errors):
            print(*(agent.tail() for agent in self.agents), server.tail(20), sep="\n",
                  file=sys.stderr)

    def until_equal(self, ask, wanted, seconds=60):
        """Waits as long as something moves."""
        last, deadline = None, 0.0
        while (found := ask()) != wanted:
            if found != last:
                last, deadline = found, time.monotonic() + seconds
            if time.monotonic() > deadline:
                self.assertEqual(found, wanted)
            time.sleep(0.05)


class Enrolment(Case):
    def test_by_token_and_its_telemetry_is_in_the_twin(self):
        agent = self.agent().start()
        agent.wait_for("connected")
        keys = ["system.cpu.percent", "system.memory.available", "system.disk.root.percent",
                "system.uptime", "agent.spool.waiting"]
        wait_until(lambda: all(len(samples(server, agent.id, key)) >= 2 for key in keys),
                   "rows of telemetry are in the twin")
        known = server.rest("GET", f"/api/v1/devices/{agent.id}")
        self.assertEqual(known["state"], "enrolled")
        self.assertLess(agent.resident_bytes(), RESIDENT_MAX)
        # The key is the device's: made there, read by nobody else, and known by fingerprint alone.
        self.assertEqual(stat.S_IMODE((agent.state / "device.pem").stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(agent.state.stat().st_mode), 0o700)
        self.assertFalse((agent.state / "next.pem").exists())
        self.assertEqual(agent.stop(), 0)
        code, out, _ = agent.run("--show-key")
        self.assertEqual((code, out.split()), (0, [agent.id, known["keys"][0]["fingerprint"]]))

    def test_by_a_key_that_was_registered_beforehand(self):
        agent = self.agent(token=False)
        code, out, _ = agent.run("--show-key")
        self.assertEqual(code, 0)
        fingerprint = out.split()[1]
        self.assertEqual(agent.run("--show-key")[1], out)
        self.assertEqual(stat.S_IMODE((agent.state / "next.pem").stat().st_mode), 0o600)
        agent.start()
        self.assertEqual(agent.wait_for("enrolment_refused")[0]["code"], "not_in_registry")
        server.rest("POST", "/api/v1/devices",
                    {"id": agent.id, "keys": [{"fingerprint": fingerprint}]})
        agent.wait_for("connected")

    def test_a_key_of_another_device_is_noticed(self):
        agent = self.agent(token=False)
        fingerprint = agent.run("--show-key")[1].split()[1]
        server.rest("POST", "/api/v1/devices",
                    {"id": agent.id + "-other", "keys": [{"fingerprint": fingerprint}]})
        agent.start()
        self.assertIn("not as", agent.wait_for("enrolment_failed")[0]["message"])
        self.assertFalse((agent.state / "device.pem").exists())

    def test_one_agent_works_in_a_directory(self):
        agent = self.agent().start()
        agent.wait_for("connected")
        code, _, error = agent.run()
        self.assertEqual(code, 1)
        self.assertIn("another skerry-agent works in", error)

    def test_deleted_and_registered_again_it_comes_back_by_itself(self):
        agent = self.agent().start()
        agent.wait_for("connected")
        fingerprint = server.rest("GET", f"/api/v1/devices/{agent.id}")["keys"][0]["fingerprint"]
        server.rest("DELETE", f"/api/v1/devices/{agent.id}")
        agent.wait_for("connect_failed")
        server.rest("POST", "/api/v1/devices",
                    {"id": agent.id, "keys": [{"fingerprint": fingerprint}]})
        agent.wait_for("connected", 2)
        self.assertEqual(len(agent.heard("enrolled")), 2)


class Trust(Case):
    """The server is verified, always: by the pinned root and by its name, on both ports."""

    def setUp(self):
        super().setUp()
        self.other = Server()
        self.addCleanup(self.other.close)

    def sees_nothing(self, gateway, agent):
        with self.assertRaises(RestError) as caught:
            gateway.rest("GET", f"/api/v1/devices/{agent.id}")
        self.assertEqual(caught.exception.status, 404)

    def test_a_root_pinned_by_fingerprint(self):
        agent = self.agent(gateway={"ca_file": None, "ca_fingerprint": root_fingerprint(server)})
        agent.start().wait_for("connected")
        self.assertEqual((agent.state / "root.crt").read_text(),
                         pathlib.Path(server.root_certificate).read_text())

    def test_a_fingerprint_of_another_root(self):
        agent = self.agent(gateway={"ca_file": None,
                                    "ca_fingerprint": root_fingerprint(self.other)})
        agent.start()
        self.assertIn("fingerprint", agent.wait_for("enrolment_failed", 2)[0]["message"])
        self.assertFalse(agent.heard("connected"))
        self.sees_nothing(server, agent)

    def test_a_gateway_under_another_root(self):
        agent = self.agent(gateway={"ca_file": self.other.root_certificate})
        agent.start()
        self.assertIn("not trusted", agent.wait_for("enrolment_failed", 2)[0]["message"])
        self.sees_nothing(server, agent)

    def test_a_gateway_with_the_right_root_and_another_name(self):
        agent = self.agent(gateway={"host": OTHER_NAME})
        agent.start()
        self.assertIn("mismatch", agent.wait_for("enrolment_failed", 2)[0]["message"])
        self.sees_nothing(server, agent)

    def refused_by_mqtt(self, agent):
        agent.start()
        agent.wait_for("connect_failed", 3)
        self.assertFalse(agent.heard("connected")[1:])

    def test_the_mqtt_port_of_another_gateway(self):
        agent = self.agent()
        agent.start().wait_for("connected")
        self.assertEqual(agent.stop(), 0)
        before = self.other.metric("skerry_received_bytes_total")
        agent.configure({"gateway": {"mqtt_port": self.other.ports["devices"]}})
        self.refused_by_mqtt(agent)
        self.assertEqual(self.other.metric("skerry_received_bytes_total"), before)

    def test_the_mqtt_port_under_another_name(self):
        agent = self.agent()
        agent.start().wait_for("connected")
        self.assertEqual(agent.stop(), 0)
        agent.configure({"gateway": {"host": OTHER_NAME}})
        self.refused_by_mqtt(agent)


class StoreAndForward(Case):
    def setUp(self):
        super().setUp()
        self.gateway = Server(listeners=[plain_listener()])
        self.addCleanup(self.gateway.close)
        self.made = self.agent(self.gateway, **QUIET)
        self.watcher = Watcher(self.gateway, self.made.id)
        self.addCleanup(self.watcher.close)
        self.base = int(time.time() * 1000)

    def tell(self, number):
        answer = self.made.say({"values": {"n": number}, "ts": self.base + number})
        self.assertEqual(answer, {"ok": True})

    def alarm(self, number):
        answer = self.made.say({"alarm": "overheat", "severity": "critical", "data": {"n": number}})
        self.assertEqual(answer, {"ok": True})

    def twin_has(self, total):
        self.until_equal(lambda: [value for _, value in
                                  samples(self.gateway, self.made.id, "n")], list(range(total)))

    def test_while_the_gateway_is_away_alarms_overtake_and_all_arrives_in_order_and_once(self):
        self.made.start().wait_for("connected")
        wait_until(lambda: samples(self.gateway, self.made.id, "system.uptime"), "the first row")
        self.gateway.kill9()
        for number in range(1000):
            self.tell(number)
        for number in range(40):
            self.alarm(number)
        self.gateway.start()
        self.until_equal(lambda: len(self.watcher.numbers()), 1000)
        self.assertEqual(self.watcher.alarms(), list(range(40)))
        self.assertEqual(self.watcher.numbers(), list(range(1000)))
        kinds = ["alarm" if topic.startswith("events/") else "row"
                 for topic, payload in self.watcher.seen
                 if topic.startswith("events/") or '"n"' in payload]
        self.assertEqual(kinds.index("row"), 40, "alarms go first")
        self.twin_has(1000)
        self.assertLess(self.made.resident_bytes(), RESIDENT_MAX)

    def test_a_gateway_that_is_killed_again_and_again(self):
        self.made.start().wait_for("connected")
        stop = threading.Event()
        told = {"rows": 0, "alarms": 0}

        def talk():
            while not stop.is_set():
                self.tell(told["rows"])
                told["rows"] += 1
                if told["rows"] % 5 == 0:
                    self.alarm(told["alarms"])
                    told["alarms"] += 1
                time.sleep(0.002)
        talker = threading.Thread(target=talk)
        talker.start()
        try:
            for _ in range(int(os.environ.get("SKERRY_KILLS", "6"))):
                seen = len(self.watcher.seen)
                wait_until(lambda: len(self.watcher.seen) > seen + 20, "messages arrive", 60)
                time.sleep(random.uniform(0, 0.1))  # anywhere in the middle
                self.gateway.kill9()
                self.gateway.start()
        finally:
            stop.set()
            talker.join()
        self.assertGreater(told["alarms"], 20)
        self.until_equal(self.watcher.alarms, list(range(told["alarms"])))
        self.until_equal(self.watcher.numbers, list(range(told["rows"])))
        self.twin_has(told["rows"])
        self.assertFalse(self.made.heard("message_dropped"))

    def test_an_agent_that_is_killed_while_the_gateway_is_away_loses_nothing(self):
        self.made.start().wait_for("connected")
        self.gateway.kill9()
        for part in range(3):
            for number in range(100):
                self.tell(100 * part + number)
            self.alarm(part)
            self.made.kill9()
            self.made.start()
        self.gateway.start()
        self.until_equal(lambda: len(self.watcher.numbers()), 300)
        self.assertEqual(self.watcher.numbers(), list(range(300)))
        self.assertEqual(self.watcher.alarms(), [0, 1, 2])
        self.twin_has(300)

    def test_an_agent_that_is_killed_under_load_loses_nothing_that_it_has_confirmed(self):
        self.made.start().wait_for("connected")
        rows = 0
        for kill in range(5):
            for _ in range(random.randint(50, 200)):
                self.tell(rows)
                rows += 1
            self.alarm(kill)
            self.made.kill9()
            self.made.start()
        self.twin_has(rows)
        # An alarm that was on its way when the agent died may come a second time, not more.
        self.until_equal(lambda: sorted(set(self.watcher.alarms())), list(range(5)))
        self.assertEqual(self.watcher.alarms(), sorted(self.watcher.alarms()))


class Renewal(Case):
    def renews(self, rotate):
        gateway = Server(overrides={"identity": {"device_certificate_life": "6s",
                                                 "key_overlap": "1s"}})
        self.addCleanup(gateway.close)
        agent = self.agent(gateway, enrolment={"rotate_key": rotate})
        agent.start().wait_for("connected")
        first = agent.certificates()[0]["serial"]
        agent.wait_for("renewed", 3, seconds=90)
        self.assertFalse(agent.heard("enrolled")[1:], "renewed, not enrolled anew")
        # It speaks with the newest one: the older have run out, and readings go on.
        last = agent.heard("renewed")[2]["serial"]
        self.assertNotEqual(first, last)
        wait_until(lambda: len(agent.heard("connected")) >= 4, "it has connected by each", 60)
        before = len(samples(gateway, agent.id, "system.uptime"))
        wait_until(lambda: len(samples(gateway, agent.id, "system.uptime")) > before + 2,
                   "readings go on", 60)
        self.assertEqual(stat.S_IMODE((agent.state / "device.pem").stat().st_mode), 0o600)
        keys = gateway.rest("GET", f"/api/v1/devices/{agent.id}")["keys"]
        fingerprints = {line["fingerprint"] for line in agent.heard("started")}
        return agent, keys, fingerprints

    def test_by_itself_with_a_new_key(self):
        agent, keys, first = self.renews(True)
        self.assertNotIn(keys[-1]["fingerprint"], first)
        self.assertEqual(agent.stop(), 0)
        self.assertIn(agent.run("--show-key")[1].split()[1], [key["fingerprint"] for key in keys])

    def test_by_itself_with_the_same_key(self):
        _, keys, first = self.renews(False)
        self.assertEqual({key["fingerprint"] for key in keys}, first)

    def test_after_a_sleep_longer_than_the_certificate(self):
        gateway = Server(overrides={"identity": {"device_certificate_life": "2s"}})
        self.addCleanup(gateway.close)
        agent = self.agent(gateway)
        agent.start().wait_for("connected")
        agent.stop()
        wait_until(lambda: not agent.certificates() or all(
            certificate["notAfter"] < time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            for certificate in agent.certificates()), "the certificate has run out")
        agent.start()
        agent.wait_for("renewed")
        agent.wait_for("connected", 2)


class LocalSocket(Case):
    def test_metrics_of_other_programs_arrive(self):
        agent = self.agent(**QUIET).start()
        self.assertEqual(agent.say({"metric": "pressure", "value": 3.25}), {"ok": True})
        self.assertEqual(agent.say({"values": {"valve": "open", "count": 7, "on": True},
                                    "ts": 1732536000000}), {"ok": True})
        for key, value in (("pressure", 3.25), ("valve", "open"), ("count", 7), ("on", True)):
            wait_until(lambda: samples(server, agent.id, key), f"{key} is in the twin")
            self.assertEqual([found for _, found in samples(server, agent.id, key)], [value])
        self.assertEqual(samples(server, agent.id, "valve")[0][0], "2024-11-25T12:00:00.000Z")

    def test_hostile_lines_are_answered_and_change_nothing(self):
        agent = self.agent(**QUIET).start()
        for line in ("", "{", "[]", "\x00", '{"metric":"system.cpu.percent","value":0}',
                     '{"metric":"a","value":null}', '{"alarm":"../../x"}', "[" * 10_000,
                     '{"alarm":"a","data":' + '{"a":' * 50 + "1" + "}" * 51):
            self.assertIn("error", agent.say(line), line[:50])
        with agent.connect_socket() as client:
            client.sendall(b"x" * 40_000)
            self.assertIn(b"longer than 16 KiB", client.recv(1000))
            try:
                self.assertEqual(client.recv(1000), b"")
            except ConnectionResetError:
                pass  # closed with bytes of ours unread
        self.assertEqual(agent.say({"metric": "good", "value": 1}), {"ok": True})
        wait_until(lambda: samples(server, agent.id, "good"), "what was right has arrived")
        self.assertFalse(samples(server, agent.id, "a"))

    def test_connections_are_capped(self):
        agent = self.agent(**QUIET).start()
        held = [agent.connect_socket() for _ in range(32)]
        with agent.connect_socket() as over:
            self.assertIn(b"too many connections", over.recv(1000))
        for client in held:
            client.close()
        wait_until(lambda: agent.connect_socket().send(b"{}\n") == 3, "there is room again")

    def test_who_is_too_fast_waits_and_loses_nothing(self):
        agent = self.agent(**QUIET, local_socket={"lines_per_second": 50, "burst": 10}).start()
        base = int(time.time() * 1000)
        with agent.connect_socket() as client:
            client.sendall(b"".join(b'{"metric":"n","value":%d,"ts":%d}\n' % (n, base + n)
                                    for n in range(60)))
            answers = client.makefile("r")
            self.assertEqual({answers.readline() for _ in range(60)}, {'{"ok":true}\n'})
        self.until_equal(lambda: [value for _, value in samples(server, agent.id, "n")],
                         list(range(60)))

    def test_the_mode_says_who_may_connect(self):
        agent = self.agent(**QUIET, local_socket={"mode": "0620"}).start()
        agent.connect_socket().close()
        self.assertEqual(stat.S_IMODE(agent.socket_path.stat().st_mode), 0o620)
        agent.kill9()
        agent.start()  # over the socket that was left
        self.assertEqual(agent.say({"metric": "a", "value": 1}), {"ok": True})
        self.assertEqual(agent.stop(), 0)
        self.assertFalse(agent.socket_path.exists())

    def test_a_file_in_the_way_is_not_removed(self):
        agent = self.agent(**QUIET)
        agent.socket_path.parent.mkdir()
        agent.socket_path.write_text("mine")
        code, _, error = agent.run()
        self.assertEqual(code, 1)
        self.assertIn("something else than a socket", error)
        self.assertEqual(agent.socket_path.read_text(), "mine")


class Operation(Case):
    def test_a_reload_changes_what_it_can_and_refuses_the_rest(self):
        agent = self.agent(telemetry={"interval": "1h", "collect": ["memory"]}).start()
        agent.wait_for("connected")
        agent.configure({"telemetry": {"interval": "100ms", "collect": ["uptime"]}})
        agent.process.send_signal(signal.SIGHUP)
        agent.wait_for("reloaded")
        wait_until(lambda: len(samples(server, agent.id, "system.uptime")) > 3, "the new interval")
        agent.configure({"telemetry": {"intervall": "1s"}})
        agent.process.send_signal(signal.SIGHUP)
        self.assertIn('did you mean "interval"?', agent.wait_for("reload_refused")[0]["message"])
        agent.configure({"telemetry": {"intervall": None}, "device": "another"})
        agent.process.send_signal(signal.SIGHUP)
        self.assertIn("device cannot change", agent.wait_for("reload_refused", 2)[1]["message"])
        before = len(samples(server, agent.id, "system.uptime"))
        wait_until(lambda: len(samples(server, agent.id, "system.uptime")) > before, "it goes on")

    def test_the_configuration_is_checked(self):
        agent = self.agent(token=False)
        self.assertEqual(agent.run("--check-config")[0], 0)
        example = ROOT / "device" / "agent.yaml"
        agent.configuration_path = example
        self.assertEqual(agent.run("--check-config")[0], 0, "the example is good")
        agent.configuration_path = agent.directory / "agent.yaml"
        agent.configure({"gateway": {"verify": False}})
        code, _, error = agent.run("--check-config")
        self.assertEqual(code, 2)
        self.assertIn('unknown key "verify" in gateway', error)
        self.assertEqual(agent.run("--nonsense")[0], 2)

    def test_suspended_it_waits_and_resumed_it_tells_what_it_has_kept(self):
        agent = self.agent(**QUIET).start()
        agent.wait_for("connected")
        server.rest("POST", f"/api/v1/devices/{agent.id}:suspend")
        agent.wait_for("connect_failed", 2)
        self.assertEqual(agent.say({"metric": "kept", "value": 1}), {"ok": True})
        server.rest("POST", f"/api/v1/devices/{agent.id}:resume")
        wait_until(lambda: samples(server, agent.id, "kept"), "what was kept has arrived")


if __name__ == "__main__":
    unittest.main()
