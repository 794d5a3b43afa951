#!/usr/bin/env python3
"""openapi.yaml held against the server: every operation for success, without a right, with bad
input and, where it has one, with a conflict; every answer against its description. An operation
without its cases fails the last test, so whoever adds one adds them."""
import asyncio
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
import openapi  # noqa: E402
import pki  # noqa: E402
from server import HOST, ROOT, Server, plain_listener  # noqa: E402

MERGE = "application/merge-patch+json"
NDJSON = "application/x-ndjson"

POLICIES = """policies:
  line:
    rules:
      - {effect: allow, actions: [publish, subscribe], topics: ["line/{service}/#"]}
"""

DESCRIBED = (ROOT / "admin-api" / "openapi.yaml").read_text()
HAS_SCOPES = "        scopes:" in DESCRIBED
HAS_POLICIES = "operationId: listPolicies" in DESCRIBED

server = api = powerless = None


def needs(*names):
    """For cases of operations that this build may be without."""
    return unittest.skipUnless(all(f"operationId: {name}\n" in DESCRIBED for name in names),
                               "not in openapi.yaml")


def setUpModule():
    global server, api, powerless
    server = Server(start=False, listeners=[plain_listener()],
                    overrides={"identity": {"enrolment": {"mode": "approval"}}})
    if HAS_POLICIES:
        policies = server.directory / "policies.yaml"
        policies.write_text(POLICIES)
        server.configuration["authorization"] = {"policy_files": [str(policies)]}
    server.start()
    api = openapi.Api(server)
    wish = {"user": "admin", "password": server.password, "name": "powerless"}
    if HAS_SCOPES:
        wish["scopes"] = ["nothing:read"]
    powerless = api.call("createToken", 201, json_body=wish, token=None).json["token"]


def tearDownModule():
    server.close()


def fingerprint(number):
    return f"{number:064x}"


counter = iter(range(1, 1_000_000))


def new_device(**details):
    """A registered device with a key that nobody holds; what REST shows of it."""
    number = next(counter)
    wish = {"id": f"d-{number}", "keys": [{"fingerprint": fingerprint(number)}], **details}
    return api.call("createDevice", 201, json_body=wish).json


class Case(unittest.TestCase):
    def tearDown(self):
        if not self._outcome.success:
            print(server.tail(20), file=sys.stderr)

    def code(self, answer, code, pointer=None):
        self.assertEqual(answer.json["code"], code)
        if pointer is not None:
            self.assertEqual(answer.json["errors"][0]["pointer"], pointer)


class ADescription(Case):
    """The description itself. (Its routes and guards: tests/unit/admin-api.)"""

    def test_schemas_are_schemas(self):
        for name, schema in api.document["components"]["schemas"].items():
            with self.subTest(name):
                openapi.jsonschema.Draft202012Validator.check_schema(schema)

    def test_operations_are_complete(self):
        for operation in api.operations.values():
            with self.subTest(operation.id):
                self.assertTrue(operation.item.get("summary"))
                self.assertTrue(operation.item.get("tags"))
                named = re.findall(r"\{(\w+)\}", operation.path)
                described = [p["name"] for p in operation.parameters if p["in"] == "path"]
                self.assertEqual(sorted(named), sorted(described))
                statuses = operation.item["responses"]
                self.assertTrue(any(status.startswith("2") for status in statuses))
                if not operation.open:
                    self.assertIn("401", statuses)
                    self.assertIn("403", statuses)
                if "requestBody" in operation.item:
                    self.assertIn("400", statuses)
                    self.assertIn("413", statuses)

    def test_tags_are_listed(self):
        listed = {tag["name"] for tag in api.document["tags"]}
        used = {tag for operation in api.operations.values() for tag in operation.item["tags"]}
        self.assertEqual(listed, used)

    def test_every_schema_is_used(self):
        text = server.raw_rest("GET", "/api/v1/openapi.json", None,
                               {"Authorization": "Bearer " + api.token})[2].decode()
        for kind in ("schemas", "parameters", "responses"):
            for name in api.document["components"].get(kind, {}):
                with self.subTest(name):
                    self.assertTrue(f'"#/components/{kind}/{name}"' in text, "nothing refers to it")


