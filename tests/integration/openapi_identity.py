"""The cases of openapi_test.py that are about who may do what: tokens, authorities, services,
policies and the audit."""
import pki
from openapi_cases import Case, api, counter, new_device, server


class Tokens(Case):
    def test_tokens(self):
        wish = {"user": "admin", "password": server.password, "name": "one more"}
        made = api.call("createToken", 201, json_body=wish, token=None).json
        listed = api.call("listTokens", 200).json["items"]
        self.assertIn(made["id"], [item["id"] for item in listed])
        api.call("deleteToken", 204, path={"id": made["id"]})
        self.code(api.call("deleteToken", 404, path={"id": made["id"]}), "token_not_found")

    def test_a_token_gives_no_more_than_it_has(self):
        wish = {"user": "admin", "password": server.password, "expiresIn": 3600,
                "scopes": ["tokens:write", "devices:read"]}
        maker, other = (api.call("createToken", 201, json_body=wish, token=None).json
                        for _ in range(2))
        for more, code, pointer in (({"scopes": ["devices:read", "audit:read"]},
                                     "insufficient_scope", "/scopes/1"),
                                    ({"expiresIn": 7200}, "outlives_token", "/expiresIn")):
            self.code(api.call("createToken", 403, json_body=more, token=maker["token"]), code,
                      pointer)
        made = api.call("createToken", 201, json_body={}, token=maker["token"]).json
        self.assertEqual((made["createdByToken"], made["expiresAt"], made["scopes"]),
                         (maker["id"], maker["expiresAt"], maker["scopes"]))
        for path in (made, maker):
            self.code(api.call("deleteToken", 403, path=path, token=other["token"]),
                      "token_of_another")
        for path, by in ((made, maker), (maker, maker), (other, {"token": api.token})):
            api.call("deleteToken", 204, path=path, token=by["token"])

    def test_a_wrong_password_and_a_bad_body(self):
        wish = {"user": "admin", "password": "wrong", "name": "x"}
        api.call("createToken", 401, json_body=wish, token=None)
        answer = api.call("createToken", 422, json_body={**wish, "expiresIn": -1}, token=None)
        self.assertEqual(answer.json["errors"][0]["pointer"], "/expiresIn")


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
        wish = {"name": f"s-{next(counter)}", "policy": "line"}
        return api.call("createService", 201, json_body=wish).json

    def test_life(self):
        service = self.service()
        wish = {"name": service["name"], "policy": "line"}
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
