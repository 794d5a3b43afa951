#!/usr/bin/env python3
"""skerryctl against a server: what it prints in each format, how it ends, and that a file of many
devices goes in and comes out as it was."""
import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import pki  # noqa: E402
from server import HOST, Server, plain_listener, wait_until  # noqa: E402

USAGE, NOT_FOUND, DENIED, CONFLICT, UNREACHABLE = 2, 3, 4, 5, 6
MANY = 3_000

server = None


def setUpModule():
    global server
    server = Server(listeners=[plain_listener()])
    ctl("login", "--server", f"https://{HOST}:{server.ports['admin']}", "--data-dir",
        str(server.data_dir), "--password", server.password)


def tearDownModule():
    server.close()


def command(*words):
    return [str(server.binaries / "skerryctl"), "--config", str(server.directory / "cli.json"),
            *words]


def ctl(*words, expect=0, stdin=None):
    """What it printed; its standard error when something else than success is expected."""
    ran = subprocess.run(command(*words), input=stdin, capture_output=True, text=True, timeout=120,
                         cwd=server.directory)
    if ran.returncode != expect:
        raise AssertionError(f"{words}: exit {ran.returncode} instead of {expect}\n"
                             f"{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")
    return ran.stdout if expect == 0 else ran.stderr


def fingerprint(number):
    return f"{number:064x}"


class Case(unittest.TestCase):
    def tearDown(self):
        if not self._outcome.success:
            print(server.tail(20), file=sys.stderr)


class Devices(Case):
    @classmethod
    def setUpClass(cls):
        for number, (name, tag) in enumerate((("a", "lab"), ("b", "lab"), ("c", "roof"))):
            ctl("devices", "add", f"one-{name}", "--fingerprint", fingerprint(number + 1), "--tag",
                tag, "--tag", "all", "--name", f"Pump {name}, old", "--attribute",
                f"site=s{number}")

    def ids(self, *words):
        return ctl("devices", "list", "-q", *words).split()

    def test_lists_in_every_format(self):
        table = ctl("devices", "list", "-l", "tags:all", "--sort", "-id").splitlines()
        self.assertTrue(table[0].startswith("ID "))
        self.assertEqual([line.split()[0] for line in table[1:]], ["one-c", "one-b", "one-a"])
        listed = json.loads(ctl("devices", "list", "-l", "tags:all", "-o", "json"))
        self.assertEqual([item["id"] for item in listed], ["one-a", "one-b", "one-c"])
        rows = list(csv.DictReader(io.StringIO(ctl("devices", "list", "-l", "tags:all", "-o",
                                                   "csv"))))
        self.assertEqual([row["name"] for row in rows],
                         ["Pump a, old", "Pump b, old", "Pump c, old"])
        self.assertEqual(yaml.safe_load(ctl("devices", "list", "-l", "tags:all", "-o", "yaml")),
                         listed)
        self.assertEqual(json.loads(ctl("devices", "show", "one-a", "-o", "json"))["name"],
                         "Pump a, old")
        self.assertIn("Pump a, old", ctl("devices", "show", "one-a"))

    def test_filters_and_limits(self):
        self.assertEqual(self.ids("-l", "tags:lab"), ["one-a", "one-b"])
        self.assertEqual(self.ids("-l", 'tags:all "PUMP C"'), ["one-c"])
        self.assertEqual(self.ids("-l", "tags:all", "--limit", "2"), ["one-a", "one-b"])
        said = ctl("devices", "list", "-l", "tags:(lab", expect=1)
        self.assertIn("invalid_filter", said)
        self.assertIn("/query/filter", said)

    def test_update_and_states(self):
        ctl("devices", "add", "life", "--generate", str(server.directory))
        ctl("devices", "update", "life", "--tag", "x", "--tag", "y", "--model", "m",
            "--attribute", "k=v=w")
        ctl("devices", "update", "life", "--remove-tag", "x", "--remove-attribute", "k")
        device = json.loads(ctl("devices", "show", "life", "-o", "json"))
        self.assertEqual((device["tags"], device["model"], device["attributes"]), (["y"], "m", {}))
        self.assertIn("Suspended device life", ctl("devices", "suspend", "life"))
        self.assertEqual(self.ids("-l", "state:suspended"), ["life"])
        ctl("devices", "resume", "life")
        ctl("devices", "keys", "add", "life", "--fingerprint", fingerprint(77))
        self.assertIn(fingerprint(77), ctl("devices", "show", "life"))
        ctl("devices", "keys", "remove", "life", "--fingerprint", fingerprint(77))
        ctl("devices", "retire", "life")
        self.assertIn("invalid_state", ctl("devices", "resume", "life", expect=CONFLICT))
        self.assertEqual(ctl("devices", "delete", "life", "-q"), "")
        self.assertIn("device_not_found", ctl("devices", "show", "life", expect=NOT_FOUND))

    def test_what_fails_for_one_is_done_for_the_others(self):
        for name in ("m1", "m2"):
            ctl("devices", "add", name, "--fingerprint", fingerprint(ord(name[1])))
        said = ctl("devices", "delete", "m1", "m-none", "m2", expect=NOT_FOUND)
        self.assertIn("m-none", said)
        self.assertEqual(self.ids("-l", "id:m1 OR id:m2"), [])

    def test_exit_codes(self):
        ctl("devices", "show", "../x", expect=USAGE)
        ctl("devices", "show", "none", expect=NOT_FOUND)
        ctl("devices", "list", "--token", "bad", expect=DENIED)
        said = ctl("devices", "add", "one-a", "--fingerprint", fingerprint(99), expect=CONFLICT)
        self.assertIn("device_exists", said)
        ctl("devices", "list", "--server", f"https://{HOST}:1", expect=UNREACHABLE)
        key = pki.make_key()
        (server.directory / "other.crt").write_bytes(
            pki.make_certificate(key, "localhost").public_bytes(pki.PEM))
        ctl("devices", "list", "--ca", str(server.directory / "other.crt"), expect=UNREACHABLE)

    def test_completion_knows_ids(self):
        # The words come behind __complete, as from a shell.
        ran = subprocess.run([command()[0], "__complete", "--config", command()[2], "devices",
                              "suspend", "one-a", "one-"], capture_output=True, text=True)
        self.assertEqual(ran.stdout.split(), ["one-a", "one-b", "one-c"])

    def test_watch_tells_what_changes(self):
        with subprocess.Popen(command("devices", "list", "-l", "tags:watched", "-o", "json", "-w",
                                      "--interval", "0.2"), stdout=subprocess.PIPE) as watching:
            os.set_blocking(watching.stdout.fileno(), False)
            seen = []

            def next_line():
                seen.extend((watching.stdout.read() or b"").splitlines())
                return seen.pop(0) if seen else None
            try:
                ctl("devices", "add", "w1", "--fingerprint", fingerprint(500), "--tag", "watched")
                first = json.loads(wait_until(next_line, "the new device is told"))
                self.assertEqual((first["id"], first["state"]), ("w1", "preauthorised"))
                ctl("devices", "suspend", "w1")
                self.assertEqual(json.loads(wait_until(next_line, "the change is told"))["state"],
                                 "suspended")
                ctl("devices", "delete", "w1")
                self.assertEqual(json.loads(wait_until(next_line, "its end is told")),
                                 {"id": "w1", "gone": True})
            finally:
                watching.terminate()


