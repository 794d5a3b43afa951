#!/usr/bin/env python3
"""Fails when a C++ file includes from a folder that is not below its own, or a third-party library
that its folder may not know. The table is that of ARCHITECTURE.md. Usage: check_floors.py ROOT"""
import pathlib
import re
import sys

# folder: (folders it may include besides itself, third-party libraries it may know)
BASE = {"base"}
FLOORS = {
    "base": (set(), {"boost-system"}),
    "mqtt": (BASE, {"boost-system"}),
    "crypto": (BASE, {"openssl", "argon2"}),
    "filter": (BASE, {"boost-system"}),
    "storage": (BASE, {"rocksdb"}),
    "plugin": (BASE | {"mqtt", "storage"}, set()),
    "session": (BASE | {"mqtt", "plugin"}, set()),
    "routing": (BASE | {"mqtt"}, set()),
    "shard": (BASE | {"mqtt", "storage", "plugin", "session", "routing"}, set()),
    # Beast only in asio/asio_impl.cpp, the unit that compiles it once.
    "transport": (BASE | {"crypto"}, {"openssl", "asio", "beast"}),
    "net": (BASE | {"mqtt", "storage", "plugin", "session", "shard", "transport"}, set()),
    "http": (BASE | {"crypto", "storage", "transport"}, {"asio", "beast", "json", "url", "openssl"}),
    "auth": (BASE | {"mqtt", "crypto", "filter", "storage", "plugin", "http"}, {"asio", "json"}),
    "twin": (BASE | {"mqtt", "filter", "storage", "plugin", "http"},
             {"asio", "json", "simdjson", "cbor"}),
    "backup": (BASE | {"crypto", "storage"}, {"json"}),
    "admin-api": (BASE | {"mqtt", "crypto", "filter", "storage", "plugin", "http", "auth", "twin",
                          "backup"},
                  {"asio", "json", "yaml"}),
    "app": (None, {"asio", "yaml", "cli11", "spdlog", "prometheus", "json"}),
    "device": (BASE | {"crypto"}, {"asio", "beast", "json", "openssl", "yaml", "cli11", "paho"}),
    "cli": (BASE | {"crypto", "backup"}, {"asio", "beast", "json", "url", "openssl", "cli11", "yaml"}),
}
LIBRARIES = [
    ("rocksdb", r"rocksdb/"), ("openssl", r"openssl/|boost/asio/ssl"), ("argon2", r"argon2"),
    ("beast", r"boost/beast"), ("asio", r"boost/asio"), ("json", r"boost/json"),
    ("url", r"boost/url"), ("boost-system", r"boost/(system|assert)"), ("simdjson", r"simdjson"), ("cbor", r"cbor\.h"),
    ("yaml", r"yaml-cpp"), ("cli11", r"CLI/"), ("spdlog", r"spdlog"),
    ("prometheus", r"prometheus"), ("paho", r"mqtt/"),
]
INCLUDE = re.compile(r'\s*#\s*include\s+(["<])([^">]+)[">]')


def folder_of(root, path):
    parts = path.relative_to(root).parts
    return parts[1] if parts[0] == "broker" and len(parts) > 2 else parts[0]


def breaches(root):
    found = []
    for path in sorted(root.rglob("*.[ch]pp")):
        relative = path.relative_to(root)
        own = folder_of(root, path)
        if relative.parts[0] not in ("broker", "auth", "twin", "backup", "admin-api", "cli",
                                    "device") or own not in FLOORS:
            continue
        folders, libraries = FLOORS[own]
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match[2].split("/")[0]
            if match[1] == '"' and target in FLOORS:
                if target != own and folders is not None and target not in folders:
                    found.append(f"{relative}:{number}: {own} may not include {target}")
                continue
            library = next((name for name, form in LIBRARIES if re.match(form, match[2])), None)
            # A result type is all that every floor may take from Boost.
            if library and library != "boost-system" and library not in libraries:
                found.append(f"{relative}:{number}: {own} may not know {library}")
    return found


if __name__ == "__main__":
    problems = breaches(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) if problems else "floors: fine")
    sys.exit(bool(problems))
