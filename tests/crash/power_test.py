#!/usr/bin/env python3
"""The power switch loses what was not synced and nothing else: small programs under it write files
and are killed. Usage: power_test.py LIBRARY"""
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from power import Power  # noqa: E402

LIBRARY = os.environ.get("SKERRY_POWER_LIBRARY", "")

PROGRAM = """
import os, signal
def create(name, content=b""):
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, content)
    return file
def sync_directory(name="."):
    directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
{body}
os.kill(os.getpid(), signal.SIGKILL)
"""


class Nothing(random.Random):
    """Of what is not safe nothing survives."""

    def choice(self, options):
        return options[0]


class All(random.Random):
    """Directory operations survive all; of bytes, half."""

    def choice(self, options):
        return options[2]

    def randint(self, low, high):
        return (low + high) // 2


class PowerLoss(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.tree = pathlib.Path(self.directory.name).resolve() / "tree"
        self.tree.mkdir()
        self.power = Power(self.tree, self.tree.parent / "beside", LIBRARY)

    def run_program(self, body, luck=None):
        process = subprocess.run([sys.executable, "-S", "-c", PROGRAM.replace("{body}", body)],
                                 env={**os.environ, **self.power.begin()},
                                 cwd=self.tree if self.tree.exists() else self.tree.parent,
                                 stderr=subprocess.PIPE, check=False)
        self.assertEqual(-9, process.returncode, process.stderr.decode())
        return self.power.cut(luck or Nothing())

    def left(self):
        return {path.name: path.read_bytes() for path in self.tree.rglob("*") if path.is_file()}

    def test_a_synced_file_in_a_synced_directory_stays(self):
        self.run_program("f = create('a', b'123'); os.fsync(f); sync_directory()")
        self.assertEqual({"a": b"123"}, self.left())

    def test_bytes_behind_the_last_sync_go(self):
        loss = self.run_program(
            "f = create('a', b'123'); os.fdatasync(f); sync_directory(); os.write(f, b'456')")
        self.assertEqual({"a": b"123"}, self.left())
        self.assertEqual(3, loss.bytes_lost)

    def test_a_part_of_the_tail_may_survive(self):
        self.run_program("f = create('a', b'123'); os.fdatasync(f); sync_directory();"
                         "os.write(f, b'45')", All())
        left = self.left()["a"]
        self.assertTrue(len(left) == 4 and left.startswith(b"123"), left)

    def test_a_file_goes_without_a_sync_of_its_directory(self):
        self.run_program("f = create('a', b'123'); os.fsync(f)")
        self.assertEqual({}, self.left())

    def test_a_synced_directory_does_not_make_bytes_safe(self):
        self.run_program("f = create('a', b'123'); sync_directory()")
        self.assertEqual({"a": b""}, self.left())

    def test_what_was_there_before_is_safe(self):
        (self.tree / "old").write_bytes(b"old")
        self.run_program("f = create('old', b'new')")
        self.assertEqual({"old": b"old"}, self.left())

    def test_a_removed_file_is_back(self):
        (self.tree / "old").write_bytes(b"old")
        self.run_program("os.unlink('old')")
        self.assertEqual({"old": b"old"}, self.left())
        self.run_program("os.unlink('old'); sync_directory()")
        self.assertEqual({}, self.left())

    def test_a_rename_is_taken_back_with_what_it_replaced(self):
        (self.tree / "name").write_bytes(b"old")
        body = "f = create('name.new', b'new'); os.fsync(f); os.rename('name.new', 'name')"
        self.run_program("f = create('x'); sync_directory();" + body)
        self.assertEqual(b"old", self.left()["name"])
        self.run_program(body + "; sync_directory()")
        self.assertEqual(b"new", self.left()["name"])

    def test_a_truncated_file_has_its_bytes_back(self):
        (self.tree / "old").write_bytes(b"old")
        self.run_program("os.write(os.open('old', os.O_WRONLY | os.O_TRUNC), b'n')")
        self.assertEqual({"old": b"old"}, self.left())

    def test_a_directory_goes_with_all_in_it(self):
        self.run_program("os.mkdir('d'); f = create('d/a', b'1'); os.fsync(f);"
                         "sync_directory('d')")
        self.assertEqual([], list(self.tree.iterdir()))

    def test_the_tree_itself_is_not_taken(self):
        self.tree.rmdir()
        self.run_program("os.mkdir('tree'); f = create('tree/a', b'1'); os.fsync(f);"
                            "sync_directory('tree')")
        self.assertEqual({"a": b"1"}, self.left())

    def test_entries_that_survive_do_so_in_their_order(self):
        self.run_program("[os.fsync(create(n, b'1')) for n in 'abc']", All())
        self.assertEqual({"a", "b", "c"}, set(self.left()))

    def test_what_cannot_be_taken_back_is_said(self):
        (self.tree / "old").write_bytes(b"old")
        with self.assertRaisesRegex(RuntimeError, "in its middle"):
            self.run_program("os.pwrite(os.open('old', os.O_WRONLY), b'n', 0)")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        LIBRARY = sys.argv.pop(1)
    unittest.main()
