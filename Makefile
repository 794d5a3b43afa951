# Thin wrappers over the CMake presets; see CMakePresets.json. Each works as root or with sudo.
.DEFAULT_GOAL := build
SHELL := /bin/bash
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
CYCLES ?= 50
OPERATIONS ?= 1000000
SEEDS ?= 2000

configure = cmake --preset $(1) >/dev/null

.PHONY: build run test check asan tsan fuzz crash crash-interval sim idle revoke-load enrol-load flood pressure telemetry-load filter-bench import-load restart-load series-model series-crash series-bench clean bench guard-update

build:  ## server and CLI
	@scripts/install-dependencies build
	@$(call configure,release) -DSKERRY_TESTS=OFF
	@cmake --build build/release -j $(JOBS) --target skerryd skerryctl

.PHONY: agent
agent:  ## the device's agent
	@scripts/install-dependencies build
	@$(call configure,release) -DSKERRY_TESTS=OFF
	@cmake --build build/release -j $(JOBS) --target skerry-agent

run: build  ## start the server on the embedded defaults, data in ./skerry-data
	@exec build/release/bin/skerryd

test:  ## every test
	@scripts/install-dependencies build test
	@$(call configure,release) -DSKERRY_TESTS=ON
	@cmake --build build/release -j $(JOBS)
	@ctest --preset release

check:  ## format, lint, tidy
	@scripts/install-dependencies build test check
	@$(call configure,release) -DSKERRY_TESTS=ON
	@scripts/check-format
	@scripts/check-lint
	@ctest --preset release -R '^tidy'

asan tsan:  ## every test under AddressSanitizer + UBSan, or ThreadSanitizer
	@scripts/install-dependencies build test
	@cmake --preset $@ >/dev/null
	@cmake --build build/$@ -j $(JOBS)
	@ctest --preset $@

fuzz:  ## each fuzz target for FUZZ_SECONDS
	@scripts/install-dependencies build test fuzz
	@$(call configure,fuzz)
	@cmake --build --preset fuzz -j $(JOBS)
	@scripts/run-fuzzers $(FUZZ_SECONDS)

lab = /usr/bin/python3 -W ignore tests/crash/crash.py --cycles $(CYCLES) --binaries build/release/bin

.PHONY: crash-build crash-power crash-full crash-planted crash-summary
crash-build:
	@scripts/install-dependencies build test
	@$(call configure,release) -DSKERRY_TESTS=ON
	@cmake --build build/release -j $(JOBS) --target skerryd skerryd-lab skerry-power

crash: crash-build  ## CYCLES kill -9 under load, judged by the history of all clients; goes on where the last run ended
	@$(lab)

crash-power: crash-build  ## CYCLES losses of all that was not synced, and 20 in the first moments of a data directory
	@$(lab) --mode power
	@/usr/bin/python3 -W ignore tests/crash/first_start.py --cycles 20 --binaries build/release/bin

crash-full: crash-build  ## CYCLES full disks under load, on a small tmpfs (as root)
	@$(lab) --mode full

crash-interval: crash-build  ## CYCLES kill -9 and power losses with persistence.sync: interval, held to the window that the server states
	@$(lab) --mode interval

crash-planted: crash-build  ## the lab finds each planted bug, and a store that does not sync, within CYCLES
	@$(lab) --plant acknowledge-before-commit --expect lost
	@$(lab) --plant forget-qos2-id --expect doubled
	@$(lab) --plant drop-on-takeover --expect lost
	@$(lab) --mode power --sync none --expect lost
	@$(lab) --mode interval --window none --expect lost

crash-summary:  ## the sum of all runs of the crash lab
	@/usr/bin/python3 tests/crash/runlog.py build/crash/log.jsonl

sim:  ## SEEDS simulated worlds in virtual time, judged by the oracle of tests/sim
	@scripts/install-dependencies build test
	@$(call configure,release) -DSKERRY_TESTS=ON
	@cmake --build build/release -j $(JOBS) --target sim
	@build/release/bin/sim --seeds 1..$(SEEDS) --jobs $(JOBS)

