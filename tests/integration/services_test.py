#!/usr/bin/env python3
"""Services without certificates, tokens with scopes, named policies and the audit, over the wire:
who gets in by password and by token, what ends them, and that what is explained is what happens."""
import asyncio
import json
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
import pki  # noqa: E402
from jwt_issuer import Issuer  # noqa: E402
from server import HOST, RestError, Server, wait_until  # noqa: E402

BAD_PASSWORD = 0x86
NOT_AUTHORIZED = 0x87
ADMINISTRATIVE_ACTION = 0x98
TOO_FAST = 0x9F

POLICIES = """policies:
  lab:
    description: devices of the lab publish below their own site
    base: device
    rules:
      - name: no-secrets
        effect: deny
        actions: [publish, subscribe]
        topics: ["site/+/secret/#"]
      - name: own-site
        effect: allow
        actions: [publish, subscribe]
        topics: ["site/{attributes.site}/#"]
        when: {tags: [lab]}
  line:
    rules:
      - effect: allow
        actions: [publish, subscribe]
        topics: ["line/{service}/#"]
"""


server = None
issuers = {}
device = None


def setUpModule():
    global server, device
    server = Server(start=False, listeners=[
        {"name": "services", "transport": "tls", "authentication": ["password", "jwt"]},
        {"name": "lab", "transport": "tls", "authentication": ["certificate"], "policy": "lab"},
    ])
    configured = []
    for algorithm in ("RS256", "ES256", "EdDSA"):
        issuers[algorithm] = Issuer(algorithm)
        path = server.directory / f"{algorithm}.pem"
        path.write_bytes(issuers[algorithm].public_pem())
        configured.append({"name": algorithm.lower(), "issuer": issuers[algorithm].url,
                           "audience": "skerry", "keys": str(path), "leeway": "0ms"})
    (server.directory / "policies").mkdir()
    (server.directory / "policies" / "plant.yaml").write_text(POLICIES)
    server.configuration["authentication"] = {"issuers": configured}
    server.configuration["authorization"] = {
        "policy_files": [str(server.directory / "policies")]}
    server.start()
    device = pki.Device.enrolled(server, "pump-7")


def tearDownModule():
    server.close()


def audit(**query):
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return server.pages("/api/v1/audit?limit=500&" + text)


def verify():
    return server.rest("GET", "/api/v1/audit:verify")


class Wire(unittest.IsolatedAsyncioTestCase):
    def tearDown(self):
        if not self._outcome.success:
            print(server.tail(20), file=sys.stderr)

    async def connect(self, username, password, listener="services", **options):
        client = mqtt.Client(username=username, password=password, **options)
        await client.connect(HOST, server.ports[listener], tls=server.server_context())
        self.addAsyncCleanup(client.disconnect)
        return client

    async def refused(self, username, password, **options):
        with self.assertRaises(mqtt.Refused) as caught:
            await self.connect(username, password, **options)
        return caught.exception.packet.reason

    async def connect_device(self, listener="lab"):
        client = mqtt.Client(device.id)
        await client.connect(HOST, server.ports[listener], tls=device.context())
        self.addAsyncCleanup(client.disconnect)
        return client


def set_password(name, policy="service-read", **body):
    try:
        server.rest("POST", "/api/v1/services", {"name": name, "policy": policy})
    except RestError as error:
        if error.status != 409:
            raise
    return server.rest("PUT", f"/api/v1/services/{name}/password", body)


