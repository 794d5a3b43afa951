#!/usr/bin/env python3
"""Enrolment, renewal, tokens, approval, service certificates and the revocation list, with nothing
but curl and openssl on the device's side; and what threats to enrolment come to, over the wire.
The names threat_NN are those of docs/threats.md."""
import asyncio
import base64
import concurrent.futures
import json
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
import pki  # noqa: E402
from server import HOST, RestError, Server, wait_until  # noqa: E402

NOT_AUTHORIZED, BANNED = 0x87, 0x8A
KEYS = {"p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "ed25519": ["-algorithm", "ED25519"],
        "rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "rsa4096": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"]}
WEAK_KEYS = {"rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
             "rsa_e3": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                        "-pkeyopt", "rsa_keygen_pubexp:3"],
             "rsa4608": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4608"],
             "p521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
             "secp256k1": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
             "ed448": ["-algorithm", "ED448"]}

server = brief = None
work = None


def setUpModule():
    global server, brief, work
    work = pathlib.Path(tempfile.mkdtemp(prefix="skerry-est-"))
    server = Server(overrides={"identity": {
        "renew_after": "0%", "key_overlap": "2s",
        "crl_url": "http://gateway.example/crl/device.crl"}})
    # Certificates that are old in seconds, and humans who approve.
    brief = Server(overrides={"identity": {
        "device_certificate_life": "4s", "renew_grace": "1h",
        "enrolment": {"mode": "approval"}}})


def tearDownModule():
    for each in (server, brief):
        if each:
            each.close()
    shutil.rmtree(work, ignore_errors=True)


def openssl(*arguments, data=None, check=True):
    """What openssl prints, as bytes; with check=False (exit code, both outputs as text)."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True)
    if not check:
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode:
        raise RuntimeError(f"openssl {arguments}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class Answer:
    def __init__(self, text):
        head, _, self.body = text.partition(b"\r\n\r\n")
        while re.match(rb"HTTP/1.1 1\d\d", head):
            head, _, self.body = self.body.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in
                        (line.partition(": ") for line in lines[1:])}

    @property
    def code(self):
        return json.loads(self.body)["code"]

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:500]}"


def curl(gateway, path, *arguments, data=None):
    """One request to the enrolment port."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--include", "--max-time", "60",
         "--cacert", gateway.root_certificate, *map(str, arguments),
         f"https://localhost:{gateway.ports['enrolment']}{path}"],
        input=data, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"curl {path}: {done.stderr.decode()}")
    return Answer(done.stdout)


class Device:
    """A device as README describes it: files, openssl and curl."""
    count = 0

    def __init__(self, gateway=None, device_id=None, key="p256"):
        Device.count += 1
        self.gateway = gateway or server
        self.id = device_id or f"d{Device.count}"
        self.stem = work / f"{Device.count}"
        self.key = self.file("key")
        openssl("genpkey", *(KEYS | WEAK_KEYS)[key], "-out", self.key)
        self.certificate = None

    def file(self, kind):
        return self.stem.with_suffix("." + kind)

    @property
    def fingerprint(self):
        der = openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER")
        return openssl("dgst", "-sha256", "-r", data=der).split()[0].decode()

    def register(self):
        self.gateway.rest("POST", "/api/v1/devices",
                          {"id": self.id, "keys": [{"fingerprint": self.fingerprint}]})
        return self

    def request(self, *arguments, subject="", key=None):
        """A CSR in base64, as EST has it."""
        der = openssl("req", "-new", "-key", key or self.key, "-subj", subject or "/",
                      "-outform", "DER", *arguments)
        return base64.encodebytes(der)

    def self_signed(self):
        path = self.file("self.crt")
        if not path.exists():
            openssl("req", "-new", "-x509", "-key", self.key, "-subj", f"/CN={self.id}",
                    "-days", "1", "-out", path)
        return ["--cert", path, "--key", self.key]

    def shown(self):
        return ["--cert", self.certificate, "--key", self.key]

    def post(self, name, body, *arguments):
        return curl(self.gateway, f"/.well-known/est/{name}", "-H",
                    "Content-Type: application/pkcs10", "--data-binary", "@-", *arguments,
                    data=body)

    def enrol(self, body=None, arguments=None):
        answer = self.post("simpleenroll", self.request() if body is None else body,
                           *(self.self_signed() if arguments is None else arguments))
        return self.keep(answer)

    def renew(self, body=None, arguments=None):
        return self.keep(self.post("simplereenroll", body or self.request(),
                                   *(arguments or self.shown())))

    def keep(self, answer):
        if answer.status == 200:
            Device.count += 1
            self.certificate = self.stem.with_suffix(f".{Device.count}.crt")
            pem = openssl("pkcs7", "-inform", "DER", "-print_certs",
                          data=base64.b64decode(answer.body))
            self.certificate.write_bytes(pem)
        return answer

    def enrolled(self):
        answer = self.register().enrol()
        assert answer.status == 200, answer
        return self

    def text(self, *what):
        return openssl("x509", "-in", self.certificate, "-noout", *what).decode()

    @property
    def serial(self):
        return self.text("-serial").strip().partition("=")[2].lower()

    @property
    def state(self):
        return self.gateway.rest("GET", f"/api/v1/devices/{self.id}")["state"]

    def certificates(self):
        return [certificate["serial"] for key in
                self.gateway.rest("GET", f"/api/v1/devices/{self.id}")["keys"]
                for certificate in key["certificates"]]

    def context(self):
        return pki.client_context(self.gateway.root_certificate, self.certificate, self.key)

    async def connect(self, **options):
        client = mqtt.Client(self.id, **options)
        await client.connect(HOST, self.gateway.ports["devices"], tls=self.context())
        return client