class BRights(Case):
    def test_without_a_token_and_with_a_bad_one(self):
        for operation in api.operations.values():
            if operation.open:
                continue
            with self.subTest(operation.id):
                path = api.sample_path(operation)
                answer = api.call(operation.id, 401, path=path, token=None)
                self.code(answer, "token_missing")
                self.assertIn("WWW-Authenticate", answer.headers)
                self.code(api.call(operation.id, 401, path=path, token="bad"), "token_invalid")

    @unittest.skipUnless(HAS_SCOPES, "tokens have no scopes")
    def test_with_a_token_that_lacks_the_scope(self):
        for operation in api.operations.values():
            if operation.open:
                continue
            with self.subTest(operation.id):
                answer = api.call(operation.id, 403, path=api.sample_path(operation),
                                  token=powerless)
                self.code(answer, "insufficient_scope")
                said = answer.headers["WWW-Authenticate"]
                self.assertIn('error="insufficient_scope"', said)
                self.assertIn(f'scope="{api.scope(operation)}"', said)


class Tokens(Case):
    def test_tokens(self):
        wish = {"user": "admin", "password": server.password, "name": "one more"}
        made = api.call("createToken", 201, json_body=wish, token=None).json
        listed = api.call("listTokens", 200).json["items"]
        self.assertIn(made["id"], [item["id"] for item in listed])
        api.call("deleteToken", 204, path={"id": made["id"]})
        self.code(api.call("deleteToken", 404, path={"id": made["id"]}), "token_not_found")

    def test_a_wrong_password_and_a_bad_body(self):
        wish = {"user": "admin", "password": "wrong", "name": "x"}
        api.call("createToken", 401, json_body=wish, token=None)
        answer = api.call("createToken", 422, json_body={**wish, "expiresIn": -1}, token=None)
        self.assertEqual(answer.json["errors"][0]["pointer"], "/expiresIn")


