#!/usr/bin/env python3
"""Fails when a C++ file has over 500 lines, a line over 100 characters, or a function over 70 lines,
when a header lacks `#pragma once`, or a comment carries a note to do. Usage: check_sizes.py ROOT"""
import pathlib
import re
import sys

FILE_LINES, LINE_COLUMNS, FUNCTION_LINES = 500, 100, 70
# Tables told by name; everything else obeys.
EXEMPT_FILES = {"tests/unit/mqtt/vectors.hpp"}
OPENS_FUNCTION = re.compile(r"^(?!.*\b(namespace|class|struct|enum|union)\b[^()]*\{)[^#].*\)[^;]*\{\s*$|^\S.*\{\s*$")
SKIP_OPENERS = re.compile(r"^\s*(namespace|class|struct|enum|union|extern|template|}|=)|=\s*\{\s*$|^\s*TEST_SUITE")


def strip(text):
    """Blanks out comments, strings and characters, keeping lines."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])
    pattern = r'R"(\w*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\''
    return re.sub(pattern, blank, text, flags=re.S)


def functions(text):
    """(first line, length) of each brace block that a parameter list opens outside of any other."""
    lines = strip(text).split("\n")
    depth, inside, start = 0, None, 0
    head = ""
    for number, line in enumerate(lines, 1):
        for character in line:
            if character == "{":
                is_scope = re.search(r"\b(namespace|class|struct|enum|union|extern)\b", head) and \
                    not re.search(r"\)\s*(const|noexcept|override|final|\s)*$", head)
                if inside is None and not is_scope and ")" in head:
                    inside, start = depth, number
                depth += 1
                head = ""
            elif character == "}":
                depth -= 1
                if inside is not None and depth == inside:
                    yield start, number - start + 1
                    inside = None
                head = ""
            elif character == ";":
                head = ""
            else:
                head += character
        head += " "


def breaches(root):
    found = []
    for top in ("broker", "auth", "twin", "admin-api", "cli", "device", "tests", "perf"):
        for path in sorted((root / top).rglob("*.[ch]pp")):
            name = str(path.relative_to(root))
            text = path.read_text(errors="replace")
            lines = text.split("\n")
            if name in EXEMPT_FILES:
                continue
            if len(lines) > FILE_LINES + 1:
                found.append(f"{name}: {len(lines)} lines, {FILE_LINES} are allowed")
            for number, line in enumerate(lines, 1):
                if len(line) > LINE_COLUMNS:
                    found.append(f"{name}:{number}: {len(line)} columns")
                if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                    found.append(f"{name}:{number}: a note to do instead of the thing done")
            if name.endswith(".hpp") and "#pragma once" not in text:
                found.append(f"{name}: no #pragma once")
            for start, length in functions(text):
                if length > FUNCTION_LINES:
                    found.append(f"{name}:{start}: a function of {length} lines")
    return found


if __name__ == "__main__":
    problems = breaches(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) if problems else "sizes: fine")
    sys.exit(bool(problems))
