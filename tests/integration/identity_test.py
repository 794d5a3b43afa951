#!/usr/bin/env python3
"""No device reads or writes what is not its own, nobody takes over another's session, and only
certificates that the gateway has issued and still stands by let a device in: tried over the wire."""
import asyncio
import base64
import pathlib
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
from server import HOST, Server, open_tls_listener, plain_listener  # noqa: E402

NOT_AUTHORIZED = 0x87
TAKEN_OVER = 0x8E
ADMINISTRATIVE_ACTION = 0x98
VERSIONS = (4, 5)
# By MQTT 3.1.1: SUBACK failure and CONNACK "not authorized".
REFUSED_FILTER = {4: 0x80, 5: NOT_AUTHORIZED}
REFUSED_CONNECT = {4: 5, 5: NOT_AUTHORIZED}

server = None
a = b = None


def setUpModule():
    global server, a, b
    # Spies look at all topics of a device: what the broker says of its presence is left out.
    server = Server(listeners=[plain_listener(), open_tls_listener()],
                    overrides={"twin": {"presence": False}})
    a, b = (pki.Device.enrolled(server, name) for name in ("a", "b"))


def tearDownModule():
    server.close()


async def connect_device(device, listener="devices", **options):
    options.setdefault("client_id", device.id)
    client = mqtt.Client(**options)
    client.connect_packet = await client.connect(HOST, server.ports[listener],
                                                 tls=device.context())
    return client


async def connect_plain(client_id, **options):
    client = mqtt.Client(client_id, **options)
    client.connect_packet = await client.connect(HOST, server.ports["plain"])
    return client


class Wire(unittest.IsolatedAsyncioTestCase):
    def tearDown(self):
        if not self._outcome.success:
            print(server.tail(20), file=sys.stderr)

    async def refused_reason(self, device, **options):
        """The reason of the CONNACK that refuses."""
        with self.assertRaises(mqtt.Refused) as caught:
            await connect_device(device, **options)
        return caught.exception.packet.reason


