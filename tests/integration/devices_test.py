#!/usr/bin/env python3
"""The life of devices over REST and EST, and files of them: what a dry run says is what happens, a
kill -9 in the middle leaves whole devices, and what is wrong costs its own line alone."""
import hashlib
import http.client
import json
import pathlib
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import pki  # noqa: E402
from server import HOST, RestError, Server, wait_until  # noqa: E402

ROWS = 3_000
NDJSON = {"Content-Type": "application/x-ndjson"}


def key_of(text):
    return hashlib.sha256(text.encode()).hexdigest()


def line(device, key=None, **more):
    return json.dumps({"id": device, "keys": [key or key_of(device)], **more}) + "\n"


def call(server, method, target, body=None, headers=None):
    headers = {"Authorization": "Bearer " + (server.token or server.log_in()), **(headers or {})}
    status, _, answer = server.raw_rest(method, "/api/v1/devices:" + target, body, headers)
    return status, answer


def run_import(server, file, query="", headers=None):
    status, answer = call(server, "POST", "import" + query, file, headers or NDJSON)
    assert status == 200, answer
    lines = [json.loads(each) for each in answer.splitlines()]
    assert lines[-1]["summary"] is True
    return lines[:-1], lines[-1]


class Files(unittest.TestCase):
    def test_a_dry_run_says_what_the_import_does_with_duplicates_and_nonsense(self):
        rows = []
        for number in range(ROWS):
            device = f"d-{number % (ROWS - 500):05}"     # the last 500 are there already
            rows.append(line(device, name=f"n{number % 3}"))
            if number % 1000 == 7:
                rows += ["{\n", line("sub"), line(f"x-{number}", key_of("d-00000")),
                         '{"id":"' + "y" * 70_000 + '"}\n']
        file = "".join(rows).encode() + b'{"id":"\xff"}\n'
        for conflict in ("fail", "skip", "update"):
            with self.subTest(conflict), Server() as server:
                query = f"?onConflict={conflict}"
                tried, told = run_import(server, file, query + "&dryRun=true")
                self.assertEqual(server.rest("GET", "/api/v1/devices")["items"], [])
                done, summary = run_import(server, file, query)
                self.assertEqual(tried, done)
                self.assertEqual(len(done), len(rows) + 1)
                for name in ("lines", "created", "updated", "unchanged", "errors"):
                    self.assertEqual(told[name], summary[name])
                self.assertEqual(summary["created"], ROWS - 500)
                self.assertEqual(server.metric("skerry_devices"), ROWS - 500)
                server.restart()
                self.assertEqual(server.metric("skerry_devices"), ROWS - 500)

    def test_an_export_imports_elsewhere_as_it_was(self):
        with Server() as one, Server() as other:
            run_import(one, "".join(line(f"d-{number}", tags=["a b", f"t{number % 5}"],
                                         attributes={"site": f"s\u00e4{number % 3}"},
                                         model='say "x", y') for number in range(2_000)).encode())
            for kind in ("text/csv", "application/x-ndjson"):
                status, file = call(one, "GET", "export", headers={"Accept": kind})
                self.assertEqual(status, 200)
                _, summary = run_import(other, file, "?onConflict=update", {"Content-Type": kind})
                self.assertEqual(summary["errors"], 0)
                self.assertEqual(call(other, "GET", "export", headers={"Accept": kind})[1], file)
            self.assertEqual(summary["unchanged"], 2_000)

    def test_kill_9_amid_an_import_leaves_whole_devices_and_it_can_be_repeated(self):
        with Server() as server:
            server.log_in()
            file = "".join(line(f"d-{number:05}", name="x") for number in range(ROWS)).encode()

            def upload():
                try:
                    run_import(server, file)
                except (OSError, http.client.HTTPException, AssertionError):
                    pass  # the server went away, as it should

            thread = threading.Thread(target=upload)
            thread.start()
            wait_until(lambda: server.metric("skerry_devices") >= 500, "some are stored", 60)
            server.kill9()
            thread.join()
            server.start()
            stored = int(server.metric("skerry_devices"))
            self.assertGreater(stored, 0)  # of those counted, one batch was perhaps on its way
            done, summary = run_import(server, file, "?onConflict=update")
            self.assertEqual(summary["unchanged"], stored)
            self.assertEqual(summary["created"], ROWS - stored)

    def test_a_file_that_breaks_off_is_told_or_forgotten_and_the_server_goes_on(self):
        with Server() as server:
            token = server.log_in()
            cut = http.client.HTTPSConnection(HOST, server.ports["admin"], timeout=60,
                                              context=server.server_context())
            cut.putrequest("POST", "/api/v1/devices:import")
            for name, value in (("Authorization", "Bearer " + token), *NDJSON.items(),
                                ("Content-Length", "1000000")):
                cut.putheader(name, value)
            cut.endheaders()
            cut.send("".join(line(f"d-{number}") for number in range(1_000)).encode())
            wait_until(lambda: server.metric("skerry_devices") >= 256, "a batch is stored", 60)
            cut.close()
            large = http.client.HTTPSConnection(HOST, server.ports["admin"], timeout=60,
                                                context=server.server_context())
            large.request("POST", "/api/v1/devices:import", None,
                          {"Authorization": "Bearer " + token, **NDJSON,
                           "Content-Length": str(10**9)})
            self.assertEqual(large.getresponse().status, 413)
            large.close()
            _, summary = run_import(server, line("after").encode())
            self.assertEqual(summary["created"], 1)


class Life(unittest.TestCase):
    def test_a_device_enrols_only_in_the_states_that_allow_it(self):
        with Server() as server:
            device = pki.Device.enrolled(server, "pump")
            change = server.rest("POST", "/api/v1/devices/pump:suspend")
            self.assertEqual(change["device"]["state"], "suspended")
            self.assertEqual(change["sessionsClosed"], 0)
            with self.assertRaises(pki.EnrolmentRefused):
                device.enrol()
            self.assertEqual(server.rest("POST", "/api/v1/devices/pump:resume")["device"]["state"],
                             "enrolled")
            server.kill9()
            server.start()
            serial = server.rest("GET", "/api/v1/devices/pump/certificates")["items"][0]["serial"]
            server.rest("POST", f"/api/v1/certificates/{serial}:revoke", {"reason": "superseded"})
            device.enrol()  # its key is still good
            server.rest("POST", "/api/v1/devices/pump:retire")
            with self.assertRaises(RestError) as refused:
                server.rest("POST", "/api/v1/devices/pump:resume")
            self.assertEqual(refused.exception.code, "invalid_state")
            server.kill9()
            server.start()
            listed = server.rest("GET", "/api/v1/devices/pump/certificates")["items"]
            self.assertEqual(sorted(each["reason"] for each in listed),
                             ["cessationOfOperation", "superseded"])
            with self.assertRaises(pki.EnrolmentRefused):
                device.enrol()
            self.assertEqual(server.rest("GET", "/api/v1/devices/pump")["state"], "retired")


if __name__ == "__main__":
    unittest.main(verbosity=2)
