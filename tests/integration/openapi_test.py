#!/usr/bin/env python3
"""openapi.yaml held against the server: every operation for success, without a right, with bad
input and, where it has one, with a conflict; every answer against its description. An operation
without its cases fails the last test, so whoever adds one adds them. The cases run in one program,
which counts them; they are written in openapi_*.py by subject."""
import asyncio
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
import openapi  # noqa: E402
import openapi_cases  # noqa: E402
from openapi_cases import Case, api, new_device, server  # noqa: E402
from openapi_backups import Backups  # noqa: E402, F401
from openapi_devices import (Approval, DeviceLists, Devices, Idempotency,  # noqa: E402, F401
                             Transfer)
from openapi_identity import (Audit, Authorities, Policies, Services,  # noqa: E402, F401
                              Tokens)
from server import HOST  # noqa: E402


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

    def test_with_a_token_that_lacks_the_scope(self):
        for operation in api.operations.values():
            if operation.open:
                continue
            with self.subTest(operation.id):
                answer = api.call(operation.id, 403, path=api.sample_path(operation),
                                  token=openapi_cases.powerless())
                self.code(answer, "insufficient_scope")
                said = answer.headers["WWW-Authenticate"]
                self.assertIn('error="insufficient_scope"', said)
                self.assertIn(f'scope="{api.scope(operation)}"', said)


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
    "deleteBackup": {"conflict"},  # while it is made: tests/unit/backup/service_test.cpp
    "createToken": {"conflict"},  # 10,000 tokens: tests/unit/admin-api/tokens_test.cpp
    "createEnrolmentToken": {"conflict"},  # as many: tests/unit/auth
    "issueServiceCertificate": {"conflict"},  # a service that goes meanwhile: tests/unit/auth
}


class ZCoverage(Case):
    def test_every_operation_has_its_cases(self):
        missing = {name: kinds for name, kinds in api.missing().items()
                   if set(kinds) - ELSEWHERE.get(name, set())}
        self.assertFalse(missing, "cases are missing:\n" + "\n".join(
            f"  {name}: {', '.join(kinds)}" for name, kinds in sorted(missing.items())))


if __name__ == "__main__":
    openapi_cases.start()
    try:
        program = unittest.main(exit=False)
    finally:
        openapi_cases.stop()
    sys.exit(not program.result.wasSuccessful())