class Devices(Case):
    def test_create(self):
        device = new_device(name="Pump", tags=["lab"], attributes={"site": "north"})
        self.assertEqual(device["state"], "preauthorised")
        wish = {"id": device["id"], "keys": [{"fingerprint": fingerprint(10**9)}]}
        self.code(api.call("createDevice", 409, json_body=wish), "device_exists", "/id")
        self.code(api.call("createDevice", 422, json_body={"id": "a b", "keys": wish["keys"]}),
                  "invalid_device_id", "/id")
        self.code(api.call("createDevice", 400, body="{", content_type="application/json"),
                  "malformed_json")
        self.code(api.call("createDevice", 415, body="{}", content_type="text/plain"),
                  "unsupported_media_type")

    def test_show(self):
        device = new_device()
        shown = api.call("showDevice", 200, path=device)
        self.assertEqual(shown.json["id"], device["id"])
        api.call("showDevice", 304, path=device, headers={"If-None-Match": shown.headers["ETag"]})
        self.code(api.call("showDevice", 404, path={"id": "none"}), "device_not_found")

    def test_patch_and_put(self):
        device = new_device(tags=["lab"], attributes={"a": "1", "b": "2"})
        patched = api.call("patchDevice", 200, path=device, content_type=MERGE,
                           json_body={"name": "x", "attributes": {"a": None}}).json
        self.assertEqual((patched["name"], patched["tags"], patched["attributes"]),
                         ("x", ["lab"], {"b": "2"}))
        self.code(api.call("patchDevice", 422, path=device, content_type=MERGE,
                           json_body={"tags": "lab"}), "field_invalid", "/tags")
        replaced = api.call("replaceDevice", 200, path=device, json_body={
            "keys": [{"fingerprint": device["keys"][0]["fingerprint"]}], "model": "m"}).json
        self.assertEqual((replaced["name"], replaced["model"], replaced["tags"]), ("", "m", []))
        self.code(api.call("replaceDevice", 422, path=device, json_body={"model": 1}),
                  "field_invalid", "/model")

    def test_states(self):
        device = new_device()
        for operation, state in (("suspendDevice", "suspended"), ("resumeDevice", "preauthorised"),
                                 ("retireDevice", "retired")):
            change = api.call(operation, 200, path=device).json
            self.assertEqual(change["device"]["state"], state)
        for operation in ("suspendDevice", "resumeDevice"):
            self.code(api.call(operation, 409, path=device), "invalid_state")
        api.call("disconnectDevice", 200, path=device)

    def test_if_match_of_another_revision_is_412(self):
        bodies = {"replaceDevice": {"keys": []}, "patchDevice": {"name": "x"},
                  "addDeviceKey": {"fingerprint": fingerprint(10**9 + 1)}}
        kinds = {"patchDevice": MERGE}
        for operation in api.operations.values():
            names = [parameter["name"].lower() for parameter in operation.parameters]
            if "if-match" not in names or not operation.path.startswith("/api/v1/devices/{id}"):
                continue
            if operation.id in ("approveDevice", "rejectDevice"):
                continue  # for pending devices, elsewhere
            with self.subTest(operation.id):
                device = new_device()
                answer = api.call(operation.id, 412, headers={"If-Match": '"0-0"'},
                                  path={**device, "fingerprint": device["keys"][0]["fingerprint"]},
                                  json_body=bodies.get(operation.id),
                                  content_type=kinds.get(operation.id))
                self.code(answer, "revision_mismatch")

    def test_delete(self):
        device = new_device()
        self.assertEqual(api.call("deleteDevice", 200, path=device).json["id"], device["id"])
        self.code(api.call("deleteDevice", 404, path=device), "device_not_found")

    def test_keys(self):
        device = new_device()
        more = {"fingerprint": fingerprint(10**9 + next(counter)),
                "notAfter": "2099-01-01T00:00:00Z"}
        api.call("addDeviceKey", 201, path=device, json_body=more)
        sooner = dict(more, notAfter="2098-01-01T00:00:00Z")
        api.call("addDeviceKey", 200, path=device, json_body=sooner)
        self.assertEqual(len(api.call("listDeviceKeys", 200, path=device).json["items"]), 2)
        api.call("listDeviceKeys", 404, path={"id": "none"})
        taken = new_device()["keys"][0]["fingerprint"]
        self.code(api.call("addDeviceKey", 409, path=device, json_body={"fingerprint": taken}),
                  "key_in_use")
        self.code(api.call("addDeviceKey", 422, path=device, json_body={"fingerprint": "12"}),
                  "invalid_fingerprint", "/fingerprint")
        api.call("removeDeviceKey", 200, path={**device, **more}, query={"reason": "keyCompromise"})
        self.code(api.call("removeDeviceKey", 404, path={**device, **more}), "key_not_found")

    def test_certificates(self):
        device = pki.Device.enrolled(server, f"e-{next(counter)}")
        path = {"id": device.id}
        items = api.call("listDeviceCertificates", 200, path=path).json["items"]
        self.assertEqual(len(items), 1)
        api.call("listDeviceCertificates", 404, path={"id": "none"})
        serial = {"serial": items[0]["serial"]}
        self.code(api.call("revokeCertificate", 422, path=serial, json_body={"reason": "mood"}),
                  "field_invalid", "/reason")
        api.call("revokeCertificate", 200, path=serial, json_body={"reason": "superseded"})
        self.code(api.call("revokeCertificate", 409, path=serial), "already_revoked")


class Approval(Case):
    @staticmethod
    def pending():
        """A device that has asked: its resource, and the body that a human sends."""
        device = pki.Device(server, f"p-{next(counter)}")
        try:
            device.enrol()
        except pki.EnrolmentRefused as refused:
            assert refused.status == 202, refused
        return {"id": device.id}, {"fingerprint": pki.fingerprint(device.key)}

    def test_approve(self):
        path, body = self.pending()
        shown = api.call("listDevices", 200, query={"filter": f"state:pending id:{path['id']}"})
        self.assertEqual(len(shown.json["items"]), 1)
        other = {"fingerprint": fingerprint(3)}
        self.code(api.call("approveDevice", 409, path=path, json_body=other),
                  "fingerprint_mismatch")
        self.code(api.call("approveDevice", 422, path=path, json_body={}), "field_missing",
                  "/fingerprint")
        device = api.call("approveDevice", 200, path=path, json_body={**body, "name": "x"}).json
        self.assertEqual(device["state"], "preauthorised")
        self.code(api.call("approveDevice", 409, path=path, json_body=body), "invalid_state")

    def test_reject(self):
        path, body = self.pending()
        other = {"fingerprint": fingerprint(3)}
        self.code(api.call("rejectDevice", 409, path=path, json_body=other),
                  "fingerprint_mismatch")
        self.code(api.call("rejectDevice", 422, path=path, json_body={}), "field_missing",
                  "/fingerprint")
        api.call("rejectDevice", 204, path=path, json_body=body)
        api.call("rejectDevice", 404, path=path, json_body=body)


