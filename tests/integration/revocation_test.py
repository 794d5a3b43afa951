#!/usr/bin/env python3
"""Whoever loses its rights is gone at once and for good: live sessions, what waits for them, their
wills, their resumed TLS sessions, through a kill -9; and presence says so. Over mutual TLS."""
import asyncio
import datetime
import json
import pathlib
import random
import signal
import socket
import ssl
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
import mqtt_codec as codec  # noqa: E402
import pki  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from server import HOST, Server, plain_listener, wait_until  # noqa: E402

NOT_AUTHORIZED = 0x87
TAKEN_OVER = 0x8E
BANNED = 0x8A
ADMINISTRATIVE_ACTION = 0x98
SUBSCRIBED = "devices/{}/events/#"

server = None


def setUpModule():
    global server
    server = Server(listeners=[plain_listener()])


def tearDownModule():
    server.close()


def serial_of(device):
    certificate = x509.load_pem_x509_certificate(device.certificate_file.read_bytes())
    text = f"{certificate.serial_number:x}"
    return text if len(text) % 2 == 0 else "0" + text


def suspend(device):
    device.server.rest("POST", f"/api/v1/devices/{device.id}:suspend")


def resume(device):
    device.server.rest("POST", f"/api/v1/devices/{device.id}:resume")


def retire(device):
    device.server.rest("POST", f"/api/v1/devices/{device.id}:retire")


def revoke(device):
    device.server.rest("POST", f"/api/v1/certificates/{serial_of(device)}:revoke")


def erase(device):
    device.server.rest("DELETE", f"/api/v1/devices/{device.id}")


# How rights end, and the reason that presence gives.
ENDS = {"suspended": suspend, "revoked": revoke, "retired": retire, "erased": erase}


async def connect_device(device, **options):
    options.setdefault("client_id", device.id)
    client = mqtt.Client(**options)
    client.connect_packet = await client.connect(HOST, device.server.ports["devices"],
                                                 tls=device.context())
    return client


class Spy:
    """Sees everything that a device's topics carry."""

    @classmethod
    async def of(cls, device, of_server=None):
        spy = cls()
        spy.device = device
        spy.client = mqtt.Client(f"spy of {device.id}")
        await spy.client.connect(HOST, (of_server or server).ports["plain"])
        await spy.client.subscribe(f"devices/{device.id}/#", qos=1)
        return spy

    async def until_marker(self):
        """Topics and payloads of all that came before now, without our own marker."""
        marker = f"devices/{self.device.id}/events/marker"
        await self.client.publish(marker, b"{}", qos=1).acknowledged()
        seen = []
        while True:
            message = await self.client.next_message()
            if message.topic == marker:
                return seen
            seen.append(message)

    async def presence(self, count):
        """The next `count` presence messages as (online, reason)."""
        found = []
        while len(found) < count:
            message = await self.client.next_message(30)
            if message.topic.endswith("/presence") and message.payload:
                body = json.loads(message.payload)
                found.append((body["online"], body["reason"]))
        return found

    async def send(self, name):
        await self.client.publish(f"devices/{self.device.id}/events/{name}", b"{}",
                                  qos=1).acknowledged()

    async def close(self):
        await self.client.disconnect()


class Wire(unittest.IsolatedAsyncioTestCase):
    def tearDown(self):
        if not self._outcome.success:
            print(server.tail(20), file=sys.stderr)

    async def assert_no_way_in(self, device, **options):
        with self.assertRaises((mqtt.Refused, mqtt.Lost, OSError)):
            await connect_device(device, **options)


