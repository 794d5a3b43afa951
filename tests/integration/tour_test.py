#!/usr/bin/env python3
"""Runs the tour of README exactly as printed: the ```sh blocks between the markers tour:begin and
tour:end. The first block starts the server and runs beside the others, which run as one `bash -e`
in the same directory. What was published must come back in the output.

The directory is a copy of the tree with the build of this run linked in, so that `make run` finds
everything built. The default ports must be free."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
from server import binaries_directory, wait_until  # noqa: E402

PORTS = (8883, 8443, 8444, 9464)


def blocks():
    text = (ROOT / "README.md").read_text()
    tour = re.search(r"<!-- tour:begin -->(.*?)<!-- tour:end -->", text, re.S)[1]
    return re.findall(r"```sh\n(.*?)```", tour, re.S)


def demand_free_ports():
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                sys.exit(f"port {port} is in use; the tour needs {PORTS}")


def copy_tree(target):
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    for name in files.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def use_build(target):
    """`make run` of the copy must not build for minutes: its cmake finds the programs of this run."""
    (target / "build/release/bin").mkdir(parents=True)
    for program in ("skerryd", "skerryctl"):
        os.symlink(binaries_directory() / program, target / "build/release/bin" / program)
    shims = target / "shims"
    shims.mkdir()
    (shims / "cmake").write_text("#!/bin/sh\nexit 0\n")
    (shims / "cmake").chmod(0o755)
    return shims


def ready():
    try:
        with urllib.request.urlopen("http://127.0.0.1:9464/health/ready", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def check_output(text):
    print(text)
    assert re.search(r"temperature\s+21\.5\s", text), "skerryctl did not show the reading"
    answer = next(line for line in text.splitlines() if line.startswith('{"items"'))
    items = json.loads(re.match(r"\{.*\}", answer)[0])["items"]
    assert [(i["key"], i["value"]) for i in items] == [("temperature", 21.5)], items
    assert "ot authorized" in text, "the foreign topic was not refused"


def main():
    demand_free_ports()
    start, *rest = blocks()
    assert start.strip() == "make run" and len(rest) >= 3
    with tempfile.TemporaryDirectory(prefix="skerry-tour-") as folder:
        target = pathlib.Path(folder)
        copy_tree(target)
        shims = use_build(target)
        home = {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder + "/config"}
        server = subprocess.Popen(
            ["bash", "-ec", start], cwd=target, start_new_session=True, stdin=subprocess.DEVNULL,
            env={**home, "PATH": f"{shims}:{os.environ['PATH']}"})
        try:
            wait_until(lambda: ready() or server.poll() is not None, "the server is ready", 120)
            assert server.poll() is None, "make run has ended"
            done = subprocess.run(["bash", "-ec", "\n".join(rest)], cwd=target, env=home, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
            check_output(done.stdout)
            assert done.returncode == 0, f"the blocks ended with {done.returncode}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(60)
    print("the tour works as printed")


if __name__ == "__main__":
    main()