class Topics(Wire):
    FOREIGN_TOPICS = [
        "devices/b/telemetry", "devices/b/events/door", "devices/b/presence",
        "devices/b/commands/7/response", "devices/b/twin/update",
        "devices/a/presence", "devices/a/commands/7/request", "devices/a/twin/update/accepted",
        "devices/a/twin/update/delta", "devices/a/jobs/notify-next", "devices/a",
        "devices/a/certificate/renew/accepted", "devices/a/telemetry/more/levels",
        "devices//telemetry", "devices/a/../b/telemetry", "/devices/a/telemetry",
        "devices/A/telemetry", "DEVICES/a/telemetry", "devices/a /telemetry",
        "devices/a/anything", "public", "/", "$SYS/broker/uptime", "$share/g/devices/a/telemetry",
    ]
    FOREIGN_FILTERS = [
        "#", "+", "+/#", "+/+/telemetry", "devices/#", "devices/+/#", "devices/+/telemetry",
        "devices/b/#", "devices/b/telemetry", "devices/a", "devices/A/#", "devices//#",
        "/devices/a/#", "$SYS/#", "$share/g/#", "$share/g/devices/+/#", "$share/g/devices/b/#",
        "$share/g/+/a/#", "public",
    ]

    async def test_a_device_cannot_publish_what_is_not_its_own(self):
        spy = await connect_plain("spy")
        await spy.subscribe(["#", "$SYS/#", "/+"], qos=2)
        for version in VERSIONS:
            for retain in (False, True):
                await self.try_to_publish(version, retain, spy)
        await spy.disconnect()
        self.assertEqual(server.rest("GET", "/api/v1/devices/b/telemetry/latest")["items"], [])
        late = await connect_plain("late spy")
        await late.subscribe(["#", "$SYS/#"], qos=0)
        late.publish("end/of/retained", b"")
        self.assertEqual((await late.next_message()).topic, "end/of/retained")
        await late.disconnect()

    async def try_to_publish(self, version, retain, spy):
        client = await connect_device(a, version=version)
        for topic in self.FOREIGN_TOPICS:
            client.publish(topic, b'{"forged": 0}', qos=0, retain=retain)
            for qos in (1, 2):
                sent = client.publish(topic, b'{"forged": 1}', qos=qos, retain=retain)
                reason = await sent.acknowledged()
                # 3.1.1 has no way to say no but to close; its acknowledgement has no reason.
                self.assertEqual(reason, NOT_AUTHORIZED if version == 5 else 0, (topic, qos))
        own = client.publish("devices/a/events/marker", b"{}", qos=1)
        self.assertEqual(await own.acknowledged(), 0)
        self.assertEqual((await spy.next_message()).topic, "devices/a/events/marker")
        self.assertEqual(spy.messages, [])
        await client.disconnect()

    async def test_a_device_cannot_remove_a_foreign_retained_message(self):
        world = await connect_plain("world")
        topics = ["public", "devices/b/events/kept"]
        for topic in topics:
            await world.publish(topic, b"{}", qos=1, retain=True).acknowledged()
        for version in VERSIONS:
            client = await connect_device(a, version=version)
            for qos in (0, 1, 2):
                for topic in topics:
                    await client.publish(topic, b"", qos=qos, retain=True).acknowledged()
            await client.publish("devices/a/events/marker", b"{}", qos=1).acknowledged()
            await client.disconnect()
        await world.subscribe(topics)
        seen = {(await world.next_message()).topic for _ in topics}
        self.assertEqual(seen, set(topics))
        for topic in topics:
            await world.publish(topic, b"", qos=1, retain=True).acknowledged()
        await world.disconnect()

    async def test_a_topic_alias_does_not_hide_a_foreign_topic(self):
        client = await connect_device(a)
        alias = {"topic_alias": 1}
        for topic in ("devices/b/telemetry", ""):
            sent = client.publish(topic, b'{"forged": 2}', qos=1, properties=alias)
            self.assertEqual(await sent.acknowledged(), NOT_AUTHORIZED)
        await client.disconnect()
        self.assertEqual(server.rest("GET", "/api/v1/devices/b/telemetry/latest")["items"], [])

    async def test_threat_14_a_response_topic_gives_no_right(self):
        elsewhere = "devices/b/commands/7/request"
        reader = await connect_plain("reader")
        await reader.subscribe(["devices/a/events/#", "devices/b/#"], qos=1)
        client = await connect_device(a)
        sent = client.publish("devices/a/events/ask", b"{}", qos=1,
                              properties={"response_topic": elsewhere})
        self.assertEqual(await sent.acknowledged(), 0)
        # Others get it as it was written: a hint that they may follow by rights of their own.
        message = await reader.next_message()
        self.assertEqual((message.topic, message.properties.get("response_topic")),
                         ("devices/a/events/ask", elsewhere))
        # The one that wrote it has gained nothing there, and neither has whoever it names.
        for properties in (None, {"response_topic": elsewhere}):
            sent = client.publish(elsewhere, b"{}", qos=1, properties=properties)
            self.assertEqual(await sent.acknowledged(), NOT_AUTHORIZED)
        self.assertEqual(await client.subscribe([elsewhere], qos=1), (NOT_AUTHORIZED,))
        named = await connect_device(b)
        sent = named.publish("devices/a/events/ask", b"{}", qos=1)
        self.assertEqual(await sent.acknowledged(), NOT_AUTHORIZED)
        await named.publish("devices/b/events/marker", b"{}", qos=1).acknowledged()
        self.assertEqual((await reader.next_message()).topic, "devices/b/events/marker")
        for each in (client, named, reader):
            await each.disconnect()

    async def test_a_device_cannot_subscribe_to_what_is_not_its_own(self):
        world = await connect_plain("world")
        await world.publish("public", b"retained", qos=1, retain=True).acknowledged()
        await world.publish("devices/b/events/old", b"{}", qos=1, retain=True).acknowledged()
        for version in VERSIONS:
            client = await connect_device(a, version=version)
            for qos in (0, 1, 2):
                reasons = await client.subscribe(self.FOREIGN_FILTERS, qos=qos)
                self.assertEqual(dict(zip(self.FOREIGN_FILTERS, reasons)),
                                 dict.fromkeys(self.FOREIGN_FILTERS, REFUSED_FILTER[version]))
            # One refused filter does not spoil its neighbours, a shared one of its own included.
            reasons = await client.subscribe(["#", "devices/a/#", "$share/g/devices/a/#"], qos=1)
            self.assertEqual(reasons, (REFUSED_FILTER[version], 1, 1))
            for topic in ("public", "devices/b/telemetry", "devices/b/events/x",
                          "devices/a/events/marker"):
                await world.publish(topic, b"{}", qos=1).acknowledged()
            seen = [(await client.next_message()).topic for _ in range(2)]
            self.assertEqual(seen + [m.topic for m in client.messages],
                             ["devices/a/events/marker"] * 2)
            await client.disconnect()
        for topic in ("public", "devices/b/events/old"):
            await world.publish(topic, b"", qos=1, retain=True).acknowledged()
        await world.disconnect()

    async def test_a_will_on_a_foreign_topic_is_refused_at_connect(self):
        for version in VERSIONS:
            for topic in ("devices/b/events/bye", "devices/a/presence", "public",
                          "devices/a/commands/1/request"):
                reason = await self.refused_reason(
                    a, version=version, will={"topic": topic, "payload": b"{}", "qos": 1})
                self.assertEqual(reason, REFUSED_CONNECT[version], topic)

    async def test_a_will_on_an_own_topic_is_published(self):
        spy = await connect_plain("spy of wills")
        await spy.subscribe("devices/a/events/#", qos=1)
        client = await connect_device(a, will={"topic": "devices/a/events/bye", "payload": b"{}",
                                               "qos": 1})
        client.abort()
        self.assertEqual((await spy.next_message()).topic, "devices/a/events/bye")
        await spy.disconnect()

    async def test_an_anonymous_client_called_like_a_device_forges_no_presence(self):
        client = mqtt.Client("a", username="device:a", password=b"a")
        await client.connect(HOST, server.ports["plain"])
        for topic in ("devices/a/presence", "devices/a/commands/1/request"):
            self.assertEqual(await client.publish(topic, b"{}", qos=1).acknowledged(),
                             NOT_AUTHORIZED, topic)
        await client.disconnect()