class DeviceLists(Case):
    @classmethod
    def setUpClass(cls):
        cls.tag = f"list-{next(counter)}"
        cls.ids = [new_device(tags=[cls.tag], model=f"m{number % 2}", name=f"N{9 - number}",
                              attributes={"site": f"s{number}"})["id"] for number in range(5)]
        cls.ids.sort()

    def list(self, **query):
        filter_text = f"tags:{self.tag} " + query.pop("filter", "")
        return api.call("listDevices", 200, query={"filter": filter_text, **query}).json

    def test_filter_count_and_pages(self):
        self.assertEqual([item["id"] for item in self.list()["items"]], self.ids)
        page = self.list(limit=2, count="exact", filter="NOT attributes.site:s4")
        self.assertEqual((len(page["items"]), page["count"]), (2, 4))
        found = page["items"]
        while page["next"]:
            page = self.list(limit=2, filter="NOT attributes.site:s4", cursor=page["next"])
            found += page["items"]
        self.assertEqual(len(found), 4)
        self.assertNotIn("count", self.list())

    def test_sort_and_fields(self):
        page = self.list(sort="name", fields="name,attributes.site")
        self.assertEqual([item["name"] for item in page["items"]], ["N5", "N6", "N7", "N8", "N9"])
        self.assertEqual(set(page["items"][0]), {"id", "name", "attributes"})
        down = self.list(sort="-createdAt,id", limit=3)
        self.assertEqual(len(down["items"]), 3)
        rest = self.list(sort="-createdAt,id", cursor=down["next"])
        times = [item["createdAt"] for item in down["items"] + rest["items"]]
        self.assertEqual(times, sorted(times, reverse=True))
        self.assertEqual(len(times), 5)

    def test_bad_questions(self):
        for query, code, pointer in (
                ({"filter": "state:"}, "invalid_filter", "/query/filter"),
                ({"filter": "idd:x"}, "invalid_filter", "/query/filter"),
                ({"filter": "createdAt<soon"}, "invalid_filter", "/query/filter"),
                ({"filter": "x " * 65}, "invalid_filter", "/query/filter"),
                ({"sort": "tags"}, "invalid_parameter", "/query/sort"),
                ({"fields": "id,secret"}, "invalid_parameter", "/query/fields"),
                ({"count": "maybe"}, "invalid_parameter", "/query/count"),
                ({"state": "gone"}, "invalid_parameter", "/query/state"),
                ({"limit": "0"}, "invalid_parameter", "/query/limit"),
                ({"cursor": "x"}, "invalid_parameter", "/query/cursor")):
            with self.subTest(query):
                self.code(api.call("listDevices", 400, query=query), code, pointer)
        cursor = self.list(sort="name", limit=1)["next"]
        answer = api.call("listDevices", 400, query={"sort": "model", "cursor": cursor})
        self.code(answer, "invalid_parameter", "/query/cursor")

    def test_what_has_changed_is_seen_by_the_next_question(self):
        device = new_device(tags=[f"seen-{self.tag}"])
        query = {"filter": f"tags:seen-{self.tag}"}
        self.assertEqual(len(api.call("listDevices", 200, query=query).json["items"]), 1)
        api.call("suspendDevice", 200, path=device)
        query["filter"] += " state:suspended"
        self.assertEqual(len(api.call("listDevices", 200, query=query).json["items"]), 1)
        api.call("deleteDevice", 200, path=device)
        self.assertEqual(api.call("listDevices", 200, query=query).json["items"], [])


