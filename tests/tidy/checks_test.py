#!/usr/bin/env python3
"""The tidy checks find what they are for: each breach is made on purpose in a folder of its own."""
import pathlib
import tempfile

import check_floors
import check_sizes
import check_threats


def with_file(name, text, check):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        path = root / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return check(root)


FLOOR_CASES = [
    ("broker/mqtt/a.cpp", '#include "shard/shard.hpp"\n', True),
    ("broker/session/a.cpp", '#include "routing/topic_trie.hpp"\n', True),
    ("broker/routing/a.cpp", '#include "session/session.hpp"\n', True),
    ("broker/shard/a.cpp", "#include <rocksdb/db.h>\n", True),
    ("broker/session/a.cpp", "#include <boost/asio/post.hpp>\n", True),
    ("auth/a.cpp", '#include "net/core.hpp"\n', True),
    ("twin/a.cpp", "#include <openssl/evp.h>\n", True),
    ("device/a.cpp", '#include "mqtt/packet.hpp"\n', True),
    ("device/a.cpp", '#include "cli/file.hpp"\n', True),
    ("cli/a.cpp", "#include <mqtt/async_client.h>\n", True),
    ("device/a.cpp", '#include "crypto/key.hpp"\n#include <mqtt/async_client.h>\n', False),
    ("broker/shard/a.cpp", '#include "session/session.hpp"\n#include "base/ring.hpp"\n', False),
    ("broker/storage/a.cpp", "#include <rocksdb/db.h>\n", False),
]
for name, text, bad in FLOOR_CASES:
    assert bool(with_file(name, text, check_floors.breaches)) == bad, (name, text)

long_function = "int f() {\n" + "  g();\n" * 70 + "}\n"
fine_function = "int f() {\n" + "  g();\n" * 60 + "}\n"
SIZE_CASES = [
    ("broker/mqtt/a.cpp", long_function, True),
    ("broker/mqtt/a.cpp", "namespace a {\nstruct B {\n" + "  int x;\n" * 80 + "};\n}\n", False),
    ("broker/mqtt/a.cpp", fine_function * 2, False),
    ("broker/mqtt/a.cpp", "int x;\n" * 501, True),
    ("broker/mqtt/a.cpp", "int " + "x" * 100 + ";\n", True),
    ("broker/mqtt/a.hpp", "int x;\n", True),
    ("broker/mqtt/a.cpp", "// TO" + "DO later\n", True),
]
for name, text, bad in SIZE_CASES:
    assert bool(with_file(name, text, check_sizes.breaches)) == bad, (name, text[:60])
ROWS = "".join(f"| {n} | a threat | `test_known` |\n" for n in check_threats.NUMBERS)
KNOWN = "def test_known(self):\n"


def threats(document, tests):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in (("docs/threats.md", document), ("tests/integration/a_test.py", tests)):
            (root / name).parent.mkdir(parents=True)
            (root / name).write_text(text)
        return check_threats.problems_of(root)


THREAT_CASES = [
    (ROWS, KNOWN, False),
    (ROWS.replace("| 7 | a threat | `test_known` |\n", ""), KNOWN, True),
    (ROWS.replace("| 7 | a threat | `test_known` |", "| 7 | a threat | |"), KNOWN, True),
    (ROWS, "", True),
    (ROWS, KNOWN + "def test_threat_07_without_a_row(self):\n", True),
]
for document, tests, bad in THREAT_CASES:
    assert bool(threats(document, tests)) == bad, (document[:40], tests)
print(f"{len(FLOOR_CASES) + len(SIZE_CASES) + len(THREAT_CASES)} cases: fine")
