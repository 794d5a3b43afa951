"""What the cases of openapi_test.py share: one server for all, its API, and devices on demand."""
import sys
import unittest

import openapi
from server import Server, plain_listener

MERGE = "application/merge-patch+json"
NDJSON = "application/x-ndjson"
POLICIES = """policies:
  line:
    rules:
      - {effect: allow, actions: [publish, subscribe], topics: ["line/{service}/#"]}
"""


class Late:
    """Stands for what is there once start() has run, so that modules may import it before."""

    def __init__(self):
        self.it = None

    def __getattr__(self, name):
        return getattr(self.it, name)


server, api = Late(), Late()
counter = iter(range(1, 1_000_000))
token_without_power = None


def start():
    global token_without_power
    server.it = Server(start=False, listeners=[plain_listener()],
                       overrides={"identity": {"enrolment": {"mode": "approval"}}})
    policies = server.directory / "policies.yaml"
    policies.write_text(POLICIES)
    server.configuration["authorization"] = {"policy_files": [str(policies)]}
    server.start()
    api.it = openapi.Api(server)
    wish = {"user": "admin", "password": server.password, "name": "powerless",
            "scopes": ["nothing:read"]}
    token_without_power = api.call("createToken", 201, json_body=wish, token=None).json["token"]


def stop():
    server.close()


def powerless():
    """A token that is good for nothing."""
    return token_without_power


def fingerprint(number):
    return f"{number:064x}"


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