class Transfer(Case):
    def test_import_and_export(self):
        number = next(counter)
        lines = (f'{{"id":"i-{number}","keys":["{fingerprint(10**8 + number)}"],'
                 '"tags":["in"]}\nnonsense\n')
        answer = api.call("importDevices", 200, body=lines, content_type=NDJSON,
                          query={"dryRun": "true", "onConflict": "skip"})
        results = [openapi.json.loads(line) for line in answer.body.splitlines()]
        self.assertEqual([r.get("result") for r in results], ["created", "error", None])
        self.code(api.call("importDevices", 400, body=lines, content_type=NDJSON,
                           query={"onConflict": "cry"}), "invalid_parameter", "/query/onConflict")
        api.call("importDevices", 415, body=lines, content_type="text/plain")
        new_device()
        exported = api.call("exportDevices", 200, headers={"Accept": NDJSON}).body.splitlines()
        self.assertGreaterEqual(len(exported), 1)
        api.call("exportDevices", 200, headers={"Accept": "text/csv"})
        api.call("exportDevices", 406, headers={"Accept": "image/png"})
        api.call("exportDevices", 400, query={"state": "gone"})

    def test_more_attributes_than_a_table_has_columns(self):
        wide = [new_device(attributes={f"a{row}x{column}": "1" for column in range(64)})
                for row in range(5)]
        self.code(api.call("exportDevices", 409, headers={"Accept": "text/csv"}),
                  "too_many_columns")
        for device in wide:
            api.call("deleteDevice", 200, path=device)


class Idempotency(Case):
    def test_a_post_is_done_once(self):
        number = next(counter)
        wish = {"id": f"k-{number}", "keys": [{"fingerprint": fingerprint(10**7 + number)}]}
        key = {"Idempotency-Key": f"key-{number}"}
        first = api.call("createDevice", 201, json_body=wish, headers=key)
        again = api.call("createDevice", 201, json_body=wish, headers=key)
        self.assertEqual(first.body, again.body)
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        self.code(api.call("createDevice", 422, json_body={**wish, "id": "other"}, headers=key),
                  "idempotency_key_reused")
        self.code(api.call("createDevice", 400, json_body=wish, headers={"Idempotency-Key": "a b"}),
                  "invalid_idempotency_key")
        self.code(api.call("createDevice", 409, json_body=wish), "device_exists")


class Telemetry(Case):
    @classmethod
    def setUpClass(cls):
        cls.device = new_device(tags=["measures"])
        cls.path = {"id": cls.device["id"]}
        asyncio.run(cls.publish())

    @classmethod
    async def publish(cls):
        client = mqtt.Client("publisher")
        await client.connect(HOST, server.ports["plain"])
        sent = client.publish(f"devices/{cls.device['id']}/telemetry",
                              '{"temperature":21.5,"mode":"auto","on":true}', qos=1)
        await sent.acknowledged()
        await client.disconnect()

    def test_of_one_device(self):
        page = api.call("queryTelemetry", 200, path=self.path, query={"keys": "temperature"})
        self.assertTrue(page.json)
        api.call("queryTelemetry", 200, path=self.path, query={
            "keys": "temperature", "from": "-1h", "to": "now", "step": "10m", "agg": "avg,max"})
        for kind in ("application/x-ndjson", "text/csv", "application/senml+json"):
            api.call("queryTelemetry", 200, path=self.path, headers={"Accept": kind})
        self.code(api.call("queryTelemetry", 400, path=self.path, query={"step": "x"}),
                  "invalid_parameter", "/query/step")
        api.call("queryTelemetry", 406, path=self.path, headers={"Accept": "image/png"})
        api.call("latestTelemetry", 200, path=self.path)
        keys = api.call("listTelemetryKeys", 200, path=self.path).json["items"]
        self.assertEqual({item["key"] for item in keys}, {"temperature", "mode", "on"})

    def test_of_many_devices(self):
        chosen = {"filter": "tags:measures"}
        self.assertTrue(api.call("latestTelemetryOfDevices", 200, query=chosen).json["items"])
        self.code(api.call("latestTelemetryOfDevices", 400, query={"filter": "tags:("}),
                  "invalid_filter", "/query/filter")
        api.call("queryTelemetryOfDevices", 200, json_body={**chosen, "from": "-1h", "to": "now",
                                                            "step": "5m", "agg": "avg"})
        api.call("queryTelemetryOfDevices", (400, 422), json_body={"filter": "tags:("})

    def test_zz_deletion(self):
        api.call("deleteTelemetryKey", 204, path={**self.path, "key": "mode"})
        api.call("deleteTelemetry", 204, path=self.path, query={"key": "on"})
        api.call("deleteTelemetry", 400, path=self.path, query={"from": "soon"})

    def test_streams(self):
        api.call("streamEvents", 200, query={"types": "device"}, read=1)
        api.call("streamEvents", 400, query={"types": "weather"})
        api.call("streamDeviceTelemetry", 200, path=self.path, read=1)
        api.call("streamDeviceTelemetry", 404, path={"id": "none"})


