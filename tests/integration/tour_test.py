#!/usr/bin/env python3
"""Runs the tour of README.md as printed: the ```sh blocks between its markers, the first one
(`make run`) in the background, all others in one shell beside it, in a directory like a fresh
clone. Only the building is spared: the programs are those of SKERRY_BINARIES, and a `cmake` that
does nothing stands in for the real one. The default ports must be free."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from server import ROOT, binaries_directory, wait_until  # noqa: E402

PORTS = (8883, 8443, 8444, 9464)
START_SECONDS = 120
TOUR_SECONDS = 120
BEGIN, END = "<!-- tour:begin -->", "<!-- tour:end -->"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.S | re.M)
END_OF_BLOCK = "--- end of block"


def blocks():
    text = (ROOT / "README.md").read_text()
    begin, end = text.index(BEGIN), text.index(END)
    return BLOCK.findall(text[begin:end])


def taken_ports():
    taken = []
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                taken.append(port)
    return taken


class Tour(unittest.TestCase):
    def setUp(self):
        taken = taken_ports()
        if taken:
            self.fail(f"the tour needs the default ports, but {taken} are taken on this machine")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="skerry-tour-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.clone = self.directory / "skerry"
        self.clone.mkdir()
        self.copy_tree()
        self.environment = dict(os.environ, HOME=str(self.directory / "home"),
                                PATH=f"{self.directory / 'tools'}:{os.environ['PATH']}")
        for name in ("XDG_CONFIG_HOME", "SKERRY_PASSWORD", "MAKEFLAGS", "MAKELEVEL"):
            self.environment.pop(name, None)

    def copy_tree(self):
        shutil.copy(ROOT / "Makefile", self.clone)
        shutil.copytree(ROOT / "scripts", self.clone / "scripts")
        (self.directory / "home").mkdir()
        (self.clone / "build/release").mkdir(parents=True)
        (self.clone / "build/release/bin").symlink_to(binaries_directory())
        tools = self.directory / "tools"
        tools.mkdir()
        (tools / "cmake").write_text("#!/bin/sh\nexit 0\n")
        (tools / "cmake").chmod(0o755)

    def start_server(self, block):
        self.log_path = self.directory / "make-run.log"
        with open(self.log_path, "wb") as log:
            process = subprocess.Popen(["bash", "-e", "-c", block], cwd=self.clone,
                                       env=self.environment, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=subprocess.STDOUT,
                                       start_new_session=True)
        self.addCleanup(self.stop_server, process)

        def running():
            self.assertIsNone(process.poll(), "make run ended:\n" + self.log_path.read_text())
            said = self.log_path.read_text()
            return "https://" in said and "password" in said
        wait_until(running, "make run prints URLs and password", START_SECONDS)

    def stop_server(self, process):
        """As Ctrl-C in its terminal does."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def run_blocks(self, texts):
        """What each block has printed; all run in one shell, so that exports live on."""
        script = "".join(f"{text}echo '{END_OF_BLOCK}'\n" for text in texts)
        done = subprocess.run(["bash", "-e", "-c", script], cwd=self.clone, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TOUR_SECONDS)
        said = done.stdout.decode(errors="replace")
        print(said, flush=True)
        return done.returncode, said.split(END_OF_BLOCK + "\n")

    def test_the_tour_works_as_printed(self):
        texts = blocks()
        self.assertGreaterEqual(len(texts), 4, "README has too few blocks")
        self.assertEqual(texts[0], "make run\n")
        self.start_server(texts[0])
        refused = next(i for i, text in enumerate(texts) if '"temperature":99' in text)
        allowed = [text for i, text in enumerate(texts) if 0 < i != refused]
        code, said = self.run_blocks(allowed)
        self.assertEqual(code, 0, self.log_path.read_text())
        self.check_value(allowed, said)
        # In the tour this one comes last; it fails by intent.
        self.assertEqual(refused, len(texts) - 1)
        _, said = self.run_blocks([texts[refused]])
        self.assertIn("not authorized", said[0].lower())
        # The log is written by a thread of its own.
        denial = re.compile(r"denied.*devices/sensor-2/telemetry")
        wait_until(lambda: denial.search(self.log_path.read_text()), "the denial is logged")

    def check_value(self, texts, said):
        value = re.search(r"""-m '\{"temperature": ?([0-9.]+)\}'""", "".join(texts))[1]
        reads = 0
        for text, output in zip(texts, said):
            commands = text.count("skerryctl telemetry") + len(re.findall(r"^curl ", text, re.M))
            if commands:
                lines = [line for line in output.splitlines() if value in line]
                self.assertEqual(len(lines), commands, f"{value} in what {text} printed")
                reads += commands
        self.assertGreaterEqual(reads, 2, "the tour reads the value by skerryctl and curl")


if __name__ == "__main__":
    unittest.main(verbosity=2)
