#!/usr/bin/env python3
"""Threats that belong to no one part: what is on disk and in exports, and imports that lie."""
import base64
import hashlib
import json
import os
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import pki  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from server import Server  # noqa: E402

ROWS = int(os.environ.get("SKERRY_IMPORT_ROWS", "5000"))
server = None


def setUpModule():
    global server
    server = Server()


def tearDownModule():
    server.close()


def request(method, path, body=None, kind="application/x-ndjson"):
    headers = {"Authorization": "Bearer " + (server.token or server.log_in()),
               "Content-Type": kind, "Accept": "application/x-ndjson"}
    status, _, data = server.raw_rest(method, path, body, headers)
    if status != 200:
        raise AssertionError(f"{status}: {data[:500]!r}")
    return data.decode()


def secrets_of(key):
    """Forms in which this private key would be recognised: the number, PKCS 8 and PEM lines."""
    number = key.private_numbers().private_value.to_bytes(32, "big")
    der = key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption())
    return [number, der, base64.b64encode(der)[40:80], number.hex().encode()]


class WhatIsKept(unittest.TestCase):
    def test_threat_30_neither_store_nor_export_holds_a_private_key(self):
        devices = pki.enrol_many(server, [f"kept-{n}" for n in range(5)])
        authorities = [serialization.load_pem_private_key(path.read_bytes(), None)
                       for path in (server.data_dir / "ca").glob("*.key")]
        self.assertGreaterEqual(len(authorities), 3)
        exported = request("GET", "/api/v1/devices:export").encode()
        self.assertIn(b"kept-4", exported)
        server.stop()
        kept = [path for path in (server.data_dir / "store").rglob("*") if path.is_file()]
        self.assertTrue(any(devices[0].id.encode() in path.read_bytes() for path in kept))
        for path in kept:
            self.search(path.read_bytes(), devices, authorities, path)
        self.search(exported, devices, authorities, "the export")
        server.start()

    def search(self, data, devices, authorities, where):
        self.assertNotIn(b"PRIVATE KEY", data, where)
        for key in [device.key for device in devices] + authorities:
            for secret in secrets_of(key):
                self.assertNotIn(secret, data, where)


def rows_with_everything_wrong(count, seed):
    """NDJSON in which lines repeat ids and keys, are no JSON, or claim what they must not."""
    chance = random.Random(seed)
    keys = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(count)]
    lines = []
    for n in range(count):
        row = {"id": f"row-{n}", "keys": [{"fingerprint": keys[n]}], "tags": ["a", "b"],
               "attributes": {"site": str(n % 7)}}
        fault = chance.random()
        if fault < 0.05:
            row["id"] = f"row-{chance.randrange(n + 1)}"
        elif fault < 0.10:
            row["keys"] = [{"fingerprint": keys[chance.randrange(n + 1)]}]
        elif fault < 0.13:
            row["id"] = chance.choice(["", "a/b", "+", "#", "\u0430dmin", "x" * 65, "sub"])
        elif fault < 0.15:
            row["unknown"] = 1
        text = json.dumps(row)
        if 0.15 <= fault < 0.17:
            text = text[:chance.randrange(1, len(text))]
        lines.append(text)
    return "\n".join(lines) + "\n"


class Import(unittest.TestCase):
    def test_threat_32_a_dry_run_says_what_the_real_run_does(self):
        for seed, conflict in enumerate(("fail", "skip", "update")):
            with self.subTest(conflict=conflict):
                self.compare(rows_with_everything_wrong(ROWS, seed), conflict)

    def compare(self, rows, conflict):
        path = f"/api/v1/devices:import?onConflict={conflict}&dryRun="
        before = request("GET", "/api/v1/devices:export")
        told = self.results(request("POST", path + "true", rows.encode()))
        self.assertEqual(request("GET", "/api/v1/devices:export"), before,
                         "a dry run has changed something")
        done = self.results(request("POST", path + "false", rows.encode()))
        self.assertEqual(told[:-1], done[:-1])
        wrong = [result for result in done[:-1] if result["result"] == "error"]
        self.assertTrue(wrong and all(result["code"] and result["detail"] for result in wrong))
        self.assertEqual(len(done) - 1, ROWS)

    def results(self, text):
        return [json.loads(line) for line in text.splitlines()]


if __name__ == "__main__":
    unittest.main(verbosity=2)
