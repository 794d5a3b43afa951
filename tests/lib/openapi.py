"""Calls the REST API as openapi.json describes it, and holds each answer against that description.

    api = openapi.Api(server)
    answer = api.call("showDevice", 200, path={"id": "pump-7"})

An answer must have a status, a content type and a body that its operation lists; members that the
description does not know are an error, too. What was called with which outcome is counted, so that
a test can tell what it has left out.
"""
import collections
import copy
import http.client
import json
import re
import urllib.parse

import jsonschema

from server import HOST

METHODS = ("get", "put", "post", "delete", "patch")
# What a status says about a case.
KINDS = {401: "unauthenticated", 403: "forbidden", 409: "conflict", 412: "conflict",
         428: "conflict", 400: "bad input", 404: "bad input", 406: "bad input",
         413: "bad input", 415: "bad input", 422: "bad input"}

Operation = collections.namedtuple("Operation", "id method path open item parameters")
Answer = collections.namedtuple("Answer", "status headers body json")


OPEN = "__open"  # the name of a schema's other half, for what is joined by allOf


def closed(schema, whole=True):
    """The schema with all objects closed: what is not described must not be there. Parts of an
    allOf stay open (not `whole`), since together they are one object."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if not whole and "$ref" in schema:
        return {"$ref": schema["$ref"] + OPEN}
    made = {}
    for key, value in schema.items():
        if key == "allOf":
            made[key] = [closed(item, whole=False) for item in value]
        elif key in ("enum", "const", "example", "default"):
            made[key] = value
        elif key == "properties":
            made[key] = {name: closed(item) for name, item in value.items()}
        else:
            made[key] = closed(value)
    is_object = "properties" in made or "allOf" in made
    if whole and is_object and "additionalProperties" not in made:
        made["unevaluatedProperties"] = False
    return made


class Api:
    def __init__(self, server):
        self.server = server
        self.token = server.token or server.log_in()
        self.document = server.rest("GET", "/api/v1/openapi.json")
        self.strict = copy.deepcopy(self.document)
        schemas = self.strict["components"]["schemas"]
        for name, schema in list(schemas.items()):
            if name != "Problem":  # RFC 9457 lets others add members
                schemas[name] = closed(schema)
                schemas[name + OPEN] = closed(schema, whole=False)
        self.resolver = jsonschema.RefResolver("", self.strict)
        self.operations = dict(self._operations())
        self.seen = collections.defaultdict(set)

    def _operations(self):
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method not in item:
                    continue
                operation = item[method]
                parameters = [self.resolve(parameter) for parameter in
                              item.get("parameters", []) + operation.get("parameters", [])]
                yield operation["operationId"], Operation(
                    operation["operationId"], method.upper(), path,
                    operation.get("security") == [], operation, parameters)

    def resolve(self, value):
        while isinstance(value, dict) and "$ref" in value:
            found = self.document
            for part in value["$ref"].lstrip("#/").split("/"):
                found = found[part.replace("~1", "/").replace("~0", "~")]
            value = found
        return value

    def validate(self, schema, value, what):
        validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver)
        errors = sorted(validator.iter_errors(value), key=lambda error: list(error.path))
        if errors:
            lines = "\n".join(f"  at /{'/'.join(map(str, error.absolute_path))}: {error.message}"
                              for error in errors[:5])
            raise AssertionError(f"{what} is not as openapi.yaml says:\n{lines}\n"
                                 f"{json.dumps(value)[:1500]}")

    # Requests.

    def call(self, name, expected, path=None, query=None, headers=None, json_body=None, body=None,
             content_type=None, token="", read=None):
        """`expected`: one status or several. `token` None: without one. `read`: only so many bytes
        of an answer that never ends."""
        operation = self.operations[name]
        answer = self._send(operation, path or {}, query or {}, headers or {}, json_body, body,
                            content_type, self.token if token == "" else token, read)
        wanted = expected if isinstance(expected, (tuple, list, set)) else (expected,)
        if answer.status not in wanted:
            raise AssertionError(f"{name}: {answer.status} instead of {expected}: "
                                 f"{answer.body[:600]!r}")
        self._check(operation, answer, read is not None)
        if answer.status < 300 and json_body is not None:
            self._check_request(operation, json_body, content_type or "application/json")
            for parameter in query or {}:
                known = [p["name"] for p in operation.parameters if p["in"] == "query"]
                assert parameter in known, f"{name}: ?{parameter}= is not described"
        kind = "success" if answer.status < 400 else KINDS.get(answer.status, "other")
        self.seen[name].add(kind)
        return answer

    def target(self, operation, path, query):
        def fill(match):
            return urllib.parse.quote(str(path[match[1]]), safe="")
        target = re.sub(r"\{(\w+)\}", fill, operation.path)
        return target + ("?" + urllib.parse.urlencode(query) if query else "")

    def _send(self, operation, path, query, headers, json_body, body, content_type, token, read):
        headers = dict(headers)
        if token:
            headers["Authorization"] = "Bearer " + token
        if json_body is not None:
            body = json.dumps(json_body)
            headers.setdefault("Content-Type", content_type or "application/json")
        elif content_type:
            headers["Content-Type"] = content_type
        connection = http.client.HTTPSConnection(
            HOST, self.server.ports["admin"], timeout=60, context=self.server.server_context())
        try:
            connection.request(operation.method, self.target(operation, path, query), body, headers)
            answer = connection.getresponse()
            data = answer.read() if read is None else answer.read1(read)
        finally:
            connection.close()
        kind = answer.headers.get("Content-Type", "")
        is_json = kind.split(";")[0].endswith(("/json", "+json"))
        parsed = json.loads(data) if data and is_json and read is None else None
        return Answer(answer.status, answer.headers, data, parsed)

    # What is held against the description.

    def _check(self, operation, answer, partial):
        what = f"{operation.id} {answer.status}"
        responses = operation.item["responses"]
        if str(answer.status) not in responses:
            raise AssertionError(f"{what}: openapi.yaml lists only {', '.join(responses)}; "
                                 f"answered {answer.body[:400]!r}")
        response = self.resolve(responses[str(answer.status)])
        for name, header in response.get("headers", {}).items():
            if self.resolve(header).get("required") and name not in answer.headers:
                raise AssertionError(f"{what}: the header {name} is missing")
        content = response.get("content")
        if not content:
            assert not answer.body, f"{what}: openapi.yaml knows no body: {answer.body[:200]!r}"
            return
        kind = answer.headers.get("Content-Type", "").split(";")[0].strip()
        if kind not in content:
            raise AssertionError(f"{what}: {kind!r} is not among {', '.join(content)}")
        schema = content[kind].get("schema")
        if kind == "application/problem+json":
            self._check_problem(what, answer)
        if answer.json is not None and schema:
            self.validate(self._strict_schema(schema), answer.json, what)
        elif "x-line" in content[kind] and not partial:
            for line in answer.body.splitlines():
                self.validate(closed(content[kind]["x-line"]), json.loads(line), what)

    def _strict_schema(self, schema):
        return schema if "$ref" in schema else closed(schema)

    def _check_request(self, operation, body, content_type):
        request = self.resolve(operation.item.get("requestBody", {}))
        content = request.get("content", {})
        kind = content_type.split(";")[0]
        assert kind in content, f"{operation.id} takes {kind}, which openapi.yaml does not say"
        if "schema" in content[kind]:
            self.validate(self._strict_schema(content[kind]["schema"]), body,
                          f"the body of {operation.id}")

    @staticmethod
    def _check_problem(what, answer):
        problem = answer.json
        assert problem["status"] == answer.status, f"{what}: its body says {problem['status']}"
        code = problem["code"]
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", code), f"{what}: {code}"
        for member in ("title", "detail", "instance", "requestId"):
            assert problem.get(member), f"{what}: the problem has no {member}"

    @staticmethod
    def scope(operation):
        """What a token must be good for: what the operation says, else by its path and method."""
        if "x-scope" in operation.item:
            return operation.item["x-scope"]
        resource = re.match(r"/api/v1/([^/:.]+)", operation.path)[1]
        return resource + (":read" if operation.method == "GET" else ":write")

    # What every operation must have been called for.

    def sample_path(self, operation, value="none"):
        return {p["name"]: value for p in operation.parameters if p["in"] == "path"}

    def takes_input(self, operation):
        inputs = [p for p in operation.parameters if p["in"] in ("path", "query")]
        return bool(inputs) or "requestBody" in operation.item

    def conflicts(self, operation):
        return {"409", "412", "428"} & set(operation.item["responses"])

    def missing(self):
        """Operation → kinds of cases that nobody has tried."""
        missing = {}
        for operation in self.operations.values():
            wanted = {"success"}
            if not operation.open:
                wanted |= {"unauthenticated", "forbidden"}
            if self.takes_input(operation):
                wanted.add("bad input")
            if self.conflicts(operation):
                wanted.add("conflict")
            left = wanted - self.seen[operation.id]
            if left:
                missing[operation.id] = sorted(left)
        return missing