series-model:  ## OPERATIONS of the series store against a naive model
	@scripts/install-dependencies build test
	@$(call configure,release) -DSKERRY_TESTS=ON
	@cmake --build build/release -j $(JOBS) --target test_twin
	@SKERRY_SERIES_OPERATIONS=$(OPERATIONS) build/release/bin/test_twin -tc="the series store agrees*"

series-crash:  ## CYCLES kill -9 of the series store in the middle of messages, seals and erasures
	@scripts/install-dependencies build test
	@$(call configure,release) -DSKERRY_TESTS=ON
	@cmake --build build/release -j $(JOBS) --target skerry-series-crash
	@build/release/bin/skerry-series-crash $(CYCLES) build/release/crash/series

series-bench:  ## the series store alone: samples per second, bytes per sample, questions
	@scripts/install-dependencies build
	@$(call configure,release)
	@cmake --build build/release -j $(JOBS) --target skerry-series-bench
	@build/release/bin/skerry-series-bench build/release/series-bench

bench:  ## Skerry beside Mosquitto, NATS, RabbitMQ, Aedes and the relay; writes docs/performance.md
	@scripts/install-dependencies build test bench
	@$(call configure,release)
	@cmake --build build/release -j $(JOBS) --target skerryd skerry-bench skerry-relay skerry-floor-trie skerry-floor-tls
	@mkdir -p build/bench/npm && cp perf/compare/package.json build/bench/npm/
	@npm install --prefix build/bench/npm --no-audit --no-fund --loglevel=error
	@/usr/bin/python3 perf/compare/compare.py

guard-update:  ## writes down what a message costs now, in instructions; tests/guard holds it
	@scripts/install-dependencies build test
	@$(call configure,release) -DSKERRY_TESTS=ON
	@cmake --build build/release -j $(JOBS) --target guard-update

idle: build  ## memory per idle connection, plain and mutual TLS
	@scripts/install-dependencies build test
	@/usr/bin/python3 perf/idle.py --binaries build/release/bin

enrol-load: build  ## 50 enrolments a second for a minute while others work
	@scripts/install-dependencies build test
	@/usr/bin/python3 perf/enrol.py --binaries build/release/bin

revoke-load: build  ## 5,000 sessions over mutual TLS whose rights end; fails above 200 ms and 5 s
	@scripts/install-dependencies build test
	@/usr/bin/python3 perf/revoke.py --binaries build/release/bin

pressure: build  ## clients that would push the server over; fails when memory leaves its budget or others wait
	@scripts/install-dependencies build test
	@/usr/bin/python3 perf/pressure.py --binaries build/release/bin

flood: build  ## healthy clients' p99 while others flood the doors; fails above 3 times quiet and 20 ms
	@scripts/install-dependencies build test
	@cmake --build build/release -j $(JOBS) --target skerry-flood
	@/usr/bin/python3 perf/flood.py --binaries build/release/bin

telemetry-load: build  ## durable telemetry over mutual TLS beside Mosquitto and a subscriber with SQLite
	@scripts/install-dependencies build test
	@cmake --build build/release -j $(JOBS) --target skerry-bench
	@/usr/bin/python3 perf/telemetry.py --binaries build/release/bin

filter-bench:  ## filters over 100,000 devices; fails above 50 ms at the 99th percentile
	@scripts/install-dependencies build
	@$(call configure,release) -DSKERRY_TESTS=OFF
	@cmake --build build/release -j $(JOBS) --target skerry-filter-bench
	@build/release/bin/skerry-filter-bench

.PHONY: agent-load
agent-load: build agent  ## what the agent costs a device; fails above 15 MB resident
	@scripts/install-dependencies build test
	@/usr/bin/python3 -W ignore perf/agent_load.py --binaries build/release/bin

restart-load: build  ## from the start to serving with queued messages; fails above 1 s with 100,000, 5 s with a million
	@/usr/bin/python3 perf/restart.py --binaries build/release/bin

import-load: build  ## import of 100,000 devices, filters over them, export; fails above a minute and 50 ms
	@scripts/install-dependencies build test
	@/usr/bin/python3 perf/import_load.py --binaries build/release/bin

clean:
	@rm -rf build
