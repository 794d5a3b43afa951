#!/usr/bin/env python3
"""What becomes of certificates: the revocation list, renewal over MQTT, those of services."""
import asyncio
import json
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import est  # noqa: E402
from est import BANNED, NOT_AUTHORIZED, Case, Device, curl, openssl, revoke  # noqa: E402
from server import RestError, wait_until  # noqa: E402

server = brief = None


def setUpModule():
    global server, brief
    server, brief = est.start()


def tearDownModule():
    est.stop()


class Revocation(Case):
    def crl(self, gateway=None):
        answer = curl(gateway or server, "/crl/device.crl")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "application/pkix-crl")
        return answer

    def listed(self, der):
        return openssl("crl", "-inform", "DER", "-noout", "-text", data=der).decode()

    def test_the_list_says_who_is_revoked_and_openssl_believes_it(self):
        good, bad = Device().enrolled(), Device().enrolled()
        before = self.crl()
        revoke(server, bad.serial, "keyCompromise")
        begun = time.monotonic()
        answer = wait_until(lambda: (lambda a: a if bad.serial.upper() in self.listed(a.body)
                                     else None)(self.crl()), "the serial is listed", 10)
        self.assertLess(time.monotonic() - begun, 1.5)  # a second, and curl and openssl
        text = self.listed(answer.body)
        self.assertIn("Version 2", text)
        self.assertRegex(text, r"X509v3 CRL Number:\s+\d+")
        self.assertIn("X509v3 Authority Key Identifier", text)
        self.assertRegex(text, rf"{bad.serial.upper()}[^S]*Revocation Date[^\n]*\n[^\n]*\n"
                               r"[^\n]*Reason Code:\s+Key Compromise")
        self.assertNotEqual(before.headers["etag"], answer.headers["etag"])
        same = curl(server, "/crl/device.crl", "-H", f"If-None-Match: {answer.headers['etag']}")
        self.assertEqual((same.status, same.body), (304, b""))
        authorities, crl = est.work / "authorities.pem", est.work / "device.crl.pem"
        chain = server.rest("GET", "/api/v1/ca")["chain"]
        authorities.write_text("".join(each["pem"] for each in chain))
        openssl("crl", "-inform", "DER", "-out", crl, data=answer.body)
        self.assertIn("verify OK", openssl("crl", "-in", crl, "-noout", "-CAfile", authorities,
                                           check=False)[1])
        for device, expected in ((good, 0), (bad, 2)):
            code, said = openssl("verify", "-crl_check", "-CAfile", authorities, "-CRLfile", crl,
                                 device.certificate, check=False)
            self.assertEqual(code, expected, said)
            self.assertEqual("certificate revoked" in said, expected == 2, said)
        status, headers, data = server.raw_rest("GET", "/api/v1/ca/crl", None,
                                                {"Authorization": "Bearer " + server.token})
        self.assertEqual((status, headers["ETag"], data),
                         (200, answer.headers["etag"], answer.body))

    def test_numbers_grow_over_kill_9(self):
        number = lambda: brief.rest("GET", "/api/v1/ca")["crl"]["number"]  # noqa: E731
        before = number()
        brief.kill9()
        brief.start()
        wait_until(lambda: number() > before, "a new list", 10)

    def test_the_authorities_are_described(self):
        shown = server.rest("GET", "/api/v1/ca")
        self.assertTrue(shown["canSign"])
        self.assertEqual([each["role"] for each in shown["chain"]], ["root", "device", "server"])
        for each in shown["chain"]:
            der = openssl("x509", "-outform", "DER", data=each["pem"].encode())
            digest = openssl("dgst", "-sha256", "-r", data=der).split()[0].decode()
            self.assertEqual(each["fingerprint"], digest)


class Mqtt(Case):
    async def renew(self, device, payload, version=5):
        client = await device.connect(version=version)
        answers = []
        client.on_message = lambda _client, packet: answers.append(packet)
        await client.subscribe(f"devices/{device.id}/certificate/renew/+", qos=1)
        await client.publish(f"devices/{device.id}/certificate/renew", payload, qos=1,
                             properties={"correlation_data": b"ticket"} if version == 5
                             else None).acknowledged()
        for _ in range(500):
            if answers:
                break
            await asyncio.sleep(0.01)
        await client.disconnect()
        self.assertEqual(len(answers), 1)
        if version == 5:
            self.assertEqual(answers[0].properties["correlation_data"], b"ticket")
        return answers[0]

    async def test_a_certificate_is_renewed_over_mqtt(self):
        for version in (4, 5):
            device = Device().enrolled()
            answer = await self.renew(device, device.request(), version)
            self.assertTrue(answer.topic.endswith("/accepted"), answer.payload)
            self.assertEqual(answer.payload.count(b"BEGIN CERTIFICATE"), 2)
            device.certificate = device.file("renewed.crt")
            device.certificate.write_bytes(answer.payload)
            client = await device.connect()
            await client.disconnect()
            self.assertEqual(len(device.certificates()), 2)

    async def test_a_bad_request_is_answered_with_a_code(self):
        device = Device().enrolled()
        answer = await self.renew(device, b"nonsense")
        self.assertTrue(answer.topic.endswith("/rejected"))
        self.assertEqual(json.loads(answer.payload)["code"], "malformed_csr")
        taken = Device().register()
        answer = await self.renew(device, taken.request())
        self.assertEqual(json.loads(answer.payload)["code"], "key_in_use")

    async def test_nobody_asks_for_another_device(self):
        device, other = Device().enrolled(), Device().enrolled()
        client = await device.connect()
        outcome = await client.publish(f"devices/{other.id}/certificate/renew", other.request(),
                                       qos=1).acknowledged()
        self.assertEqual(outcome, NOT_AUTHORIZED)
        await client.disconnect()
        self.assertEqual(len(other.certificates()), 1)