class Authorities(Case):
    def test_ca_and_revocation_list(self):
        self.assertEqual(len(api.call("showAuthorities", 200).json["chain"]), 3)
        crl = api.call("showRevocationList", 200)
        api.call("showRevocationList", 304, headers={"If-None-Match": crl.headers["ETag"]})

    def test_enrolment_tokens(self):
        made = api.call("createEnrolmentToken", 201, json_body={"model": "m", "maxUses": 3}).json
        self.assertIn(made["id"], [item["id"] for item in
                                   api.call("listEnrolmentTokens", 200).json["items"]])
        api.call("showEnrolmentToken", 200, path=made)
        answer = api.call("createEnrolmentToken", 422, json_body={"maxUses": 0})
        self.assertEqual(answer.json["errors"][0]["pointer"], "/maxUses")
        api.call("deleteEnrolmentToken", 204, path=made)
        api.call("showEnrolmentToken", 404, path=made)
        api.call("deleteEnrolmentToken", 404, path=made)


class Services(Case):
    def service(self):
        wish = {"name": f"s-{next(counter)}", "policy": "line" if HAS_POLICIES else "service-read"}
        return api.call("createService", 201, json_body=wish).json

    def test_life(self):
        service = self.service()
        wish = {"name": service["name"], "policy": "line" if HAS_POLICIES else "service-read"}
        api.call("createService", 409, json_body=wish)
        answer = api.call("createService", 422, json_body={**wish, "name": "a b"})
        self.assertEqual(answer.json["errors"][0]["pointer"], "/name")
        self.assertIn(service["name"],
                      [item["name"] for item in api.call("listServices", 200).json["items"]])
        api.call("showService", 200, path=service)
        api.call("deleteService", 204, path=service)
        api.call("showService", 404, path=service)
        api.call("deleteService", 404, path=service)

    def test_certificates(self):
        service = self.service()
        csr = pki.make_request(pki.make_key(), service["name"]).public_bytes(pki.PEM).decode()
        made = api.call("issueServiceCertificate", 201, path=service, json_body={"csr": csr}).json
        answer = api.call("issueServiceCertificate", (400, 422), path=service,
                          json_body={"csr": "x"})
        self.assertTrue(answer.json["errors"][0]["pointer"], "/csr")
        path = {**service, "serial": made["serial"]}
        api.call("revokeServiceCertificate", 400, path=path, query={"reason": "mood"})
        api.call("revokeServiceCertificate", 204, path=path, query={"reason": "superseded"})

    @needs("putServicePassword")
    def test_passwords(self):
        service = self.service()
        path = {"name": service["name"]}
        made = api.call("putServicePassword", 200, path=path, json_body={"expiresIn": 3600}).json
        self.assertTrue(made["password"])
        api.call("getServicePassword", 200, path=path)
        answer = api.call("putServicePassword", 422, path=path, json_body={"expiresIn": 1})
        self.assertEqual(answer.json["errors"][0]["pointer"], "/expiresIn")
        api.call("deleteServicePassword", 204, path=path)
        api.call("getServicePassword", 404, path=path)
        api.call("deleteServicePassword", 404, path=path)


