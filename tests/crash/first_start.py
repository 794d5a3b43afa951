#!/usr/bin/env python3
"""Power losses in the first moments of a data directory's life: the CAs, keys, certificates, lists and
passwords that are files beside the store are made then. Usage: first_start.py --cycles N [--binaries DIR]

In each cycle a server starts on nothing and loses its power, in half of them before it is ready, in
half after it has registered a device. It must start again on what is left; and once it has answered,
its root, the password and the device are the same as before.
"""
import argparse
import pathlib
import random
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
from power import Power  # noqa: E402
from server import RestError  # noqa: E402
from world import LabServer  # noqa: E402


def one_cycle(server, power, luck):
    """What is wrong, or None."""
    shutil.rmtree(server.data_dir, ignore_errors=True)
    server.password = server.token = None
    server.stdout_path.unlink(missing_ok=True)
    answered = luck.random() < 0.5
    if answered:
        server.start()
        server.rest("POST", "/api/v1/devices", {"id": "first"})
        root = pathlib.Path(server.root_certificate).read_bytes()
    else:
        server.start(wait=False)
        time.sleep(luck.uniform(0, 0.6))       # of the server's life: what the lab is about
    server.kill9()
    loss = power.cut(luck)
    what = f"answered {answered}, {loss}"
    try:
        # A password may have been made before the loss and never been shown: not waited for.
        server.password = server.password or "unknown"
        server.start()
        if not answered:
            return None
        if pathlib.Path(server.root_certificate).read_bytes() != root:
            return f"another root: {what}"
        server.log_in()
        server.rest("GET", "/api/v1/devices/first")
        return None
    except (RuntimeError, TimeoutError, RestError, OSError) as error:
        return f"{what}: {error}"
    finally:
        if server.process is not None:
            server.kill9()


def run(server, tree, options, luck):
    """The number of findings."""
    found = 0
    server.power = Power(tree, server.directory / "power",
                         options.power_library or server.binaries / "libskerry-power.so")
    for cycle in range(1, options.cycles + 1):
        wrong = one_cycle(server, server.power, luck)
        if wrong:
            found += 1
            print(f"cycle {cycle}: {wrong}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--binaries", type=pathlib.Path, default=None)
    parser.add_argument("--power-library", type=pathlib.Path, default=None)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    options.mode, options.plant, options.sync = "kill", None, None
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="skerry-first-") as directory:
        tree = pathlib.Path(directory).resolve() / "tree"
        tree.mkdir()
        server = LabServer(options, tree / "data")
        found = run(server, tree, options, random.Random(seed))
        server.close()
    print(f"{options.cycles} power losses in the first moments: {found or 'no'} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