class Services(Case):
    def service(self, policy, name=None):
        made = Device(device_id=name)
        server.rest("POST", "/api/v1/services", {"name": made.id, "policy": policy})
        issued = server.rest("POST", f"/api/v1/services/{made.id}/certificates",
                             {"csr": openssl("req", "-new", "-key", made.key,
                                             "-subj", "/").decode()})
        made.certificate = made.file("crt")
        made.certificate.write_text(issued["certificate"] + issued["chain"])
        self.assertIn(f"URI:urn:skerry:service:{made.id}", made.text("-text"))
        self.assertEqual(made.serial, issued["serial"])
        return made

    async def test_services_read_and_write_by_their_policy(self):
        device = Device().enrolled()
        reader, writer = self.service("service-read"), self.service("service-write")
        reading, writing = await reader.connect(), await writer.connect()
        got = []
        reading.on_message = lambda _client, packet: got.append(packet.payload)
        await reading.subscribe("devices/+/telemetry", qos=1)
        client = await device.connect()
        await client.publish(f"devices/{device.id}/telemetry", b'{"t":1}', qos=1).acknowledged()
        topic = f"devices/{device.id}/commands/1/request"
        self.assertEqual(await reading.publish(topic, b"{}", qos=1).acknowledged(), NOT_AUTHORIZED)
        self.assertIn(await writing.publish(topic, b"{}", qos=1).acknowledged(), (0, 0x10))
        for _ in range(500):
            if got:
                break
            await asyncio.sleep(0.01)
        self.assertEqual(got, [b'{"t":1}'])
        for each in (client, reading, writing):
            await each.disconnect()

    async def test_a_revoked_certificate_ends_the_session_and_stays_out(self):
        service = self.service("service-read")
        client = await service.connect()
        server.rest("DELETE", f"/api/v1/services/{service.id}/certificates/{service.serial}"
                              "?reason=superseded")
        await client.wait_lost(5)
        self.assertEqual(await self.connect_refused(service), BANNED)
        self.assertEqual(server.rest("GET", f"/api/v1/services/{service.id}")["certificates"], [])

    async def test_a_deleted_service_ends_the_session_and_stays_out(self):
        service = self.service("service-read")
        client = await service.connect()
        server.rest("DELETE", f"/api/v1/services/{service.id}")
        await client.wait_lost(5)
        self.assertEqual(await self.connect_refused(service), BANNED)
        server.rest("POST", "/api/v1/services", {"name": service.id, "policy": "service-write"})
        self.assertEqual(await self.connect_refused(service), BANNED)

    def test_bad_wishes_have_their_codes(self):
        for body, code in (({"name": "a/b", "policy": "service-read"}, "invalid_service_name"),
                           ({"name": "x", "policy": "root"}, "unknown_policy"),
                           ({"name": "x"}, "field_missing"),
                           ({"name": "x", "policy": "service-read", "z": 1}, "unknown_field")):
            with self.assertRaises(RestError) as caught:
                server.rest("POST", "/api/v1/services", body)
            self.assertEqual((caught.exception.status, caught.exception.code), (422, code))
        service = self.service("service-read")
        with self.assertRaises(RestError) as caught:
            server.rest("POST", "/api/v1/services", {"name": service.id, "policy": "service-read"})
        self.assertEqual(caught.exception.code, "service_exists")
        with self.assertRaises(RestError) as caught:
            server.rest("POST", f"/api/v1/services/{service.id}/certificates", {"csr": "x"})
        self.assertEqual(caught.exception.code, "malformed_csr")

    def test_a_service_certificate_enrols_and_renews_no_device(self):
        service = self.service("service-write")
        self.refused(service.renew(), 403, "certificate_not_ours")
        self.refused(service.enrol(arguments=service.shown()), 403, "not_in_registry")


if __name__ == "__main__":
    unittest.main()
