#!/usr/bin/env python3
"""Holds docs/threats.md against the tests: each test that a threat's row names exists, each test
called `threat_NN_…` stands in the row of its number, and each number has a row.
Usage: check_threats.py ROOT"""
import pathlib
import re
import sys

ROW = re.compile(r"^\|\s*(\d+)\s*\|(.*)\|\s*$")
NAMED = re.compile(r"`(?:[a-z_/]+\.py:)?((?:test_)?[A-Za-z0-9_ ,:'-]+)`")
PYTHON_TEST = re.compile(r"def (test_\w+)\(")
THREAT = re.compile(r"(?:test_)?threat_(\d+)_")
DOCTEST = re.compile(r'TEST_CASE\("((?:[^"\\]|\\.)*)"')
# device-management.md's numbers that later parts of the product own are left out on purpose.
NUMBERS = [*range(1, 25), 30, 31, 32]


def tests_in(root):
    names = set()
    for path in sorted((root / "tests").rglob("*_test.py")):
        if path.parent.name == "tidy":
            continue
        names.update(PYTHON_TEST.findall(path.read_text(errors="replace")))
    for path in sorted((root / "tests" / "unit").rglob("*_test.cpp")):
        names.update(DOCTEST.findall(path.read_text(errors="replace")))
    return names


def problems_of(root):
    document = root / "docs" / "threats.md"
    if not document.exists():
        return ["docs/threats.md is missing"]
    rows = {}
    for line in document.read_text().splitlines():
        match = ROW.match(line)
        if match:
            rows.setdefault(int(match[1]), []).extend(NAMED.findall(match[2].rsplit("|", 1)[-1]))
    found = []
    tests = tests_in(root)
    for number in NUMBERS:
        if number not in rows:
            found.append(f"threat {number} has no row in docs/threats.md")
        elif not rows[number]:
            found.append(f"threat {number} names no test in docs/threats.md")
    for number, names in rows.items():
        for name in names:
            if name not in tests:
                found.append(f"threat {number}: there is no test `{name}`")
    for name in sorted(tests):
        match = THREAT.match(name)
        if match and name not in rows.get(int(match[1]), []):
            found.append(f"{name} does not stand in the row of threat {match[1]}")
    return found


if __name__ == "__main__":
    problems = problems_of(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) if problems else "threats: fine")
    sys.exit(bool(problems))
