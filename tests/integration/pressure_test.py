#!/usr/bin/env python3
"""The trials of perf/pressure.py, small: memory inside the budget, healthy clients served, every drop
counted by its reason."""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "perf"))
sys.path.insert(0, str(HERE.parent / "lib"))
import mqtt_codec as codec  # noqa: E402
import pressure  # noqa: E402
import pressure_clients as clients  # noqa: E402
from server import Server, plain_listener, wait_until  # noqa: E402

BUDGET_MIB = 512
SHUT = 'skerry_connections_shed_total{reason="closed"}'


class Pressure(unittest.TestCase):
    def run_trial(self, name, scale):
        rows, failed = pressure.run_trial(None, BUDGET_MIB, scale, name)
        self.assertEqual(failed, [])
        return rows[-1]

    def test_a_client_that_never_reads_loses_what_is_counted(self):
        row = self.run_trial("never_reads", 0.1)
        self.assertGreater(row.dropped["output_full"], 0)

    def test_a_long_queue_is_on_disk_and_comes_back_in_order(self):
        row = self.run_trial("never_reads_stored", 0.02)
        self.assertEqual(row.missing, 0)

    def test_who_is_connected_and_never_reads_misses_nothing_or_what_is_counted(self):
        self.run_trial("never_reads_connected", 0.05)

    def test_slow_clients_miss_what_is_counted_and_kept_sessions_nothing(self):
        self.run_trial("thousand_slow", 0.05)
        self.run_trial("thousand_slow_stored", 0.05)

    def test_a_flood_of_filters_ends_at_the_cap(self):
        self.run_trial("subscription_flood", 0.01)

    def test_many_topics_and_wildcards_over_retained_ones(self):
        self.run_trial("million_topics", 0.05)
        self.run_trial("retained_storm", 0.02)

    def test_doors_are_shut_before_any_work_while_memory_is_short_and_open_again(self):
        limits = {"memory": "160MiB", "output_bytes_max": "64MiB"}
        with Server(listeners=[plain_listener()], overrides={"limits": limits}) as server:
            port = server.ports["plain"]
            there = clients.open_client(port, "there")
            slow = [clients.open_client(port, f"slow-{i}", receive_bytes=4096) for i in range(4)]
            for each in slow:
                clients.subscribe(each, ["flood"])
            publisher = clients.open_client(port, "publisher")
            frame = codec.publish("flood", bytes(16_384), version=clients.VERSION)
            for _ in range(400):
                clients.send_all(publisher, [frame] * 16)
                if not clients.is_let_in(port) and server.metric(SHUT):
                    break
            self.assertGreater(server.metric(SHUT), 0)
            clients.ping(there)                # who is there stays and is served
            for each in slow:
                each.close()
            wait_until(lambda: clients.is_let_in(port), "the doors open again", 60)


if __name__ == "__main__":
    unittest.main()