class Sessions(Wire):
    async def three(self, version, **options):
        """The same client id under two certificates and without one."""
        options.update(version=version, clean=False)
        return [await connect_device(a, client_id="shared", **options),
                await connect_device(b, client_id="shared", **options),
                await connect_plain("shared", **options)]

    async def test_the_same_client_id_is_a_session_of_each_owner(self):
        for version in VERSIONS:
            clients = await self.three(version)
            self.assertTrue(all(c.connected for c in clients))
            for client, topic in zip(clients, ("devices/a/#", "devices/b/#", "c/#")):
                await client.subscribe(topic, qos=1)
            for client in clients:
                await client.disconnect()
            sender = await connect_plain("sender")
            for topic in ("devices/b/events/x", "c/x", "devices/a/events/x"):
                await sender.publish(topic, b"{}", qos=1).acknowledged()
            await sender.disconnect()
            owners = {c["owner"] for c in server.pages("/api/v1/clients")
                      if c["clientId"] == "shared"}
            self.assertEqual(owners, {"device:a", "device:b", "domain:plain"})
            back = await self.three(version)
            for client, topic in zip(back, ("devices/a/events/x", "devices/b/events/x", "c/x")):
                self.assertTrue(client.connect_packet.session_present)
                self.assertEqual((await client.next_message()).topic, topic)
            self.assertTrue(all(c.connected for c in back))
            self.assertEqual([c.messages for c in back], [[], [], []])
            for client in back:
                await client.disconnect()
            await self.forget(version)

    async def forget(self, version):
        for device in (a, b):
            await (await connect_device(device, client_id="shared", version=version)).disconnect()
        await (await connect_plain("shared", version=version)).disconnect()

    async def test_only_the_same_owner_takes_over(self):
        first = await connect_device(a, client_id="same")
        stranger = await connect_plain("same")
        other = await connect_device(b, client_id="same")
        second = await connect_device(a, client_id="same")
        self.assertEqual(await first.wait_lost(), TAKEN_OVER)
        self.assertTrue(stranger.connected and other.connected and second.connected)
        for client in (stranger, other, second):
            await client.disconnect()

    async def test_a_session_does_not_carry_an_open_listener_s_rights_to_another(self):
        for topic_filter in ("#", "$share/g/#"):
            client = await connect_device(a, "open-tls", client_id="mover", clean=False,
                                          session_expiry=3600)
            await client.subscribe(topic_filter, qos=1)
            await client.disconnect()
            client = await connect_device(a, client_id="mover", clean=False, session_expiry=3600)
            sender = await connect_plain("sender")
            await sender.publish("secret", b"secret", qos=1).acknowledged()
            await client.subscribe("devices/a/#")
            await sender.publish("devices/a/events/marker", b"{}", qos=1).acknowledged()
            self.assertEqual((await client.next_message()).topic, "devices/a/events/marker",
                             f"after {topic_filter} on an open listener")
            await client.disconnect()
            await sender.disconnect()
            await (await connect_device(a, client_id="mover", clean=True)).disconnect()


