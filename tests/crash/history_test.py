#!/usr/bin/env python3
"""The judge of the crash lab finds each kind of fault that is planted in a made-up history, and
finds nothing in a sound one."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import history  # noqa: E402
import sample_history  # noqa: E402
import will_history  # noqa: E402

TOPIC = "load/p/a"


def sent(seq, qos=1, topic=TOPIC, kind=""):
    return ("sent", "p", topic, qos, seq, kind)


def acknowledged(seq, qos=1, topic=TOPIC, reason=0):
    return ("acknowledged", "p", topic, qos, seq, reason)


def received(seq, qos=1, client="s", topic=TOPIC):
    return ("received", client, "p", topic, qos, seq)


def read(*values, topic="retained/p/x"):
    return [("reading", "r"), *(("read", "r", "p", topic, 1, v) for v in values), ("has_read", "r")]


START = [("connected", "s", False), ("subscribed", "s", "load/#", 2)]
DRAINED = ("drained",)
CRASH = [("crashed",), ("started",), ("connected", "s", True)]


def judge(*events):
    """The counts of findings after all events; lists among them are taken apart."""
    judge_ = history.Judge()
    for event in events:
        for one in event if isinstance(event, list) else [event]:
            judge_.feed(one)
    return dict(judge_.counts)


def exchange(seq, qos):
    return [sent(seq, qos), acknowledged(seq, qos), received(seq, qos)]


class Sound(unittest.TestCase):
    def test_everything_once_and_in_order(self):
        self.assertEqual({}, judge(START, *(exchange(i, q) for q in (1, 2) for i in range(1, 9)),
                                   DRAINED))

    def test_qos_1_may_come_again_after_a_crash(self):
        self.assertEqual({}, judge(START, sent(1), received(1), CRASH, received(1),
                                   acknowledged(1), DRAINED, received(1), DRAINED))

    def test_qos_2_published_but_subscribed_with_1_may_come_again(self):
        self.assertEqual({}, judge(("subscribed", "s", "load/#", 1), exchange(1, 2),
                                   received(1, 2), DRAINED))

    def test_what_was_sent_before_the_subscription_is_not_owed(self):
        self.assertEqual({}, judge(sent(1), acknowledged(1), START, exchange(2, 1), DRAINED))

    def test_messages_may_come_before_the_suback(self):
        self.assertEqual({}, judge(sent(1), ("asked", "s", "load/#", 2), received(1), START,
                                   acknowledged(1), sent(2), acknowledged(2), received(2), DRAINED))

    def test_what_was_refused_is_not_owed(self):
        self.assertEqual({}, judge(START, sent(1), acknowledged(1, reason=0x97), DRAINED))

    def test_a_late_delivery_of_something_refused_is_no_double(self):
        self.assertEqual({}, judge(START, sent(1, 2), acknowledged(1, 2, reason=0x97), DRAINED,
                                   received(1, 2)))

    def test_nothing_is_owed_to_a_deleted_session(self):
        self.assertEqual({}, judge(START, sent(1), acknowledged(1), ("gone", "s"), DRAINED,
                                   ("connected", "s", False)))

    def test_a_group_shares_the_messages_between_its_members(self):
        self.assertEqual({}, judge(("subscribed", "s", "$share/g/load/#", 2),
                                   ("subscribed", "t", "$share/g/load/#", 2),
                                   sent(1, 2), sent(2, 2), acknowledged(1, 2), acknowledged(2, 2),
                                   received(2, 2, "t"), received(1, 2, "s"), DRAINED))

    def test_retained_values_may_be_newer_than_the_acknowledged(self):
        topic = "retained/p/x"
        self.assertEqual({}, judge(sent(1, 1, topic), acknowledged(1, 1, topic), sent(2, 1, topic),
                                   read(2), read(1)))

    def test_a_cleared_retained_message_is_gone(self):
        topic = "retained/p/x"
        self.assertEqual({}, judge(sent(1, 1, topic), acknowledged(1, 1, topic),
                                   sent(2, 1, topic, "clear"), read(1), read(),
                                   acknowledged(2, 1, topic), DRAINED, read()))


class Planted(unittest.TestCase):
    def test_lost(self):
        self.assertEqual({history.LOST: 1}, judge(START, exchange(1, 1), sent(2), acknowledged(2),
                                                  exchange(3, 1), CRASH, DRAINED))

    def test_lost_by_one_of_two_subscribers(self):
        self.assertEqual({history.LOST: 1}, judge(
            START, ("subscribed", "t", "load/+/a", 1), exchange(1, 1), DRAINED))

    def test_lost_by_a_group(self):
        self.assertEqual({history.LOST: 1}, judge(
            ("subscribed", "s", "$share/g/load/#", 1), sent(1), acknowledged(1), DRAINED))

    def test_lost_after_the_release_was_answered_with_not_found(self):
        self.assertEqual({history.LOST: 1}, judge(START, sent(1, 2),
                                                  acknowledged(1, 2, reason=0x92), DRAINED))

    def test_doubled(self):
        self.assertEqual({history.DOUBLED: 1}, judge(START, exchange(1, 2), CRASH, received(1, 2),
                                                     DRAINED))

    def test_doubled_long_after_it_was_judged(self):
        self.assertEqual({history.DOUBLED: 1}, judge(START, exchange(1, 2), DRAINED, CRASH,
                                                     received(1, 2), DRAINED))

    def test_doubled_within_a_group(self):
        self.assertEqual({history.DOUBLED: 1}, judge(
            ("subscribed", "s", "$share/g/load/#", 2), ("subscribed", "t", "$share/g/load/#", 2),
            exchange(1, 2), received(1, 2, "t"), DRAINED))

    def test_out_of_order(self):
        self.assertEqual({history.DISORDER: 1}, judge(
            START, sent(1), sent(2), acknowledged(1), acknowledged(2), received(2), received(1),
            DRAINED))

    def test_phantoms(self):
        self.assertEqual({history.PHANTOM: 4}, judge(
            START, exchange(1, 1), received(2), received(1, 2), received(1, 1, "stranger"),
            ("garbage", "s", "a checksum does not match"), DRAINED))

    def test_retained_stale(self):
        topic = "retained/p/x"
        self.assertEqual({history.STALE: 1}, judge(
            sent(1, 1, topic), sent(2, 1, topic), acknowledged(1, 1, topic),
            acknowledged(2, 1, topic), read(1)))

    def test_retained_missing(self):
        topic = "retained/p/x"
        self.assertEqual({history.STALE: 1}, judge(
            sent(1, 1, topic), acknowledged(1, 1, topic), read()))

    def test_retained_cleared_and_back(self):
        topic = "retained/p/x"
        self.assertEqual({history.STALE: 1}, judge(
            sent(1, 1, topic), acknowledged(1, 1, topic), sent(2, 1, topic, "clear"),
            acknowledged(2, 1, topic), CRASH, read(1)))

    def test_retained_from_nowhere(self):
        topic = "retained/p/x"
        self.assertEqual({history.PHANTOM: 1}, judge(
            sent(1, 1, topic), acknowledged(1, 1, topic), read(1, 7)))

    def test_session_forgotten(self):
        self.assertEqual({history.FORGOTTEN: 1}, judge(START, ("connected", "s", False)))

    def test_never_acknowledged(self):
        self.assertEqual({history.STUCK: 1}, judge(START, sent(1), received(1), DRAINED))


WATCH = [("will_watched", "o"), ("will_asked", "m", 1)]
WILL_DUE, WILL_OFF = ("will_due", "m", 1), ("will_off", "m", 1)
WILL = ("will_received", "o", "m", 1)


class Wills(unittest.TestCase):
    def test_sound(self):
        self.assertEqual({}, judge(WATCH, WILL_DUE, WILL, DRAINED))
        self.assertEqual({}, judge(WATCH, WILL_OFF, DRAINED))

    def test_a_will_may_come_before_its_client_knows_that_it_is_due(self):
        self.assertEqual({}, judge(WATCH, WILL, WILL_DUE, DRAINED))

    def test_nothing_is_known_of_a_will_that_a_crash_met(self):
        self.assertEqual({}, judge(WATCH, CRASH, DRAINED))
        self.assertEqual({}, judge(WATCH, CRASH, WILL, DRAINED))

    def test_missing(self):
        self.assertEqual({will_history.MISSING: 1}, judge(WATCH, WILL_DUE, DRAINED, DRAINED))

    def test_missing_at_one_of_two_observers(self):
        self.assertEqual({will_history.MISSING: 1},
                         judge(("will_watched", "p"), WATCH, WILL_DUE, WILL, DRAINED))

    def test_double(self):
        self.assertEqual({will_history.DOUBLED: 1}, judge(WATCH, WILL_DUE, WILL, CRASH, WILL))

    def test_double_though_nothing_is_known_of_it(self):
        self.assertEqual({will_history.DOUBLED: 1}, judge(WATCH, WILL, CRASH, WILL))

    def test_not_due(self):
        self.assertEqual({will_history.DOUBLED: 1}, judge(WATCH, WILL_OFF, WILL))
        self.assertEqual({will_history.DOUBLED: 1}, judge(WATCH, WILL, WILL_OFF))

    def test_from_nowhere(self):
        self.assertEqual({history.PHANTOM: 1}, judge(WATCH, ("will_received", "o", "m", 2)))


SAMPLES = [("sample_sent", "d", 1), ("sample_acknowledged", "d", 1, 0), ("sample_sent", "d", 2)]


def rows(*pairs, first=1):
    return ("samples_read", "d", first, list(pairs))


class Samples(unittest.TestCase):
    def test_sound(self):
        self.assertEqual({}, judge(SAMPLES, rows((1, 1))))
        self.assertEqual({}, judge(SAMPLES, rows((1, 1), (2, 2))))
        self.assertEqual({}, judge(SAMPLES, ("sample_acknowledged", "d", 2, 0x97), rows((1, 1))))
        self.assertEqual({}, judge(SAMPLES, rows((2, 2), first=2)))

    def test_lost(self):
        self.assertEqual({sample_history.LOST: 1}, judge(SAMPLES, rows((2, 2))))

    def test_doubled(self):
        self.assertEqual({sample_history.DOUBLED: 1}, judge(SAMPLES, rows((1, 1), (1, 1))))

    def test_changed_or_from_nowhere(self):
        self.assertEqual({history.PHANTOM: 2}, judge(SAMPLES, rows((1, 1), (2, 7), (3, 3))))


class Filters(unittest.TestCase):
    def test_wildcards(self):
        for filter_text, topic, expected in (("a/#", "a", True), ("a/#", "a/b/c", True),
                                             ("a/+", "a/b", True), ("a/+", "a", False),
                                             ("a/+/c", "a/b/d", False), ("a", "a/b", False)):
            self.assertEqual(expected, history.matches(filter_text, topic), (filter_text, topic))



class Window(unittest.TestCase):
    """A server that may lose what is younger than it says, at times of our own."""

    def judge(self, *events):
        judge_ = history.Judge()
        for now, event in events:
            judge_.feed(event, now)
        return dict(judge_.counts)

    def stream(self, topic=TOPIC):
        return [(0.0, one) for one in START] + [
            (float(seq), event) for seq in (1, 2, 3)
            for event in (sent(seq, topic=topic), acknowledged(seq, topic=topic))]

    def test_what_was_acknowledged_within_it_may_be_lost(self):
        self.assertEqual({}, self.judge(*self.stream(), (4.0, ("may_lose", 2.0)), (4.0, received(1)),
                                        (5.0, DRAINED)))

    def test_so_may_what_is_heard_of_late(self):
        late = [*self.stream(), (4.0, ("may_lose", 2.0)), (4.0, received(1)), (4.0, sent(4)),
                (4.5, acknowledged(4))]
        self.assertEqual({}, self.judge(*late, (5.0, ("connected", "p", True)), (5.0, DRAINED)))
        self.assertEqual({history.LOST: 1},
                         self.judge(*late, (5.0, ("connected", "p", True)), (5.0, sent(5)),
                                    (5.0, acknowledged(5)), (5.0, DRAINED)))

    def test_or_be_there(self):
        self.assertEqual({}, self.judge(*self.stream(), (4.0, ("may_lose", 2.0)), (4.0, received(1)),
                                        (4.0, received(2)), (4.0, received(3)), (5.0, DRAINED)))

    def test_what_is_older_is_lost(self):
        self.assertEqual({history.LOST: 1},
                         self.judge(*self.stream(), (4.0, ("may_lose", 2.5)), (4.0, received(1)),
                                    (5.0, DRAINED)))

    def test_what_comes_after_it_is_lost(self):
        self.assertEqual({history.LOST: 1},
                         self.judge(*self.stream(), (4.0, ("may_lose", 2.0)), (4.0, received(1)),
                                    (5.0, ("connected", "p", True)), (5.0, sent(4)),
                                    (5.0, acknowledged(4)), (6.0, DRAINED)))

    def test_the_next_drain_forgives_nothing_of_it(self):
        self.assertEqual({history.LOST: 1},
                         self.judge(*self.stream(), (4.0, ("may_lose", 2.0)), (4.0, received(1)),
                                    (5.0, DRAINED), (5.0, ("connected", "p", True)), (6.0, sent(4)),
                                    (6.0, acknowledged(4)), (7.0, DRAINED)))

    def test_a_retained_message_may_be_as_old_as_the_window(self):
        topic = "retained/p/x"
        lost = [*self.stream(topic), (4.0, ("may_lose", 2.5))]
        self.assertEqual({}, self.judge(*lost, *((5.0, one) for one in read(2))))
        self.assertEqual({history.STALE: 1}, self.judge(*lost, *((5.0, one) for one in read(1))))
        self.assertEqual({history.STALE: 1}, self.judge(*lost, *((5.0, one) for one in read())))

    def test_a_sample_within_it_may_be_lost_and_an_older_one_not(self):
        samples = [(float(seq), event) for seq in (1, 2, 3)
                   for event in (("sample_sent", "d", seq), ("sample_acknowledged", "d", seq, 0))]
        look = (5.0, ("samples_read", "d", 1, [(1, 1)]))
        self.assertEqual({}, self.judge(*samples, (4.0, ("may_lose", 2.0)), look, look))
        self.assertEqual({sample_history.LOST: 1}, self.judge(*samples, (4.0, ("may_lose", 2.5)), look))


if __name__ == "__main__":
    unittest.main()