@needs("explainPolicy", "reload")
class Policies(Case):
    def test_policies(self):
        listed = api.call("listPolicies", 200).json["items"]
        self.assertIn("line", [item["name"] for item in listed])
        api.call("listPolicies", 400, query={"limit": "x"})
        api.call("getPolicy", 200, path={"name": "line"})
        api.call("getPolicy", 404, path={"name": "none"})
        question = {"device": new_device()["id"], "action": "publish", "topic": "x"}
        explained = api.call("explainPolicy", 200, json_body=question).json
        self.assertEqual(explained["decision"], "deny")
        self.code(api.call("explainPolicy", 422, json_body={**question, "topic": "x/#"}),
                  "field_invalid", "/topic")

    def test_reload(self):
        api.call("reload", 204)


@needs("listAudit")
class Audit(Case):
    def test_audit(self):
        device = new_device()
        query = {"object": device["id"], "from": "-1h"}
        items = api.call("listAudit", 200, query=query).json["items"]
        self.assertTrue(items or api.call("listAudit", 200).json["items"])
        for form in ("ndjson", "csv"):
            api.call("listAudit", 200, query={"format": form})
        api.call("listAudit", 400, query={"from": "soon"})
        api.call("verifyAudit", 200)


@needs("disconnectClient")
class Clients(Case):
    def test_clients(self):
        asyncio.run(self.clients())

    async def clients(self):
        client = mqtt.Client("c/1")
        await client.connect(HOST, server.ports["plain"])
        items = api.call("listClients", 200).json["items"]
        path = next({"owner": item["owner"], "clientId": item["clientId"]} for item in items
                    if item["clientId"] == "c/1")
        api.call("listClients", 400, query={"limit": "501"})
        api.call("disconnectClient", 204, path=path)
        api.call("disconnectClient", (404, 409), path=path)
        other = mqtt.Client("c/2", session_expiry=600)
        await other.connect(HOST, server.ports["plain"])
        path["clientId"] = "c/2"
        await other.disconnect()
        api.call("disconnectClient", 409, path=path)
        api.call("removeSession", 204, path=path)
        api.call("removeSession", 404, path=path)


class Others(Case):
    def test_lists_of_clients(self):
        api.call("listClients", 200)
        api.call("listClients", 400, query={"limit": "501"})


    def test_system(self):
        api.call("showVersion", 200)
        api.call("showDescription", 200)


class YBadInput(Case):
    """For operations that have no case of their own above: what is generally bad."""

    def test_unknown_names(self):
        for operation in api.operations.values():
            if "bad input" in api.seen[operation.id] or not api.takes_input(operation):
                continue
            with self.subTest(operation.id):
                path = api.sample_path(operation)
                content = api.resolve(operation.item.get("requestBody", {})).get("content", {})
                kind = next(iter(content), None)
                queries = any(p["in"] == "query" for p in operation.parameters)
                if kind and "json" in kind:
                    answer = api.call(operation.id, (400, 404, 422), path=path, content_type=kind,
                                      json_body={"noSuchMember": True})
                elif queries:
                    answer = api.call(operation.id, (400, 404), path=path,
                                      query={"noSuchParameter": "1"})
                else:
                    answer = api.call(operation.id, (400, 404), path=path)
                self.assertTrue(answer.json["detail"])


# Cases that would take too long here, and where they are instead.
ELSEWHERE = {
    "createToken": {"conflict"},  # 10,000 tokens: tests/unit/admin-api/tokens_test.cpp
    "createEnrolmentToken": {"conflict"},  # as many: tests/unit/auth
    "issueServiceCertificate": {"conflict"},  # a service that goes meanwhile: tests/unit/auth
}


UNKNOWN = set() if HAS_SCOPES else {"forbidden"}


class ZCoverage(Case):
    def test_every_operation_has_its_cases(self):
        missing = {name: kinds for name, kinds in api.missing().items()
                   if set(kinds) - ELSEWHERE.get(name, set()) - UNKNOWN}
        self.assertFalse(missing, "cases are missing:\n" + "\n".join(
            f"  {name}: {', '.join(kinds)}" for name, kinds in sorted(missing.items())))


if __name__ == "__main__":
    unittest.main()
