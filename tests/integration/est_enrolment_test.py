#!/usr/bin/env python3
"""Enrolment, renewal, tokens and approval, with nothing but curl and openssl on the device's side."""
import base64
import concurrent.futures
import pathlib
import re
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import est  # noqa: E402
from est import KEYS, WEAK_KEYS, Case, Device, act, curl, make_token, openssl  # noqa: E402
from server import RestError, Server  # noqa: E402

server = brief = None


def setUpModule():
    global server, brief
    server, brief = est.start()


def tearDownModule():
    est.stop()


class ByHand(Case):
    """Each way of design.md with curl and openssl alone."""

    def test_cacerts_and_csrattrs(self):
        answer = curl(server, "/.well-known/est/cacerts")
        self.assertEqual(answer.headers["content-type"], "application/pkcs7-mime")
        names = openssl("pkcs7", "-inform", "DER", "-print_certs",
                        data=base64.b64decode(answer.body)).decode()
        for name in ("Skerry Root CA", "Skerry Device CA", "Skerry Server CA"):
            self.assertIn(name, names)
        answer = curl(server, "/.well-known/est/csrattrs")
        self.assertEqual(answer.headers["content-type"], "application/csrattrs")
        shown = openssl("asn1parse", "-inform", "DER", data=base64.b64decode(answer.body)).decode()
        for name in ("id-ecPublicKey", "prime256v1", "secp384r1", "ED25519", "rsaEncryption"):
            self.assertIn(name, shown)

    async def test_each_kind_of_key_enrols_renews_and_connects(self):
        for kind in KEYS:
            with self.subTest(kind):
                device = Device(key=kind).enrolled()
                first = device.certificate
                self.assertEqual(device.renew().status, 200)
                self.assertNotEqual(device.certificate, first)
                client = await device.connect()
                await client.disconnect()

    def test_weak_keys_are_refused_even_when_registered(self):
        for kind in WEAK_KEYS:
            with self.subTest(kind):
                device = Device(key=kind).register()
                self.refused(device.enrol(arguments=[]), 400, "key_not_accepted")
        weak = Device().register()
        self.refused(weak.enrol(weak.request("-sha1")), 400, "key_not_accepted")

    def test_the_profile_of_a_certificate(self):
        text = Device().enrolled().text("-text")
        self.assertRegex(text, r"X509v3 Basic Constraints: critical\s+CA:FALSE")
        self.assertRegex(text, r"X509v3 Key Usage: critical\s+Digital Signature\n")
        self.assertRegex(text, r"X509v3 Extended Key Usage:\s+TLS Web Client Authentication\n")
        self.assertRegex(text, r"Subject Alternative Name:\s+URI:urn:skerry:device:d\d+\n")
        self.assertIn("URI:http://gateway.example/crl/device.crl", text)
        for extension in ("Subject Key Identifier", "Authority Key Identifier"):
            self.assertIn(extension, text)
        serial = re.search(r"Serial Number:\s+([0-9a-f:]+)", text)[1]
        self.assertGreaterEqual(len(serial.replace(":", "")), 24)

    def test_a_renewal_with_a_new_key_ends_the_old_one_after_the_overlap(self):
        device = Device().enrolled()
        old_key, old_certificate = device.key, device.certificate
        fresh = Device(device_id=device.id)
        body = fresh.request(subject=f"/CN={device.id}/O=Skerry")
        self.assertEqual(device.renew(body).status, 200)
        keys = server.rest("GET", f"/api/v1/devices/{device.id}")["keys"]
        self.assertEqual({key["fingerprint"] for key in keys},
                         {device.fingerprint, fresh.fingerprint})
        fresh.certificate = device.certificate
        self.assertEqual(fresh.renew().status, 200)
        old = ["--cert", old_certificate, "--key", old_key]
        ended = self.until(lambda: device.renew(arguments=old), lambda answer: answer.status != 200)
        self.refused(ended, 403, "certificate_superseded")
        self.refused(device.enrol(), 403, "key_expired")
        self.assertEqual(fresh.renew().status, 200)

    def test_too_early_and_other_names(self):
        device = Device()
        device.gateway = brief
        brief.rest("POST", "/api/v1/devices",
                   {"id": device.id, "keys": [{"fingerprint": device.fingerprint}]})
        self.assertEqual(device.enrol().status, 200)
        early = device.renew()
        self.refused(early, 403, "too_early")
        self.assertIn(int(early.headers["retry-after"]), (1, 2, 3))
        other = self.until(lambda: device.renew(device.request(subject="/CN=other")),
                           lambda answer: answer.code != "too_early")
        self.refused(other, 400, "names_differ")
        self.refused(device.renew(device.request("-addext", "subjectAltName=DNS:gateway")), 400,
                     "names_differ")
        self.assertEqual(device.renew(device.request(
            "-addext", f"subjectAltName=URI:urn:skerry:device:{device.id}",
            subject=f"/CN={device.id}/O=Skerry")).status, 200)

    def test_a_renewal_is_repeated_three_times_and_not_more(self):
        with Server(overrides={"identity": {"device_certificate_life": "400s",
                                            "renew_after": "1%"}}) as gateway:
            device = Device(gateway).enrolled()
            current = device.shown()
            self.until(lambda: device.renew(arguments=current),
                       lambda answer: answer.status == 200)
            for _ in range(2):
                self.assertEqual(device.renew(arguments=current).status, 200)
            refused = device.renew(arguments=current)
            self.refused(refused, 403, "too_early")
            self.assertIn(int(refused.headers["retry-after"]), range(1, 21))

    def test_a_token_adds_no_key_to_a_suspended_device(self):
        device = Device().enrolled()
        token = make_token(server, deviceId=device.id)
        act(server, device.id, "suspend")
        fresh = Device(device_id=device.id)
        by_token = ["--user", f"{device.id}:{token['token']}"]
        self.refused(fresh.enrol(arguments=by_token), 403, "device_suspended")
        keys = server.rest("GET", f"/api/v1/devices/{device.id}")["keys"]
        self.assertEqual([key["fingerprint"] for key in keys], [device.fingerprint])
        self.assertEqual(server.rest("GET", f"/api/v1/enrolment-tokens/{token['id']}")["uses"], 0)
        act(server, device.id, "resume")
        self.assertEqual(fresh.enrol(arguments=by_token).status, 200)

    async def test_an_expired_certificate_is_renewed_within_the_grace(self):
        device = Device(brief).enrolled()
        self.until(lambda: openssl("x509", "-in", device.certificate, "-noout", "-checkend", "0",
                                   check=False)[0], lambda code: code == 1)
        self.assertEqual(await self.connect_refused_or_lost(device), "refused")
        self.assertEqual(device.renew().status, 200)
        client = await device.connect()
        await client.disconnect()

    def test_a_token_lets_an_unknown_key_in_once(self):
        device, other = Device(), Device()
        token = make_token(server, deviceId=device.id, expiresIn=60)
        self.assertEqual(token["uses"], 0)
        self.assertNotIn("token", server.rest("GET", f"/api/v1/enrolment-tokens/{token['id']}"))
        answer = device.enrol(arguments=["--user", f":{token['token']}"])
        self.assertEqual(answer.status, 200, answer)
        self.assertIn(f"urn:skerry:device:{device.id}", device.text("-text"))
        answer = other.enrol(arguments=["--user", f"{device.id}:{token['token']}"])
        self.refused(answer, 401, "wrong_token")
        self.assertTrue(answer.headers["www-authenticate"].startswith("Basic"))
        shown = server.rest("GET", f"/api/v1/enrolment-tokens/{token['id']}")
        self.assertEqual((shown["uses"], shown["usable"], shown["lastDeviceId"]),
                         (1, False, device.id))
        server.rest("DELETE", f"/api/v1/enrolment-tokens/{token['id']}")
        with self.assertRaises(RestError) as caught:
            server.rest("GET", f"/api/v1/enrolment-tokens/{token['id']}")
        self.assertEqual(caught.exception.code, "enrolment_token_not_found")

    def test_a_token_for_many_makes_devices_of_its_template(self):
        token = make_token(server, model="pi4", tags=["lab"], maxUses=2)
        for _ in range(2):
            device = Device()
            answer = device.enrol(arguments=["--user", f"{device.id}:{token['token']}"])
            self.assertEqual(answer.status, 200, answer)
        known = Device().register()
        answer = Device().enrol(arguments=["--user", f"{known.id}:{token['token']}"])
        self.refused(answer, 401, "wrong_token")

    def test_approval(self):
        device = Device(brief)
        body = device.request(subject=f"/CN={device.id}")
        for _ in range(2):
            answer = device.enrol(body)
            self.assertEqual(answer.status, 202)
            self.assertGreater(int(answer.headers["retry-after"]), 0)
        shown = brief.rest("GET", f"/api/v1/devices/{device.id}")
        self.assertEqual(shown["state"], "pending")
        act(brief, device.id, "approve", {"fingerprint": device.fingerprint})
        self.assertEqual(device.enrol(body).status, 200)
        self.assertEqual(device.state, "enrolled")
        refused = Device(brief)
        body = refused.request(subject=f"/CN={refused.id}")
        self.assertEqual(refused.enrol(body).status, 202)
        act(brief, refused.id, "reject", {"fingerprint": refused.fingerprint})
        self.refused(refused.enrol(body), 403, "enrolment_rejected")


