#!/usr/bin/env python3
"""What threats to enrolment come to, over the wire. The names threat_NN are those of
docs/threats.md."""
import base64
import concurrent.futures
import pathlib
import re
import socket
import ssl
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import est  # noqa: E402
from est import BANNED, Case, Device, act, curl, make_token, revoke  # noqa: E402
from server import HOST, RestError, Server, wait_until  # noqa: E402

server = brief = None


def setUpModule():
    global server, brief
    server, brief = est.start()


def tearDownModule():
    est.stop()


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
        self.refused(self.until(ended.enrol, lambda answer: answer.status != 200), 403,
                     "device_expired")
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
        config = est.work / "long.curl"
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
        self.assertEqual(await self.connect_refused_or_lost(device), "refused")

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


if __name__ == "__main__":
    unittest.main()