class Transfer(Case):
    def test_many_devices_go_in_and_come_out(self):
        path = server.directory / "many.ndjson"
        with open(path, "w") as file:
            for number in range(MANY):
                file.write(json.dumps({"id": f"many-{number:05}",
                                       "keys": [fingerprint(10_000 + number)],
                                       "tags": ["many"], "name": f'He said "{number}", twice',
                                       "attributes": {"site": f"s{number % 7}"}}) + "\n")
        said = ctl("devices", "import", str(path), "--dry-run")
        self.assertIn(f"{MANY} created", said)
        self.assertIn("nothing was changed", said)
        self.assertEqual(ctl("devices", "list", "-q", "-l", "tags:many"), "")
        begin = time.monotonic()
        self.assertIn(f"{MANY} created", ctl("devices", "import", str(path)))
        self.assertLess(time.monotonic() - begin, 60)
        self.assertEqual(len(ctl("devices", "list", "-q", "-l", "tags:many").split()), MANY)
        self.assertEqual(ctl("devices", "import", str(path), expect=1).count("device_exists"), MANY)
        self.assertIn(f"{MANY} unchanged",
                      ctl("devices", "import", str(path), "--on-conflict", "update"))
        for name in ("all.ndjson", "all.csv"):
            target = server.directory / name
            self.assertIn("Exported", ctl("devices", "export", str(target)))
            with self.subTest(name):
                said = ctl("devices", "import", str(target), "--on-conflict", "update")
                self.assertIn("0 created, 0 updated", said)
        exported = ctl("devices", "export")
        self.assertEqual(sum('"many-' in line for line in exported.splitlines()), MANY)

    def test_bad_lines_are_told_and_do_not_harm_the_others(self):
        lines = (f'{{"id":"good-1","keys":["{fingerprint(900_001)}"]}}\nnonsense\n'
                 f'{{"id":"bad id","keys":[]}}\n'
                 f'{{"id":"good-2","keys":["{fingerprint(900_002)}"]}}\n')
        said = ctl("devices", "import", "-", "--format", "ndjson", stdin=lines, expect=1)
        self.assertIn("line 2:", said)
        self.assertIn("line 3:", said)
        self.assertIn("invalid_device_id", said)
        self.assertEqual(ctl("devices", "list", "-q", "-l", "id:good-*").split(),
                         ["good-1", "good-2"])
        ctl("devices", "import", "-", stdin=lines, expect=USAGE)
        ctl("devices", "import", str(server.directory / "none.csv"), expect=1)

    def test_what_was_not_written_whole_is_not_there(self):
        target = server.directory / "no" / "such" / "directory.csv"
        ctl("devices", "export", str(target), expect=1)
        refused = server.directory / "refused.csv"
        ctl("devices", "export", str(refused), "--token", "bad", expect=DENIED)
        self.assertFalse(refused.exists())
        self.assertFalse(refused.with_name("refused.csv.part").exists())


class Others(Case):
    def test_certificates_and_clients(self):
        ctl("devices", "add", "cert-1", "--generate", str(server.directory))
        ctl("device", "enroll", "cert-1", "--key", str(server.directory / "cert-1.key"), "--out",
            str(server.directory), "--est", f"https://{HOST}:{server.ports['enrolment']}")
        listed = json.loads(ctl("certificates", "list", "cert-1", "-o", "json"))
        self.assertEqual(len(listed), 1)
        serial = listed[0]["serial"]
        self.assertIn("Revoked certificate", ctl("certificates", "revoke", serial, "--reason",
                                                 "superseded"))
        ctl("certificates", "revoke", serial, expect=CONFLICT)
        ctl("certificates", "revoke", "xyz", expect=USAGE)
        self.assertEqual(json.loads(ctl("clients", "list", "-o", "json")), [])
        ctl("clients", "list", "--owner", "a", "--device", "b", expect=USAGE)

    def test_the_token_is_for_others(self):
        token = ctl("token").strip()
        status, _, _ = server.raw_rest("GET", "/api/v1/devices", None,
                                       {"Authorization": "Bearer " + token})
        self.assertEqual(status, 200)


if __name__ == "__main__":
    unittest.main()