class LiveSessions(Wire):
    async def test_threat_18_a_live_session_ends_with_its_rights_and_its_will_is_not_heard(self):
        for reason, end in ENDS.items():
            with self.subTest(reason):
                device = pki.Device.enrolled(server, f"live-{reason}")
                will = {"topic": f"devices/{device.id}/events/bye", "payload": b"{}", "qos": 1}
                client = await connect_device(device, will=will)
                kept = await connect_device(device, client_id="another id", clean=False, will=will)
                old = await connect_device(device, client_id="3.1.1", version=4, will=will)
                spy = await Spy.of(device)
                begin = time.monotonic()
                await asyncio.to_thread(end, device)
                self.assertEqual(await client.wait_lost(), ADMINISTRATIVE_ACTION)
                self.assertEqual(await kept.wait_lost(), ADMINISTRATIVE_ACTION)
                await old.wait_lost()
                self.assertLess(time.monotonic() - begin, 1.0)
                presence = []  # of the three that came, and of the last that went
                while not presence or presence[-1][0]:
                    presence += await spy.presence(1)
                self.assertEqual(presence[-1], (False, reason))
                self.assertTrue(presence[0][0])
                topics = {message.topic for message in await spy.until_marker()}
                self.assertNotIn(f"devices/{device.id}/events/bye", topics)
                for version in (4, 5):
                    await self.assert_no_way_in(device, version=version)
                    await self.assert_no_way_in(device, version=version, client_id="a third id")
                await spy.close()

    async def test_threat_18_what_waits_for_a_device_goes_with_its_rights(self):
        for reason in ("suspended", "revoked"):
            with self.subTest(reason):
                device = pki.Device.enrolled(server, f"waits-{reason}")
                client = await connect_device(device, clean=False)
                await client.subscribe(SUBSCRIBED.format(device.id), qos=1)
                await client.disconnect()
                spy = await Spy.of(device)
                await spy.send("queued")
                await asyncio.to_thread(ENDS[reason], device)
                wait_until(lambda: not server.pages(f"/api/v1/clients?owner=device:{device.id}"),
                           "the session is gone")
                if reason == "suspended":
                    await asyncio.to_thread(resume, device)
                else:
                    await asyncio.to_thread(device.enrol)
                client = await connect_device(device, clean=False)
                self.assertFalse(client.connect_packet.session_present)
                await client.subscribe(SUBSCRIBED.format(device.id), qos=1)
                await spy.send("new")
                self.assertTrue((await client.next_message()).topic.endswith("/new"))
                await client.disconnect()
                await spy.close()

    async def test_a_delayed_will_does_not_outlive_the_right_to_leave_it(self):
        device = pki.Device.enrolled(server, "delayed")
        spy = await Spy.of(device)
        will = {"topic": "devices/delayed/events/bye", "payload": b"{}", "qos": 1,
                "properties": {"will_delay": 1}}
        client = await connect_device(device, clean=False, will=will)
        client.abort()
        await spy.presence(2)
        await asyncio.to_thread(suspend, device)
        await asyncio.sleep(2)
        topics = {message.topic for message in await spy.until_marker()}
        self.assertNotIn("devices/delayed/events/bye", topics)
        await spy.close()

    async def test_revoking_one_certificate_leaves_the_other_of_the_device(self):
        device = pki.Device.enrolled(server, "two")
        first = await connect_device(device, client_id="first")
        old = serial_of(device)
        device.enrol()
        second = await connect_device(device, client_id="second")
        await asyncio.to_thread(server.rest, "POST", f"/api/v1/certificates/{old}:revoke")
        self.assertEqual(await first.wait_lost(), ADMINISTRATIVE_ACTION)
        await second.publish("devices/two/events/x", b"{}", qos=1).acknowledged()
        self.assertTrue(second.connected)
        await second.disconnect()

    async def test_an_operator_ends_one_connection_and_one_session(self):
        device = pki.Device.enrolled(server, "handled")
        client = await connect_device(device, client_id="a/b c", clean=False)
        path = "/api/v1/clients/device%3Ahandled/a%2Fb%20c"
        await asyncio.to_thread(server.rest, "POST", path + ":disconnect")
        self.assertEqual(await client.wait_lost(), ADMINISTRATIVE_ACTION)
        client = await connect_device(device, client_id="a/b c", clean=False)
        self.assertTrue(client.connect_packet.session_present)
        await asyncio.to_thread(server.rest, "DELETE", path)
        self.assertEqual(await client.wait_lost(), ADMINISTRATIVE_ACTION)
        client = await connect_device(device, client_id="a/b c", clean=False)
        self.assertFalse(client.connect_packet.session_present)
        await client.disconnect()
        for action in ("client.disconnect", "client.remove"):
            records = server.pages(f"/api/v1/audit?action={action}")
            self.assertEqual([(each["actor"], each["object"], each["outcome"], each["detail"])
                              for each in records],
                             [("user:admin", "device:handled", "ok", "client id a/b c")])