def act(gateway, device_id, what, body=None):
    return gateway.rest("POST", f"/api/v1/devices/{device_id}:{what}", body)


def revoke(gateway, serial, reason=None):
    return gateway.rest("POST", f"/api/v1/certificates/{serial}:revoke",
                        {"reason": reason} if reason else None)


def make_token(gateway, **wish):
    return gateway.rest("POST", "/api/v1/enrolment-tokens", wish)


class Case(unittest.IsolatedAsyncioTestCase):
    def tearDown(self):
        if not self._outcome.success:
            print(server.tail(20), brief.tail(20), file=sys.stderr)

    def refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.code), (status, code), answer)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")

    async def connect_refused(self, device):
        with self.assertRaises(mqtt.Refused) as caught:
            await device.connect()
        return caught.exception.packet.reason


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
        time.sleep(2.2)
        old = ["--cert", old_certificate, "--key", old_key]
        self.refused(device.renew(arguments=old), 403, "certificate_superseded")
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
        time.sleep(2.8)
        self.refused(device.renew(device.request(subject="/CN=other")), 400, "names_differ")
        self.refused(device.renew(device.request("-addext", "subjectAltName=DNS:gateway")), 400,
                     "names_differ")
        self.assertEqual(device.renew(device.request(
            "-addext", f"subjectAltName=URI:urn:skerry:device:{device.id}",
            subject=f"/CN={device.id}/O=Skerry")).status, 200)

    async def test_an_expired_certificate_is_renewed_within_the_grace(self):
        device = Device(brief).enrolled()
        time.sleep(4.2)
        self.assertEqual(openssl("x509", "-in", device.certificate, "-noout", "-checkend", "0",
                                 check=False)[0], 1)
        self.assertEqual(await self.connect_refused_or_lost(device), "refused")
        self.assertEqual(device.renew().status, 200)
        client = await device.connect()
        await client.disconnect()

    async def connect_refused_or_lost(self, device):
        try:
            await device.connect()
        except (mqtt.Refused, mqtt.Lost, ssl.SSLError, ConnectionError):
            return "refused"
        return "let in"

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
        authorities, crl = work / "authorities.pem", work / "device.crl.pem"
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


