#!/usr/bin/env python3
"""Imports 100,000 devices through skerryctl, asks filters over them by REST and exports them again.
Fails when the import takes more than a minute or the filters' 99th percentile is above 50 ms.

    perf/import_load.py [--binaries DIR] [--devices N]"""
import argparse
import http.client
import json
import pathlib
import random
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "lib"))
from server import HOST, Server  # noqa: E402

IMPORT_SECONDS_MAX = 60
FILTER_MILLISECONDS_MAX = 50
ROUNDS = 25
FILTERS = [
    "state:preauthorised tags:lab attributes.site:site-17",
    "tags:(lab OR roof) NOT model:(m3 OR m4)",
    "attributes.firmware<2.7.5 tags:lab",
    "id:pump-0123*",
    'name:"Feed pump 77777"',
    '"hall 17"',
    "createdAt<-1d",
    "attributes.site:site-1* NOT tags:lab \"pump 1\"",
]


def write_devices(path, count):
    pick = random.Random(1)
    with open(path, "w") as file:
        for number in range(count):
            file.write(json.dumps({
                "id": f"pump-{number:06}", "keys": [f"{number + 1:064x}"],
                "name": f"Feed pump {number} hall {pick.randrange(40)}",
                "model": f"m{pick.randrange(12)}", "serialNumber": f"SN{pick.randrange(10**9)}",
                "tags": [tag for tag in ("beta", "lab", "roof") if pick.randrange(5) == 0],
                "attributes": {"site": f"site-{pick.randrange(200)}",
                               "firmware": f"2.{pick.randrange(20)}.{pick.randrange(10)}"},
            }) + "\n")


def control(server, *words):
    command = [str(server.binaries / "skerryctl"), "--config", str(server.directory / "cli.json")]
    return subprocess.run([*command, *words], check=True, capture_output=True, text=True).stdout


def ask(server, connection, text, **query):
    target = "/api/v1/devices?" + urllib.parse.urlencode({"filter": text, **query})
    begin = time.perf_counter()
    connection.request("GET", target, headers={"Authorization": "Bearer " + server.token})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    took = (time.perf_counter() - begin) * 1000
    assert answer.status == 200, body
    return took, body


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries")
    parser.add_argument("--devices", type=int, default=100_000)
    options = parser.parse_args()
    with Server(options.binaries) as server:
        server.log_in()
        control(server, "login", "--server", f"https://{HOST}:{server.ports['admin']}",
                "--data-dir", str(server.data_dir), "--password", server.password)
        path = server.directory / "devices.ndjson"
        write_devices(path, options.devices)
        begin = time.perf_counter()
        said = control(server, "devices", "import", str(path))
        imported = time.perf_counter() - begin
        print(f"import: {options.devices} devices in {imported:.1f} s, "
              f"{options.devices / imported:.0f} a second: {said.strip()}")
        times = []
        connection = http.client.HTTPSConnection(HOST, server.ports["admin"],
                                                 context=server.server_context())
        for text in FILTERS:
            taken = []
            for _ in range(ROUNDS):
                took, body = ask(server, connection, text, limit=50, count="exact")
                taken.append(took)
            taken.sort()
            print(f"filter: p50 {taken[ROUNDS // 2]:6.1f} ms, max {taken[-1]:6.1f} ms, "
                  f"{body['count']:6} found  {text}")
            times += taken
        times.sort()
        p99 = times[int(len(times) * 0.99)]
        begin = time.perf_counter()
        exported = control(server, "devices", "export", str(server.directory / "all.csv"))
        print(f"filter: p99 of all {p99:.1f} ms over REST\n"
              f"export: {time.perf_counter() - begin:.1f} s: {exported.strip()}")
        return imported > IMPORT_SECONDS_MAX or p99 > FILTER_MILLISECONDS_MAX


if __name__ == "__main__":
    sys.exit(main())