class ResumedTls(Wire):
    def connect(self, context, session=None, of_server=None):
        """(reason of the CONNACK or None, whether TLS was resumed, session for the next)."""
        with context.wrap_socket(
                socket.create_connection((HOST, (of_server or server).ports["devices"]),
                                         timeout=30),
                server_hostname="localhost", session=session) as wire:
            frames = codec.Frames()
            try:
                wire.sendall(codec.connect("resumer"))
                while data := wire.recv(4096):
                    for first, body in frames.feed(data):
                        return codec.decode(first, body, 5).reason, wire.session_reused, \
                            wire.session
            except OSError:
                pass
            return None, wire.session_reused, wire.session

    async def test_threat_18_a_resumed_tls_session_brings_no_rights_back(self):
        for reason, end in ENDS.items():
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.subTest(reason=reason, version=version.name):
                    device = pki.Device.enrolled(server, f"tls-{reason}-{version.name}")
                    context = device.context(minimum=version, maximum=version)
                    answer, _, session = await asyncio.to_thread(self.connect, context)
                    self.assertEqual(answer, 0)
                    answer, reused, session = await asyncio.to_thread(self.connect, context,
                                                                      session)
                    self.assertEqual((answer, reused), (0, True))
                    await asyncio.to_thread(end, device)
                    for _ in range(2):
                        answer, _, _ = await asyncio.to_thread(self.connect, context, session)
                        self.assertTrue(answer is None or answer >= 0x80, answer)


class Presence(Wire):
    async def test_presence_tells_of_each_coming_and_going(self):
        device = pki.Device.enrolled(server, "seen")
        spy = await Spy.of(device)
        client = await connect_device(device)
        self.assertEqual(await spy.presence(1), [(True, "connected")])
        await client.disconnect()
        self.assertEqual(await spy.presence(1), [(False, "normal")])
        client = await connect_device(device)
        client.abort()
        self.assertEqual(await spy.presence(2), [(True, "connected"), (False, "connection_lost")])
        client = await connect_device(device)
        client.send_raw(codec.connect("again"))
        await client.wait_lost()
        self.assertEqual(await spy.presence(2), [(True, "connected"), (False, "protocol_error")])
        await spy.close()

    async def test_a_take_over_and_a_second_client_are_no_offline(self):
        device = pki.Device.enrolled(server, "twice")
        spy = await Spy.of(device)
        first = await connect_device(device)
        second = await connect_device(device)
        self.assertEqual(await first.wait_lost(), TAKEN_OVER)
        other = await connect_device(device, client_id="other")
        await second.disconnect()
        await other.disconnect()
        self.assertEqual(await spy.presence(4), [(True, "connected")] * 3 + [(False, "normal")])
        await spy.close()

    async def test_a_newcomer_hears_the_retained_presence_with_all_its_fields(self):
        device = pki.Device.enrolled(server, "told")
        client = await connect_device(device)
        first = await Spy.of(device)
        await first.presence(1)
        spy = await Spy.of(device)
        message = await spy.client.next_message()
        self.assertTrue(message.retain)
        body = json.loads(message.payload)
        self.assertEqual(set(body), {"online", "ts", "reason", "address", "certificateSerial"})
        self.assertEqual(body["certificateSerial"].lower(), serial_of(device))
        self.assertTrue(body["address"].startswith(HOST + ":"))
        self.assertLess(abs(time.time() * 1000 - body["ts"]), 60_000)
        await client.disconnect()

    async def test_an_erased_device_leaves_no_retained_presence(self):
        device = pki.Device.enrolled(server, "wiped")
        spy = await Spy.of(device)
        await connect_device(device)
        await spy.presence(1)
        await asyncio.to_thread(erase, device)
        self.assertEqual(await spy.presence(1), [(False, "erased")])
        self.assertEqual((await spy.client.next_message()).payload, b"")
        late = await Spy.of(device)
        self.assertEqual(await late.until_marker(), [])