class Passwords(Wire):
    async def test_a_service_comes_in_by_password_and_reads_what_devices_say(self):
        password = set_password("historian")["password"]
        service = await self.connect("historian", password)
        await service.subscribe("devices/+/telemetry")
        sender = await self.connect_device("devices")
        await sender.publish("devices/pump-7/telemetry", '{"t":1}', qos=1).acknowledged()
        self.assertEqual((await service.next_message()).topic, "devices/pump-7/telemetry")
        refused = service.publish("devices/pump-7/commands/1/request", "{}", qos=1)
        self.assertEqual(await refused.acknowledged(), NOT_AUTHORIZED)
        clients = server.pages("/api/v1/clients")
        self.assertIn("service:historian", [client["owner"] for client in clients])

    async def test_another_password_ends_live_sessions_at_once(self):
        first = set_password("mover")["password"]
        service = await self.connect("mover", first)
        start = time.monotonic()
        second = set_password("mover")["password"]
        self.assertEqual(await service.wait_lost(5), NOT_AUTHORIZED)
        self.assertLess(time.monotonic() - start, 2)
        self.assertEqual(await self.refused("mover", first), BAD_PASSWORD)
        service = await self.connect("mover", second)
        server.rest("DELETE", "/api/v1/services/mover/password")
        self.assertEqual(await service.wait_lost(5), NOT_AUTHORIZED)
        self.assertEqual(await self.refused("mover", second), BAD_PASSWORD)

    async def test_a_service_that_goes_takes_its_password_along(self):
        password = set_password("gone")["password"]
        service = await self.connect("gone", password)
        server.rest("DELETE", "/api/v1/services/gone")
        self.assertIn(await service.wait_lost(5), (NOT_AUTHORIZED, ADMINISTRATIVE_ACTION))
        server.rest("POST", "/api/v1/services", {"name": "gone", "policy": "service-write"})
        self.assertEqual(await self.refused("gone", password), BAD_PASSWORD)

    async def test_a_named_policy_judges_a_service(self):
        password = set_password("press", policy="line")["password"]
        service = await self.connect("press", password)
        self.assertIn(await service.publish("line/press/x", "1", qos=1).acknowledged(), (0, 0x10))
        self.assertEqual(await service.publish("line/other/x", "1", qos=1).acknowledged(),
                         NOT_AUTHORIZED)

    async def test_guesses_are_limited_and_a_storm_of_reconnects_is_not(self):
        password = set_password("storm")["password"]
        start = time.monotonic()
        for _ in range(60):
            await self.connect("storm", password)
        self.assertLess(time.monotonic() - start, 30)
        reasons = [await self.refused("storm", f"guess-{number}") for number in range(12)]
        self.assertEqual(reasons[0], BAD_PASSWORD)
        self.assertIn(TOO_FAST, reasons)
        await self.connect("storm", password)  # known: not locked out by the guesses
        self.assertTrue(audit(action="connect", object="client:*"))


class Tokens(Wire):
    async def test_each_algorithm_lets_a_service_in(self):
        for issuer in issuers.values():
            service = await self.connect("jwt", issuer.token())
            await service.subscribe("devices/#")
            await service.disconnect()

    async def test_what_must_not_get_in_does_not(self):
        rs256, es256, eddsa = (issuers[name] for name in ("RS256", "ES256", "EdDSA"))
        stranger = Issuer("EdDSA")
        bad = {
            "expired": eddsa.token(exp=time.time() - 1),
            "without expiry": eddsa.token(exp=None),
            "not yet": eddsa.token(nbf=time.time() + 60),
            "from the future": eddsa.token(iat=time.time() + 60),
            "other audience": eddsa.token(aud="other"),
            "other issuer": eddsa.token(iss="https://evil.example"),
            "other key": stranger.token(iss=eddsa.url),
            "none": eddsa.token(header={"alg": "none"}, signature=b""),
            "hmac with the public key": rs256.token(header={"alg": "HS256"}),
            "confused": es256.token(header={"alg": "EdDSA"}, iss=eddsa.url),
            "no service": eddsa.token(sub="a/b"),
            "good for ten years": eddsa.token(exp=time.time() + 10 * 365 * 86400),
            "on the last day of ten years": eddsa.token(iat=time.time() - 10 * 365 * 86400),
            "critical": eddsa.token(header={"crit": ["exp"]}),
            "cut": eddsa.token()[:-4],
        }
        for what, token in bad.items():
            with self.subTest(what):
                self.assertIn(await self.refused("jwt", token), (NOT_AUTHORIZED, BAD_PASSWORD))

    async def test_whom_a_token_names_shares_no_session_with_a_registered_service(self):
        both = [await self.connect("jwt", issuers[name].token(sub="twofold"), client_id="same")
                for name in ("ES256", "EdDSA")]
        for service in both:  # nobody took the other's session over
            await service.subscribe("devices/+/telemetry")
        owners = {client["owner"] for client in server.pages("/api/v1/clients")
                  if client["clientId"] == "same"}
        self.assertEqual(owners, {"service:twofold@es256", "service:twofold@eddsa"})
        with self.assertRaises(RestError):  # no service is registered under such a name
            server.rest("POST", "/api/v1/services",
                        {"name": "twofold@es256", "policy": "service-read"})

    async def test_the_session_ends_with_the_token(self):
        service = await self.connect("jwt", issuers["ES256"].token(exp=time.time() + 2))
        self.assertEqual(await service.wait_lost(10), NOT_AUTHORIZED)

    async def test_old_clients_come_in_as_well(self):
        service = await self.connect("jwt", issuers["EdDSA"].token(), version=4)
        await service.subscribe("devices/#")


