"""The cases of openapi_test.py for backups."""
from openapi_cases import Case, api, counter
from server import wait_until


class Backups(Case):
    @staticmethod
    def ended(name):
        def state():
            backup = api.call("showBackup", 200, path={"name": name}).json
            return backup if backup["state"] != "running" else None
        return wait_until(state, f"the backup {name} ends", 60)

    def test_life(self):
        name = f"b-{next(counter)}"
        made = api.call("createBackup", 202, json_body={"name": name})
        self.assertEqual(made.headers["Location"], f"/api/v1/backups/{name}")
        self.assertEqual(self.ended(name)["state"], "complete")
        self.code(api.call("createBackup", 409, json_body={"name": name}), "backup_exists",
                  "/name")
        listed = api.call("listBackups", 200, query={"limit": 1}).json["items"]
        self.assertEqual([item["name"] for item in listed], [name])
        api.call("deleteBackup", 204, path={"name": name})
        self.code(api.call("showBackup", 404, path={"name": name}), "backup_not_found")
        self.code(api.call("deleteBackup", 404, path={"name": name}), "backup_not_found")

    def test_bad_input(self):
        for body, code, pointer in (({"name": "../x"}, "field_invalid", "/name"),
                                    ({"name": 1}, "field_invalid", "/name"),
                                    ({"names": "x"}, "unknown_field", "/names")):
            self.code(api.call("createBackup", 422, json_body=body), code, pointer)
        self.code(api.call("createBackup", 400, body="{", content_type="application/json"),
                  "malformed_json")
        self.code(api.call("listBackups", 400, query={"cursor": "x"}), "invalid_parameter",
                  "/query/cursor")
