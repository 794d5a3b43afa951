"""The cases of openapi_test.py that are about devices."""
import openapi
import pki
from openapi_cases import MERGE, NDJSON, Case, api, counter, fingerprint, new_device, server


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
        self.code(api.call("createDevice", 400, content_type="application/json",
                           body='{"id":"twice","keys":[],"attributes":{"a":"1","a":"2"}}'),
                  "repeated_member", "/attributes/a")
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