class OwnServer(Wire):
    """Tests that need a server of their own."""

    def make_server(self, **overrides):
        made = Server(listeners=[plain_listener()], overrides=overrides)
        self.addCleanup(made.close)
        return made

    def list_of(self, own, *devices, key=None):
        """The revocation list of the server's own device CA, as an authority elsewhere makes it."""
        stem = own.data_dir / "ca" / "device-ca"
        issuer = x509.load_pem_x509_certificate(stem.with_suffix(".crt").read_bytes())
        key = key or serialization.load_pem_private_key(stem.with_suffix(".key").read_bytes(), None)
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
                   .last_update(now).next_update(now + datetime.timedelta(days=1)))
        for device in devices:
            certificate = x509.load_pem_x509_certificate(device.certificate_file.read_bytes())
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
                .revocation_date(now).build())
        return builder.sign(key, hashes.SHA256()).public_bytes(pki.PEM)

    def reload(self, own, until):
        """SIGHUP; what the log says must come to hold `until` once more."""
        before = own.tail(10_000).count(until)
        own.process.send_signal(signal.SIGHUP)
        wait_until(lambda: own.tail(10_000).count(until) > before, until)

    async def test_threat_18_a_listener_s_revocation_list_ends_live_sessions(self):
        own = self.make_server()
        path = own.directory / "device.crl"
        path.write_bytes(self.list_of(own))
        own.stop()
        own.configuration["listeners"][0]["tls"] = {"crl": str(path)}
        own.start()
        device, other = (pki.Device.enrolled(own, name) for name in ("listed", "other"))
        context = device.context()
        resumer = ResumedTls()
        answer, _, session = await asyncio.to_thread(resumer.connect, context, None, own)
        self.assertEqual(answer, 0)
        spy = await Spy.of(device, own)
        will = {"topic": "devices/listed/events/bye", "payload": b"{}", "qos": 1}
        client = await connect_device(device, clean=False, will=will)
        bystander = await connect_device(other)
        # A list that somebody else has signed changes nothing, and the log says so.
        path.write_bytes(self.list_of(own, device, key=pki.make_key()))
        await asyncio.to_thread(self.reload, own, "not signed by the client CA")
        await client.publish("devices/listed/events/x", b"{}", qos=1).acknowledged()
        path.write_bytes(self.list_of(own, device))
        await asyncio.to_thread(self.reload, own, "revocation lists")
        self.assertEqual(await client.wait_lost(), ADMINISTRATIVE_ACTION)
        topics = {message.topic for message in await spy.until_marker()}
        self.assertIn("devices/listed/events/x", topics)
        self.assertNotIn("devices/listed/events/bye", topics)
        with self.assertRaises(mqtt.Refused) as caught:
            await connect_device(device)
        self.assertEqual(caught.exception.packet.reason, BANNED)
        answer, _, _ = await asyncio.to_thread(resumer.connect, context, session, own)
        self.assertEqual(answer, BANNED)
        await bystander.publish("devices/other/events/x", b"{}", qos=1).acknowledged()
        self.assertTrue(bystander.connected)
        await bystander.disconnect()
        await spy.close()
        # At start nothing was read before: the server says why and does not run.
        own.stop()
        path.write_text("nonsense")
        own.start(wait=False)
        code, own.process = own.process.wait(60), None
        self.assertNotEqual(code, 0)
        self.assertIn(f"cannot use {path}", own.tail())

    async def test_threat_19_a_session_ends_in_the_second_its_certificate_does(self):
        own = self.make_server(identity={"device_certificate_life": "6s"})
        device = pki.Device.enrolled(own, "brief")
        certificate = x509.load_pem_x509_certificate(device.certificate_file.read_bytes())
        end = certificate.not_valid_after.replace(tzinfo=__import__("datetime").timezone.utc)
        spy = await Spy.of(device, own)
        will = {"topic": "devices/brief/events/bye", "payload": b"{}", "qos": 1}
        client = await connect_device(device, clean=False, will=will)
        self.assertEqual(await client.wait_lost(), NOT_AUTHORIZED)
        late = time.time() - end.timestamp()
        self.assertTrue(-0.1 <= late < 1.5, late)
        self.assertEqual(await spy.presence(2), [(True, "connected"), (False, "expired")])
        topics = {message.topic for message in await spy.until_marker()}
        self.assertNotIn("devices/brief/events/bye", topics)
        await self.assert_no_way_in(device)

    async def test_a_kept_queue_waits_for_a_device_that_is_resumed(self):
        own = self.make_server(authorization={"on_revocation": "keep"})
        device = pki.Device.enrolled(own, "patient")
        client = await connect_device(device, clean=False)
        await client.subscribe(SUBSCRIBED.format("patient"), qos=1)
        await asyncio.to_thread(suspend, device)
        self.assertEqual(await client.wait_lost(), ADMINISTRATIVE_ACTION)
        spy = await Spy.of(device, own)
        await spy.send("queued")
        await self.assert_no_way_in(device)
        await asyncio.to_thread(resume, device)
        client = await connect_device(device, clean=False)
        self.assertTrue(client.connect_packet.session_present)
        self.assertTrue((await client.next_message()).topic.endswith("/queued"))

    async def test_threat_31_nothing_of_the_revoked_comes_back_after_a_kill(self):
        own = self.make_server()
        chance = random.Random(31)
        devices = [pki.Device.enrolled(own, f"killed-{number}") for number in range(12)]
        kept = pki.Device.enrolled(own, "kept")
        for device in (*devices, kept):
            client = await connect_device(device, clean=False, will={
                "topic": f"devices/{device.id}/events/bye", "payload": b"{}", "qos": 1,
                "properties": {"will_delay": 2}})
            await client.subscribe(SUBSCRIBED.format(device.id), qos=1)
        own.log_in()
        asked = []
        for device in devices:
            end = chance.choice(list(ENDS.values()))
            asked.append(asyncio.create_task(asyncio.to_thread(self.try_to, end, device)))
        await asyncio.sleep(chance.uniform(0, 0.02))
        own.process.kill()
        await asyncio.gather(*asked)
        own.kill9()
        own.start()
        states = {item["id"]: item["state"] for item in own.pages("/api/v1/devices")}
        spy = mqtt.Client("spy of the killed")
        await spy.connect(HOST, own.ports["plain"])
        await spy.subscribe("devices/+/events/bye", qos=1)
        for device in devices:
            if states.get(device.id) not in ("enrolled",):
                await self.assert_no_way_in(device)
                self.assertEqual(own.pages(f"/api/v1/clients?owner=device:{device.id}"), [])
        await asyncio.sleep(4)
        await spy.publish("devices/kept/events/bye", b"marker", qos=1).acknowledged()
        mourned = set()
        while (message := await spy.next_message()).payload != b"marker":
            mourned.add(message.topic.split("/")[1])
        self.assertIn("kept", mourned)
        gone = {device.id for device in devices if states.get(device.id) != "enrolled"}
        self.assertEqual(mourned & gone, set())
        client = await connect_device(kept, clean=False)
        self.assertTrue(client.connect_packet.session_present)

    def try_to(self, end, device):
        try:
            end(device)
        except Exception:  # the server dies meanwhile, which is the point
            pass

    async def test_whoever_was_online_and_does_not_return_after_a_kill_is_set_offline(self):
        own = self.make_server()
        lost, back = (pki.Device.enrolled(own, name) for name in ("lost", "back"))
        for device in (lost, back):
            await connect_device(device)
            spy = await Spy.of(device, own)
            await spy.presence(1)
        # What is delivered may not be stored yet; what is stored later has been acknowledged then.
        pki.Device(own, "later").register()
        own.kill9()
        own.start()
        spy = await Spy.of(lost, own)
        other = await Spy.of(back, own)
        client = await connect_device(back)
        self.assertEqual(await spy.presence(2), [(True, "connected"), (False, "server_restart")])
        self.assertEqual(await other.presence(2), [(True, "connected")] * 2)
        self.assertEqual([m.topic for m in await other.until_marker()], [])
        await client.disconnect()

    async def test_a_shutdown_is_a_reason(self):
        own = self.make_server()
        device = pki.Device.enrolled(own, "bystander")
        await connect_device(device)
        spy = await Spy.of(device, own)
        await spy.presence(1)
        own.restart()
        spy = await Spy.of(device, own)
        self.assertEqual(await spy.presence(1), [(False, "server_shutdown")])


if __name__ == "__main__":
    unittest.main(verbosity=2)