class Enrolment(Wire):
    def refused(self, request, device):
        with self.assertRaises(pki.EnrolmentRefused) as caught:
            pki.enrol(server, request, device.self_signed_context())
        self.assertEqual(caught.exception.content_type, "application/problem+json")
        return caught.exception.status, caught.exception.code

    async def test_an_unregistered_key_is_refused(self):
        stranger = pki.Device(server, "stranger")
        self.assertEqual(self.refused(pki.make_request(stranger.key), stranger),
                         (403, "not_in_registry"))

    async def test_an_unregistered_key_is_refused_under_the_name_of_a_device_too(self):
        stranger = pki.Device(server, "thief")
        self.assertEqual(self.refused(pki.make_request(stranger.key, "a"), stranger),
                         (403, "not_in_registry"))

    async def test_a_request_for_another_key_than_the_shown_one_is_refused(self):
        self.assertEqual(self.refused(pki.make_request(b.key, "b"), a), (403, "key_mismatch"))

    async def test_a_request_whose_signature_is_not_of_its_key_is_refused(self):
        request = bytearray(pki.make_request(a.key, "a").public_bytes(pki.DER))
        request[-1] ^= 1
        body = base64.encodebytes(bytes(request))
        self.assertEqual(self.refused(body, a), (400, "bad_csr_signature"))

    async def test_names_in_a_request_count_for_nothing(self):
        uri = x509.UniformResourceIdentifier("urn:skerry:device:b")
        request = (x509.CertificateSigningRequestBuilder().subject_name(pki.name_of("b"))
                   .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=3), critical=True)
                   .sign(a.key, hashes.SHA256()))
        issued = pki.enrol(server, request, a.self_signed_context())[0]
        names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.UniformResourceIdentifier),
                         ["urn:skerry:device:a"])
        constraints = issued.extensions.get_extension_for_class(x509.BasicConstraints)
        self.assertFalse(constraints.value.ca)
        self.assertGreaterEqual(issued.serial_number.bit_length(), 64)


class Certificates(Wire):
    def device_ca(self):
        """The gateway's own, as a thief of the data directory or a mistake of ours would use it."""
        stem = server.data_dir / "ca" / "device-ca"
        certificate = x509.load_pem_x509_certificate(stem.with_suffix(".crt").read_bytes())
        key = serialization.load_pem_private_key(stem.with_suffix(".key").read_bytes(), None)
        return certificate, key

    def disguised(self, name, issuer=None, issuer_key=None, **options):
        """A device whose certificate says that it is `a`."""
        device = pki.Device(server, name)
        certificate = pki.make_certificate(device.key, "a", issuer, issuer_key, device_id="a",
                                           **options)
        device.certificate_file.write_bytes(certificate.public_bytes(pki.PEM))
        return device

    async def assert_no_way_in(self, context, what):
        """Neither TLS nor CONNECT succeeds."""
        client = mqtt.Client("intruder")
        with self.assertRaises((mqtt.Refused, mqtt.Lost, OSError), msg=what):
            await client.connect(HOST, server.ports["devices"], tls=context)

    async def test_other_certificates_are_refused_by_both_versions_of_tls(self):
        issuer_key = pki.make_key()
        issuer = pki.make_certificate(issuer_key, "device CA", is_ca=True)
        own, own_key = self.device_ca()
        look_alike = pki.make_certificate(issuer_key, own.subject.rfc4514_string()[3:], is_ca=True)
        cases = {
            "self-signed": self.disguised("self-signed"),
            "of another authority": self.disguised("other-ca", issuer, issuer_key),
            "of an authority of the same name": self.disguised("like-ca", look_alike, issuer_key),
            "expired": self.disguised("expired", own, own_key, age_days=2),
            "not yet valid": self.disguised("early", own, own_key, age_days=-2),
            "well signed and never recorded": self.disguised("unrecorded", own, own_key),
        }
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertTrue((await self.come_in(a, version)).connected)
            for what, device in cases.items():
                context = device.context(minimum=version, maximum=version)
                await self.assert_no_way_in(context, f"{what}, {version.name}")
            bare = server.server_context()
            bare.minimum_version = bare.maximum_version = version
            await self.assert_no_way_in(bare, f"none, {version.name}")
        healthy = await connect_device(b)
        self.assertEqual(await healthy.publish("devices/b/events/x", b"{}", qos=1).acknowledged(),
                         0)
        await healthy.disconnect()

    async def come_in(self, device, version):
        client = mqtt.Client(device.id)
        await client.connect(HOST, server.ports["devices"],
                             tls=device.context(minimum=version, maximum=version))
        return client

    async def test_old_versions_of_tls_are_refused(self):
        context = a.context()
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        await self.assert_no_way_in(context, "TLS 1.1")