class Policies(Wire):
    def explain(self, action, topic, **more):
        return server.rest("POST", "/api/v1/policies:explain",
                           {"device": "pump-7", "listener": "lab", "action": action,
                            "topic": topic, **more})

    def set_device(self, **fields):
        body = json.dumps(fields)
        headers = {"Content-Type": "application/merge-patch+json",
                   "Authorization": "Bearer " + (server.token or server.log_in())}
        status, _, data = server.raw_rest("PATCH", "/api/v1/devices/pump-7", body, headers)
        self.assertEqual(status, 200, data)

    async def test_what_is_explained_is_what_happens(self):
        self.set_device(tags=["lab"], attributes={"site": "north"})
        client = await self.connect_device()
        for topic in ("site/north/x", "site/south/x", "site/north/secret/x", "devices/pump-7/presence",
                      "devices/pump-7/telemetry", "devices/other/telemetry", "$SYS/x", "site/north"):
            decision = self.explain("publish", topic)["decision"]
            reason = await client.publish(topic, '{"x":1}', qos=1).acknowledged()
            self.assertEqual(reason != NOT_AUTHORIZED, decision == "allow", topic)
        for topic in ("site/north/#", "site/north/x", "site/+/x", "#", "devices/pump-7/#",
                      "site/north/secret/#"):
            decision = self.explain("subscribe", topic)["decision"]
            reasons = await client.subscribe(topic)
            self.assertEqual(reasons[0] < 0x80, decision == "allow", topic)

    async def test_an_explanation_names_file_and_line(self):
        self.set_device(tags=["lab"], attributes={"site": "north"})
        told = self.explain("publish", "site/north/x")
        self.assertEqual(told["decision"], "allow")
        self.assertTrue(told["file"].endswith("plant.yaml"))
        self.assertEqual(POLICIES.splitlines()[told["line"] - 1].strip(), "- name: own-site")
        self.assertEqual(told["rules"][-1]["expansion"], "site/north/#")

    async def test_a_change_of_attributes_reaches_a_live_session(self):
        self.set_device(tags=["lab"], attributes={"site": "north"})
        client = await self.connect_device()
        await client.subscribe("site/north/#")
        self.set_device(attributes={"site": "south"})
        self.assertEqual(await client.wait_lost(5), NOT_AUTHORIZED)
        client = await self.connect_device()
        self.assertEqual(await client.publish("site/north/x", "1", qos=1).acknowledged(),
                         NOT_AUTHORIZED)
        self.assertNotEqual(await client.publish("site/south/x", "1", qos=1).acknowledged(),
                            NOT_AUTHORIZED)
        # A value that would be more than a level expands to nothing.
        self.set_device(attributes={"site": "+"})
        await asyncio.sleep(0)
        self.assertEqual(self.explain("subscribe", "site/+/x")["decision"], "deny")

    async def test_a_reload_changes_live_sessions_and_a_mistake_changes_nothing(self):
        self.set_device(tags=["lab"], attributes={"site": "north"})
        path = server.directory / "policies" / "plant.yaml"
        client = await self.connect_device()
        await client.subscribe("site/north/#")
        path.write_text(POLICIES.replace("effect: allow", "effect: alow"))
        with self.assertRaises(RestError) as caught:
            server.rest("POST", "/api/v1/system:reload")
        self.assertEqual(caught.exception.code, "configuration_invalid")
        self.assertIn("plant.yaml:11", caught.exception.problem["detail"])
        self.assertTrue(client.connected)
        path.write_text(POLICIES.replace("site/{attributes.site}/#", "place/{attributes.site}/#"))
        server.process.send_signal(signal.SIGHUP)
        self.assertEqual(await client.wait_lost(5), NOT_AUTHORIZED)
        path.write_text(POLICIES)
        server.rest("POST", "/api/v1/system:reload")
        self.assertEqual(self.explain("publish", "site/north/x")["decision"], "allow")

    async def test_a_listener_s_broken_certificate_changes_nothing_of_a_reload(self):
        own = Server(listeners=[{"name": "lab", "transport": "tls", "policy": "lab",
                                 "authentication": ["certificate"]}], start=False)
        self.addCleanup(own.close)
        key = pki.make_key()
        certificate = own.directory / "lab.crt"
        good = pki.make_certificate(key, "localhost").public_bytes(pki.PEM)
        certificate.write_bytes(good)
        (own.directory / "lab.key").write_bytes(pki.key_pem(key))
        policies = own.directory / "plant.yaml"
        policies.write_text(POLICIES)
        own.configuration["authorization"] = {"policy_files": [str(policies)]}
        own.configuration["listeners"][1]["tls"] = {
            "certificate": str(certificate), "private_key": str(own.directory / "lab.key")}
        own.start()

        def decision():
            question = {"device": "pump-7", "listener": "lab", "action": "publish",
                          "topic": "site/north/x"}
            return own.rest("POST", "/api/v1/policies:explain", question)["decision"]

        own.rest("PUT", "/api/v1/devices/pump-7", {"tags": ["lab"], "attributes": {"site": "north"}})
        self.assertEqual(decision(), "allow")
        policies.write_text(POLICIES.replace("effect: allow", "effect: deny"))
        certificate.write_bytes(b"no certificate")
        with self.assertRaises(RestError) as caught:
            own.rest("POST", "/api/v1/system:reload")
        self.assertEqual(caught.exception.code, "configuration_invalid")
        self.assertEqual(decision(), "allow")
        certificate.write_bytes(good)
        own.rest("POST", "/api/v1/system:reload")
        self.assertEqual(decision(), "deny")

    def test_a_mistake_at_start_is_named_with_its_line(self):
        path = server.directory / "wrong.yaml"
        for text, wanted in (
                ("policies:\n  a:\n    rules:\n      - effect: allow\n        actions: [publish]\n"
                 "        topics: [\"a/{owner}\"]\n", "policies.yaml:6"),
                ("policies:\n  a:\n    rule: []\n", "did you mean \"rules\"?"),
                ("policies:\n  open:\n    rules: []\n", "built-in")):
            policies = server.directory / "wrong-policies.yaml"
            policies.write_text(text)
            path.write_text(json.dumps({"authorization": {"policy_files": [str(policies)]}}))
            done = subprocess.run([str(server.binaries / "skerryd"), "--config", str(path),
                                   "--check-config"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(wanted, done.stderr)


class Scopes(unittest.TestCase):
    def ask(self, token, method, path, body=None):
        status, headers, data = server.raw_rest(
            method, path, None if body is None else json.dumps(body),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        return status, headers, json.loads(data) if data else None

    def token(self, scopes):
        return server.rest("POST", "/api/v1/tokens", {"name": "test", "scopes": scopes})

    def test_a_token_does_what_its_scopes_say_and_nothing_else(self):
        token = self.token(["devices:read"])["token"]
        self.assertEqual(self.ask(token, "GET", "/api/v1/devices")[0], 200)
        for method, path in (("POST", "/api/v1/devices"), ("DELETE", "/api/v1/devices/pump-7"),
                             ("GET", "/api/v1/audit"), ("GET", "/api/v1/tokens"),
                             ("POST", "/api/v1/system:reload"), ("GET", "/api/v1/clients"),
                             ("PUT", "/api/v1/services/historian/password")):
            status, headers, problem = self.ask(token, method, path, {})
            self.assertEqual(status, 403, path)
            self.assertEqual(problem["code"], "insufficient_scope")
            self.assertIn('error="insufficient_scope"', headers["WWW-Authenticate"])
        self.assertTrue(audit(action="request", actor="user:admin"))

    def test_a_token_cannot_give_more_than_it_has(self):
        token = self.token(["tokens:write", "devices:read"])["token"]
        self.assertEqual(self.ask(token, "POST", "/api/v1/tokens",
                                  {"scopes": ["devices:read"]})[0], 201)
        for scopes in (["*"], ["devices:*"], ["audit:read"], ["*:read"]):
            self.assertEqual(self.ask(token, "POST", "/api/v1/tokens", {"scopes": scopes})[0], 403)

    def test_a_deleted_token_is_refused(self):
        made = self.token(["devices:read"])
        server.rest("DELETE", f"/api/v1/tokens/{made['id']}")
        status, _, problem = self.ask(made["token"], "GET", "/api/v1/devices")
        self.assertEqual((status, problem["code"]), (401, "token_invalid"))


class Audit(Wire):
    async def test_changes_are_recorded_with_who_and_where(self):
        made = server.rest("POST", "/api/v1/tokens", {"name": "for the audit"})
        record = audit(object=f"token:{made['id']}")[0]
        self.assertEqual(record["actor"], "user:admin")
        self.assertEqual(record["address"], HOST)
        self.assertEqual(record["outcome"], "ok")
        self.assertNotIn(made["token"], json.dumps(audit()))

    async def test_a_flood_of_denials_is_summed_up_and_counted(self):
        client = await self.connect_device("devices")
        before = len(audit(actor="device:pump-7", action="publish"))
        for _ in range(2000):
            client.publish("devices/other/events/flood", "1")
        await client.publish("devices/pump-7/telemetry", '{"t":1}', qos=1).acknowledged()
        wait_until(lambda: server.metric("skerry_publishes_denied_total") >= 2000, "2000 denials")
        after = len(audit(actor="device:pump-7", action="publish"))
        self.assertLessEqual(after - before, 2)
        server.restart()
        await asyncio.sleep(0)
        details = [record["detail"] for record in audit(actor="device:pump-7", action="publish")]
        self.assertTrue(any("more in 60 s" in detail for detail in details), details)

    async def test_a_refused_connection_is_recorded(self):
        await self.refused("nobody-there", "not the password")
        records = wait_until(lambda: audit(action="connect", actor="address:127.0.0.1"),
                             "a record of the refused connection")
        self.assertEqual(records[0]["outcome"], "denied")

    async def test_the_chain_holds_after_kill_9(self):
        for round_number in range(3):
            for number in range(20):
                server.rest("POST", "/api/v1/tokens", {"name": f"{round_number}-{number}"})
            acknowledged = len(audit(action="token.create"))
            server.kill9()
            server.start()
            found = verify()
            self.assertTrue(found["ok"], found)
            self.assertGreaterEqual(len(audit(action="token.create")), acknowledged)

    def test_it_is_streamed_as_ndjson_and_csv(self):
        headers = {"Authorization": "Bearer " + (server.token or server.log_in())}
        status, answer, data = server.raw_rest("GET", "/api/v1/audit?format=ndjson&order=asc", None,
                                               headers)
        self.assertEqual((status, answer["Content-Type"]), (200, "application/x-ndjson"))
        records = [json.loads(line) for line in data.splitlines()]
        self.assertEqual([record["sequence"] for record in records],
                         list(range(1, len(records) + 1)))
        status, _, data = server.raw_rest("GET", "/api/v1/audit?format=csv", None, headers)
        self.assertTrue(data.startswith(b"sequence,time,actor,"))
        self.assertEqual(server.rest("GET", "/api/v1/audit:verify")["checked"] >= len(records), True)


class CommandLine(unittest.TestCase):
    def run_command(self, *words, code=0):
        done = subprocess.run(
            [str(server.binaries / "skerryctl"), *words, "--server",
             f"https://{HOST}:{server.ports['admin']}", "--ca", server.root_certificate,
             "--token", server.token or server.log_in(), "--config",
             str(server.directory / "skerryctl.json")], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def test_policies_are_listed_shown_and_explained(self):
        self.assertIn("lab", self.run_command("policy", "list"))
        self.assertIn("own-site", self.run_command("policy", "show", "lab"))
        told = json.loads(self.run_command(
            "policy", "explain", "--device", "pump-7", "--action", "publish", "--topic",
            "devices/pump-8/telemetry", "-o", "json"))
        self.assertEqual((told["decision"], told["rule"]), ("deny", "topics of other devices"))
        self.run_command("policy", "show", "none", code=3)
        self.run_command("policy", "explain", "--action", "publish", "--topic", "x", code=2)
        self.run_command("system", "reload")

    def test_tokens_are_made_listed_and_deleted(self):
        made = json.loads(self.run_command("tokens", "create", "--name", "ci", "--scope",
                                           "devices:read", "--scope", "audit:read", "-o", "json"))
        self.assertEqual(made["scopes"], ["devices:read", "audit:read"])
        self.assertIn(made["id"], self.run_command("tokens", "list"))
        self.run_command("tokens", "delete", made["id"])
        self.run_command("tokens", "delete", made["id"], code=3)

    def test_the_audit_is_listed_and_verified(self):
        self.assertIn("token.create", self.run_command("audit", "list", "--action", "token.*"))
        found = json.loads(self.run_command("audit", "verify", "-o", "json"))
        self.assertTrue(found["ok"])
        self.run_command("audit", "verify", "--hash", found["head"]["hash"])
        self.run_command("audit", "verify", "--hash", "0" * 64, code=1)


if __name__ == "__main__":
    unittest.main()
