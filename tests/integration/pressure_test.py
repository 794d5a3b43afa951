#!/usr/bin/env python3
"""The trials of perf/pressure.py, small: memory inside the budget, healthy clients served, every drop
counted by its reason."""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "perf"))
import pressure  # noqa: E402

BUDGET_MIB = 512


class Pressure(unittest.TestCase):
    def run_trial(self, name, scale):
        rows, failed = pressure.run(None, BUDGET_MIB, scale, [name])
        self.assertEqual(failed, [])
        return rows[-1]

    def test_a_client_that_never_reads_loses_what_is_counted(self):
        row = self.run_trial("never_reads", 0.1)
        self.assertGreater(row.dropped["output_full"], 0)

    def test_a_long_queue_is_on_disk_and_comes_back_in_order(self):
        row = self.run_trial("never_reads_stored", 0.02)
        self.assertEqual(row.missing, 0)

    def test_slow_clients_do_not_hurt_others(self):
        self.run_trial("thousand_slow", 0.05)

    def test_a_flood_of_filters_ends_at_the_cap(self):
        self.run_trial("subscription_flood", 0.01)

    def test_many_topics_and_wildcards_over_retained_ones(self):
        self.run_trial("million_topics", 0.05)
        self.run_trial("retained_storm", 0.02)


if __name__ == "__main__":
    unittest.main()