class TlsSession:
    """A blocking client that keeps its TLS session for resumption."""

    def __init__(self, context, session=None):
        self.socket = context.wrap_socket(
            socket.create_connection((HOST, server.ports["devices"]), timeout=30),
            server_hostname="localhost", session=session)

    def connack(self):
        """Its reason; None if the server closes without one."""
        frames = codec.Frames()
        try:
            self.socket.sendall(codec.connect("resumer"))
            while True:
                data = self.socket.recv(4096)
                if not data:
                    return None
                for first, body in frames.feed(data):
                    return codec.decode(first, body, 5).reason
        except OSError:
            return None

    def close(self):
        self.socket.close()


class Deletion(Wire):
    def resume(self, context, session=None):
        """(reason of CONNACK, whether TLS was resumed, session for the next)."""
        client = TlsSession(context, session)
        try:
            reason = client.connack()
            return reason, client.socket.session_reused, client.socket.session
        finally:
            client.close()

    async def test_deleting_a_device_ends_its_live_session_and_its_certificate(self):
        device = pki.Device.enrolled(server, "doomed")
        spy = await connect_plain("spy of the doomed")
        await spy.subscribe("devices/doomed/#", qos=1)
        will = {"topic": "devices/doomed/events/bye", "payload": b"{}", "qos": 1}
        client = await connect_device(device, clean=False, will=will)
        second = await connect_device(device, client_id="second", version=4)
        await asyncio.to_thread(server.rest, "DELETE", "/api/v1/devices/doomed")
        # The answer comes when the sessions have ended; what remains is to hear of it.
        begin = time.monotonic()
        self.assertEqual(await client.wait_lost(), ADMINISTRATIVE_ACTION)
        await second.wait_lost()
        self.assertLess(time.monotonic() - begin, 1.0)
        for version in VERSIONS:
            with self.assertRaises((mqtt.Refused, mqtt.Lost, OSError)):
                await connect_device(device, version=version)
        # Neither its will nor anything else came after the end of its rights.
        spy.publish("devices/doomed/events/marker", b"{}", qos=1)
        self.assertEqual((await spy.next_message()).topic, "devices/doomed/events/marker")
        await spy.disconnect()

    async def test_a_resumed_tls_session_does_not_outlive_the_device(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            name = f"resumer-{version.name}"
            device = pki.Device.enrolled(server, name)
            context = device.context(minimum=version, maximum=version)
            reason, _, session = await asyncio.to_thread(self.resume, context)
            self.assertEqual(reason, 0)
            reason, reused, session = await asyncio.to_thread(self.resume, context, session)
            print(f"{version.name}: TLS resumed: {reused}")
            self.assertEqual((reason, reused), (0, True))
            await asyncio.to_thread(server.rest, "DELETE", f"/api/v1/devices/{name}")
            try:
                reason, _, _ = await asyncio.to_thread(self.resume, context, session)
            except OSError:
                reason = None
            self.assertTrue(reason is None or reason >= 0x80, reason)

    async def test_a_new_device_of_the_same_id_inherits_nothing(self):
        old = pki.Device.enrolled(server, "phoenix")
        client = await connect_device(old, clean=False)
        await client.subscribe("devices/phoenix/#", qos=1)
        await client.disconnect()
        sender = await connect_plain("sender to the phoenix")
        await sender.publish("devices/phoenix/events/old", b"{}", qos=1).acknowledged()
        await asyncio.to_thread(server.rest, "DELETE", "/api/v1/devices/phoenix")
        # The same key again: the certificate of the life before stays revoked.
        pki.Device(server, "phoenix", key=old.key).register()
        with self.assertRaises((mqtt.Refused, mqtt.Lost, OSError)):
            await connect_device(old)
        old.enrol()
        client = await connect_device(old, clean=False)
        self.assertFalse(client.connect_packet.session_present)
        await client.subscribe("devices/phoenix/#", qos=1)
        await sender.publish("devices/phoenix/events/new", b"{}", qos=1).acknowledged()
        self.assertEqual((await client.next_message()).topic, "devices/phoenix/events/new")
        await client.disconnect()
        await sender.disconnect()

    async def test_a_deleted_device_stays_deleted_after_a_restart(self):
        device = pki.Device.enrolled(server, "gone")
        server.rest("DELETE", "/api/v1/devices/gone")
        server.kill9()
        server.start()
        with self.assertRaises((mqtt.Refused, mqtt.Lost, OSError)):
            await connect_device(device)
        self.assertTrue((await connect_device(a)).connected)


if __name__ == "__main__":
    unittest.main(verbosity=2)