class Threats(Case):
    def test_threat_01_an_unknown_key_gets_nothing(self):
        device = Device()
        answer = device.enrol()
        self.refused(answer, 403, "not_in_registry")
        self.assertIn(device.fingerprint.encode(), answer.body)
        with self.assertRaises(RestError):
            server.rest("GET", f"/api/v1/devices/{device.id}")

    def test_threat_02_a_known_key_asks_for_another_key(self):
        device, other = Device().register(), Device().register()
        self.refused(device.enrol(other.request()), 403, "key_mismatch")
        self.refused(device.enrol(Device().request()), 403, "key_mismatch")
        self.assertEqual((device.state, other.state), ("preauthorised", "preauthorised"))

    def test_threat_03_names_and_extensions_of_a_request_are_ignored(self):
        device, victim = Device().register(), Device().register()
        body = device.request(
            "-addext", f"subjectAltName=URI:urn:skerry:device:{victim.id},DNS:localhost",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
            "extendedKeyUsage=serverAuth,clientAuth", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign", subject=f"/CN={victim.id}/O=Evil")
        self.assertEqual(device.enrol(body).status, 200)
        text = device.text("-text")
        self.assertIn(f"Subject: CN = {device.id}, O = Skerry", text)
        for foreign in (f"device:{victim.id}\n", "DNS:", "CA:TRUE", "TLS Web Server",
                        "Certificate Sign", "Evil"):
            self.assertNotIn(foreign, text)

    def test_threat_04_a_request_with_a_bad_signature(self):
        device = Device().register()
        der = bytearray(base64.b64decode(device.request()))
        der[-1] ^= 1
        self.refused(device.enrol(base64.b64encode(bytes(der))), 400, "bad_csr_signature")
        self.assertEqual(device.state, "preauthorised")

    def test_threat_05_a_recorded_request_is_of_no_use_to_others(self):
        device, thief = Device().enrolled(), Device().register()
        recorded = device.request()
        self.refused(device.post("simpleenroll", recorded, *thief.self_signed()), 403,
                     "key_mismatch")
        before = device.certificates()
        codes = [device.post("simpleenroll", recorded).status for _ in range(20)]
        self.assertEqual(codes.count(200), 3)  # useless without the key, and few
        self.assertEqual(codes[3:], [403] * 17)
        self.assertEqual(device.certificates()[0], before[0])

    def test_threat_06_of_two_enrolments_at_once_one_wins(self):
        device = Device().register()
        body, shown = device.request(), device.self_signed()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: device.post("simpleenroll", body, *shown), range(8)))
        won = [answer for answer in answers if answer.status == 200]
        self.assertGreaterEqual(len(won), 1)  # those that did not meet may win one after the other
        self.assertEqual(len(device.certificates()), len(won))
        for answer in answers:
            if answer.status != 200:
                self.refused(answer, 409, "enrolment_in_progress")
        token = make_token(server, maxUses=1)["token"]
        devices = [Device() for _ in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda each: each.enrol(
                arguments=["--user", f"{each.id}:{token}"]), devices))
        self.assertEqual(sorted(answer.status for answer in answers), [200] + [401] * 7)
        device_id = Device().id + "x"
        token = make_token(server, maxUses=8)["token"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda each: each.enrol(
                arguments=["--user", f"{device_id}:{token}"]), [Device() for _ in range(8)]))
        self.assertEqual([answer.status for answer in answers].count(200), 1)
        self.assertEqual(len(server.rest("GET", f"/api/v1/devices/{device_id}")["keys"]), 1)

    def test_threat_07_no_enrolment_after_the_end(self):
        device = Device().register()
        act(server, device.id, "suspend")
        self.refused(device.enrol(), 403, "device_suspended")
        act(server, device.id, "resume")
        self.assertEqual(device.enrol().status, 200)
        act(server, device.id, "suspend")
        self.refused(device.renew(), 403, "device_suspended")
        act(server, device.id, "resume")
        act(server, device.id, "retire")
        self.refused(device.enrol(), 403, "device_retired")
        self.assertIn(device.renew().code, ("device_retired", "certificate_revoked"))
        ended = Device()
        server.rest("POST", "/api/v1/devices", {
            "id": ended.id, "keys": [{"fingerprint": ended.fingerprint}],
            "notAfter": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))})
        self.assertEqual(ended.enrol().status, 200)
        time.sleep(2.2)
        self.refused(ended.enrol(), 403, "device_expired")
        self.refused(ended.renew(), 403, "device_expired")

    def test_threat_08_ids_that_are_none(self):
        token = make_token(server, maxUses=100)["token"]
        for name in ("a/b", "a+b", "#", "$SYS", "a b", "", "..", "sub", "dévice", "d\u0435vice",
                     "a" * 65):
            with self.subTest(name):
                answer = Device().enrol(arguments=["--user", f"{name}:{token}"])
                self.refused(answer, 400, "invalid_device_id")
                with self.assertRaises(RestError) as caught:
                    server.rest("POST", "/api/v1/devices",
                                {"id": name, "keys": [{"fingerprint": "0" * 64}]})
                self.assertEqual(caught.exception.status, 422)
        # A header that long is the server's to refuse before anybody looks at it.
        long = base64.b64encode(b"a" * 65536 + b":x").decode()
        config = work / "long.curl"
        config.write_text(f'header = "Authorization: Basic {long}"\n')
        answer = curl(server, "/.well-known/est/simpleenroll", "--config", config, "-X", "POST",
                      "--data-binary", "@-", data=Device().request())
        self.assertEqual(answer.status, 431)
        nul = base64.b64encode(b"a\0b:" + token.encode()).decode()
        answer = Device().post("simpleenroll", Device().request(), "-H",
                               f"Authorization: Basic {nul}")
        self.refused(answer, 400, "invalid_device_id")
        # What a pending device calls itself is its wish: an id that is none is not taken over.
        strange = Device(brief)
        self.assertEqual(strange.enrol(strange.request(subject="/CN=..\\/\\+#$")).status, 202)
        pending = brief.pages("/api/v1/devices?state=pending")
        mine = [each for each in pending
                if each["keys"][0]["fingerprint"] == strange.fingerprint]
        self.assertRegex(mine[0]["id"], r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$")

    async def test_threat_17_the_server_certificate_is_no_client(self):
        device = Device()
        device.certificate = pathlib.Path(server.data_dir) / "ca" / "server.crt"
        device.key = pathlib.Path(server.data_dir) / "ca" / "server.key"
        self.refused(device.renew(), 403, "certificate_not_ours")
        self.refused(device.enrol(arguments=device.shown()), 403, "not_in_registry")
        self.assertEqual(await ByHand.connect_refused_or_lost(self, device), "refused")

    async def test_threat_18_a_revoked_certificate_is_out_everywhere(self):
        device = Device().enrolled()
        client = await device.connect()
        begun = time.monotonic()
        revoke(server, device.serial)
        await client.wait_lost(5)
        self.assertLess(time.monotonic() - begun, 1.0)
        self.assertEqual(await self.connect_refused(device), BANNED)
        self.refused(device.renew(), 403, "certificate_revoked")

    def test_threat_20_neither_revoked_nor_superseded_is_renewed(self):
        device = Device().enrolled()
        first = device.shown()
        self.assertEqual(device.renew().status, 200)
        revoke(server, device.serial, "superseded")
        self.refused(device.renew(), 403, "certificate_revoked")
        self.assertEqual(device.renew(arguments=first).status, 200)  # this one still counts
        compromised = Device().enrolled()
        revoke(server, compromised.serial, "keyCompromise")
        self.refused(compromised.renew(), 403, "certificate_revoked")
        self.refused(compromised.enrol(), 403, "not_in_registry")
        # Superseded by more certificates of the same key than a key may have.
        crowded = Device().enrolled()
        oldest = crowded.shown()
        for _ in range(16):
            self.assertEqual(crowded.renew().status, 200)
        self.refused(crowded.renew(arguments=oldest), 403, "certificate_revoked")

    def test_threat_21_bodies_of_every_bad_kind(self):
        device = Device().register()
        body = device.request()
        der = base64.b64decode(body)
        for bad in (b"", b"!", body[:-10], body[:100], b"A" * 60_000, base64.b64encode(der[:-3]),
                    base64.b64encode(der + b"x"), base64.b64encode(b"\x30\x84\xff\xff\xff\xff"),
                    base64.b64encode(b"\x30\x80" * 10_000), b"\0" * 1000, der,
                    b"-----BEGIN CERTIFICATE REQUEST-----\n" + body):
            self.refused(device.enrol(bad), 400, "malformed_csr")
        self.assertEqual(device.enrol(b"A" * 10_000_000).status, 413)
        # Cut at the cap; more than this curl would still be sending when the answer comes.
        answer = device.enrol(b"A" * 100_000,
                              [*device.self_signed(), "-H", "Transfer-Encoding: chunked"])
        self.assertEqual(answer.status, 413)
        self.assertEqual(device.enrol(body, [*device.self_signed(), "-H",
                                             "Transfer-Encoding: chunked"]).status, 200)
        answer = device.post("simpleenroll", body, "-H", "Content-Type: application/json")
        self.refused(answer, 415, "unsupported_media_type")

    def test_threat_21_a_slow_sender_is_cut_off_and_holds_nobody_up(self):
        context = server.server_context()
        slow = []
        for _ in range(20):
            raw = socket.create_connection((HOST, server.ports["enrolment"]), 10)
            secure = context.wrap_socket(raw, server_hostname="localhost")
            secure.sendall(b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\n"
                           b"Content-Type: application/pkcs10\r\nContent-Length: 1000\r\n\r\nAAAA")
            slow.append(secure)
        begun = time.monotonic()
        Device().enrolled()
        self.assertLess(time.monotonic() - begun, 5)
        slow[0].settimeout(60)
        try:
            self.assertIn(slow[0].recv(4096)[:12], (b"", b"HTTP/1.1 408"))
        except (ssl.SSLError, ConnectionError):
            pass
        self.assertLess(time.monotonic() - begun, 45)
        for each in slow:
            each.close()

    def test_threat_22_a_flood_is_slowed_down_and_tells_nothing(self):
        with Server() as flooded:
            registered, unknown = Device(flooded).register(), Device(flooded)
            # Without the key nobody learns whether it is registered: the same words for both.
            said = []
            for device in (registered, unknown):
                der = bytearray(base64.b64decode(device.request()))
                der[-1] ^= 1
                answer = device.post("simpleenroll", base64.b64encode(bytes(der)))
                said.append((answer.status, re.sub(rb'"(requestId|instance)":"[^"]*"', b"",
                                                   answer.body)))
            self.assertEqual(said[0], said[1])
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                body, shown = unknown.request(), unknown.self_signed()
                answers = list(pool.map(lambda _: unknown.post("simpleenroll", body, *shown),
                                        range(400)))
            self.assertEqual({answer.status for answer in answers}, {403, 429})
            for answer in answers:
                if answer.status == 429:
                    self.assertGreater(int(answer.headers["retry-after"]), 0)
            # Others go on: here, after the wait that was named.
            wait_until(lambda: registered.enrol().status == 200, "the address is let in again", 30,
                       pause=0.5)

    def test_threat_22_wrong_tokens_are_counted(self):
        with Server() as flooded:
            device = Device(flooded)
            body = device.request()
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                codes = list(pool.map(lambda number: device.post(
                    "simpleenroll", body, "--user", f"x:ske_{number:043d}").status, range(400)))
            self.assertEqual(set(codes), {401, 429})

    async def test_threat_23_without_the_authority_key_devices_go_on(self):
        with Server() as gateway:
            device, late = Device(gateway).enrolled(), Device(gateway).register()
            key = pathlib.Path(gateway.data_dir) / "ca" / "device-ca.key"
            self.assertEqual(key.stat().st_mode & 0o777, 0o600)
            gateway.stop()
            key.rename(key.with_suffix(".away"))
            gateway.start()
            client = await device.connect()
            await client.publish(f"devices/{device.id}/telemetry", b'{"t":1}',
                                 qos=1).acknowledged()
            answer = late.enrol()
            self.refused(answer, 503, "authority_unavailable")
            self.assertGreater(int(answer.headers["retry-after"]), 0)
            self.assertFalse(gateway.rest("GET", "/api/v1/ca")["canSign"])
            self.assertEqual(curl(gateway, "/.well-known/est/cacerts").status, 200)
            self.assertEqual(curl(gateway, "/crl/device.crl").status, 200)
            key.with_suffix(".away").rename(key)
            self.assertEqual(late.enrol().status, 200)
            await client.disconnect()

    def test_threat_24_a_clock_that_is_behind_by_minutes_is_forgiven(self):
        device = Device().enrolled()
        begin = re.search(r"notBefore=(.*)", device.text("-startdate"))[1]
        age = time.time() - time.mktime(time.strptime(begin, "%b %d %H:%M:%S %Y %Z")) + time.timezone
        self.assertGreater(age, 4 * 60)
        self.assertLess(age, 6 * 60)


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
    unittest.main(verbosity=2)