class Crash(Case):
    def test_a_token_is_used_once_over_kill_9(self):
        with Server() as gateway:
            won = 0
            token = make_token(gateway, maxUses=12)["token"]
            devices = [Device(gateway) for _ in range(24)]
            bodies = [device.request() for device in devices]

            def enrol(pair):
                device, body = pair
                try:
                    return device.post("simpleenroll", body, "--user",
                                       f"{device.id}:{token}").status == 200
                except RuntimeError:
                    return False  # the server was gone
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                jobs = [pool.submit(enrol, pair) for pair in zip(devices, bodies)]
                while sum(job.done() and job.result() for job in jobs) < 4:
                    time.sleep(0.005)
                gateway.kill9()
                won = sum(job.result() for job in jobs)
            gateway.start()
            uses = gateway.rest("GET", "/api/v1/enrolment-tokens")["items"][0]["uses"]
            registered = gateway.pages("/api/v1/devices")
            self.assertEqual(uses, len(registered))  # one commit: both or neither
            self.assertGreaterEqual(uses, won)
            for device, body in zip(devices, bodies):  # who was cut off comes again
                if any(each["id"] == device.id for each in registered):
                    self.assertEqual(device.post("simpleenroll", body).status, 200)


if __name__ == "__main__":
    unittest.main()
