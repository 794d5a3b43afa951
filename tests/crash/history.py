"""Judges the complete history of all clients of a run of the crash lab: what was acknowledged must
be there, once where QoS 2 promises once, in order, and nothing else.

Events are tuples, in the order in which the clients saw them:
    ("asked", client, filter, qos)              SUBSCRIBE goes out: messages may come from now on
    ("subscribed", client, filter, qos)         SUBACK arrived: they are owed; `$share/group/filter` for a group
    ("sent", publisher, topic, qos, seq, kind)  handed to the client, once; seq counts from 1 per
                                                (publisher, topic, qos); kind "" or "clear"
    ("acknowledged", publisher, topic, qos, seq, reason)   PUBACK or PUBCOMP
    ("received", client, publisher, topic, qos, seq)       delivered to the application
    ("garbage", client, text)                   delivered, but not one of our payloads
    ("connected", client, session_present)      a client with a persistent session
    ("gone", client)                            its session was deleted; nothing is owed to it
    ("reading", reader), ("read", reader, publisher, topic, qos, seq), ("has_read", reader)
                                                a fresh look at all retained messages; "abandoned"
                                                in place of the last when the server died meanwhile
    ("drained",)                                all is acknowledged, everybody is connected and quiet
    ("crashed", how), ("started",), ("paused", s), ("full", s),
    ("takes_over", client)                      what the lab did; only counted
    ("may_lose", since)                         a power loss comes, and the server has said that what
                                                it acknowledged before `since` is safe; the rest, up
                                                to a client's next "connected", may be lost or not
and those of will_history.py and sample_history.py.

A retained topic has one publisher and one QoS. Nothing here knows how the events came about.
"""
import collections

import doubt
import sample_history
import will_history

LOST = "lost"                  # acknowledged, never delivered to a persistent subscriber
DOUBLED = "doubled"            # QoS 2 twice at one subscriber, or in one shared group
DISORDER = "out of order"      # a first delivery after that of a later message of its stream
PHANTOM = "phantom"            # never sent, or to somebody who did not subscribe
STALE = "retained stale"       # older than what was acknowledged, missing, or cleared and back
FORGOTTEN = "session forgotten"
STUCK = "never acknowledged"
DIED = "server died by itself"
WINDOW = "window too long"     # more is acknowledged and not synced than persistence.interval says
KINDS = (LOST, DOUBLED, DISORDER, PHANTOM, STALE, will_history.MISSING, will_history.DOUBLED,
         sample_history.LOST, sample_history.DOUBLED, FORGOTTEN, STUCK, DIED, WINDOW)
TEXTS_MAX = 20                 # texts kept of each kind; the count goes on


def matches(filter_text, topic):
    """Whether a topic filter matches; both are well formed."""
    wanted, levels = filter_text.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)


class Stream:
    """What one publisher sent on one topic with one QoS."""
    __slots__ = ("key", "sent", "judged", "acknowledged", "refused", "acknowledged_last", "clears",
                 "recent")

    def __init__(self, key):
        self.key, self.sent, self.judged, self.acknowledged_last = key, 0, 0, 0
        self.acknowledged, self.refused, self.clears = set(), set(), set()
        self.recent = doubt.Recent()


class Receiver:
    """A subscriber, or a shared group, and what it was given of each stream."""

    def __init__(self, name, is_group):
        self.name, self.is_group = name, is_group
        self.filters, self.asked = [], []
        self.start, self.below = {}, {}        # stream -> seq after which it counts; all judged
        self.received = collections.defaultdict(set)
        self.first_last = collections.defaultdict(int)

    def granted(self, topic, asked=False):
        found = [qos for text, qos in (self.asked if asked else self.filters)
                 if matches(text, topic)]
        return max(found) if found else None


class Judge:
    """feed() each event; `counts` and `texts` hold the findings, `figures` what was seen."""

    def __init__(self):
        self.streams, self.receivers, self.member_of = {}, {}, {}
        self.known_sessions, self.readings = set(), {}
        self.now, self.losing = 0.0, set()     # who may still hear of a server that is gone
        self.counts = collections.Counter()
        self.texts = collections.defaultdict(list)
        self.figures = collections.Counter()
        self.wills = will_history.WillJudge(self.finding, self.figures, PHANTOM)
        self.samples = sample_history.SampleJudge(self.finding, self.figures, PHANTOM)

    def feed(self, event, now=0.0):
        """`now`: in seconds, by the clock of `since`."""
        self.now = self.samples.now = now
        part = (self.wills if event[0].startswith("will_") else
                self.samples if event[0].startswith("sample") else self)
        getattr(part, "_" + event[0])(*event[1:])

    def finding(self, kind, text):
        self.counts[kind] += 1
        if len(self.texts[kind]) < TEXTS_MAX:
            self.texts[kind].append(text)

    @property
    def found(self):
        return sum(self.counts.values())

    # -- subscriptions and connections ------------------------------------------------------------
    def _asked(self, client, filter_text, qos):
        name, is_group = client, False
        if filter_text.startswith("$share/"):
            _, group, filter_text = filter_text.split("/", 2)
            name, is_group = f"$share/{group}/{filter_text}", True
            self.member_of.setdefault(client, []).append(name)
        receiver = self.receivers.setdefault(name, Receiver(name, is_group))
        receiver.asked.append((filter_text, qos))
        return receiver, filter_text

    def _subscribed(self, client, filter_text, qos):
        receiver, filter_text = self._asked(client, filter_text, qos)
        if (filter_text, qos) in receiver.filters:
            return
        receiver.filters.append((filter_text, qos))
        for stream in self.streams.values():
            if matches(filter_text, stream.key[1]):
                receiver.start.setdefault(stream.key, stream.sent)

    def _connected(self, client, session_present):
        self.figures["connects"] += 1
        self.losing.discard(client)
        if client in self.known_sessions and not session_present:
            self.finding(FORGOTTEN, f"{client}: the server knew its session no more")
        self.known_sessions.add(client)

    def _takes_over(self, _client):
        self.figures["take-overs"] += 1

    def _gone(self, client):
        self.receivers.pop(client, None)
        self.known_sessions.discard(client)

    def _crashed(self, how="kill", *_details):
        self.figures["crashes"] += 1
        self.figures["power losses"] += how == "power"

    def _paused(self, _seconds):
        self.figures["pauses"] += 1

    def _full(self, _seconds):
        self.figures["full disks"] += 1

    def _may_lose(self, since):
        for stream in self.streams.values():
            self.losing.add(stream.key[0])
            stream.recent.doubt_from(since)
            stream.acknowledged_last = stream.recent.safe_last
            self.figures["acknowledged in the window"] += len(stream.recent.doubtful)
        self.samples.may_lose(since, self.losing)

    def _started(self):
        self.figures["starts"] += 1

    # -- publishing -----------------------------------------------------------------------------
    def _sent(self, publisher, topic, qos, seq, kind=""):
        key = (publisher, topic, qos)
        stream = self.streams.get(key)
        if stream is None:
            stream = self.streams[key] = Stream(key)
        assert seq == stream.sent + 1, "the lab numbers without gaps"
        stream.sent = seq
        if kind == "clear":
            stream.clears.add(seq)
        self.figures[f"sent QoS {qos}"] += 1

    def _acknowledged(self, publisher, topic, qos, seq, reason):
        stream = self.streams[publisher, topic, qos]
        # 0x92 in a PUBCOMP: the release was stored before the crash took the answer.
        if reason >= 0x80 and not (qos == 2 and reason == 0x92):
            stream.refused.add(seq)
            self.figures["refused"] += 1
            return
        stream.acknowledged.add(seq)
        if publisher in self.losing:           # by the server that is gone
            stream.recent.doubt(seq)
            self.figures["acknowledged in the window"] += 1
        else:
            stream.recent.add(self.now, seq)
            stream.acknowledged_last = max(stream.acknowledged_last, seq)
        self.figures[f"acknowledged QoS {qos}"] += 1

    # -- delivery -------------------------------------------------------------------------------
    def _garbage(self, client, text):
        self.finding(PHANTOM, f"{client}: {text}")

    def _received(self, client, publisher, topic, qos, seq):
        self.figures["received"] += 1
        key = (publisher, topic, qos)
        stream = self.streams.get(key)
        label = f"{client}: {seq} of {publisher} on {topic} at QoS {qos}"
        if stream is None or seq > stream.sent:
            self.finding(PHANTOM, label + " was never sent")
            return
        receiver, granted = self._receiver_of(client, topic)
        if receiver is None:
            self.finding(PHANTOM, label + ", and it never subscribed")
            return
        known = receiver.received[key]
        judged = seq <= receiver.below.get(key, 0) and seq not in stream.refused
        if seq in known or judged:
            self.figures["received again"] += 1
            if min(qos, granted) == 2:
                self.finding(DOUBLED, label + " a second time")
            return
        known.add(seq)
        if not receiver.is_group:
            if seq < receiver.first_last[key]:
                self.finding(DISORDER, f"{label} after {receiver.first_last[key]}")
            else:
                receiver.first_last[key] = seq

    def _receiver_of(self, client, topic):
        for name in [client, *self.member_of.get(client, ())]:
            receiver = self.receivers.get(name)
            granted = receiver.granted(topic, asked=True) if receiver else None
            if granted is not None:
                return receiver, granted
        return None, None

    # -- retained messages ------------------------------------------------------------------------
    def _reading(self, reader):
        last = {key: stream.acknowledged_last for key, stream in self.streams.items()}
        self.readings[reader] = (last, {})

    def _read(self, reader, publisher, topic, qos, seq):
        self.figures["retained read"] += 1
        stream = self.streams.get((publisher, topic, qos))
        if stream is None or seq > stream.sent:
            self.finding(PHANTOM, f"retained on {topic}: {seq} was never sent")
            return
        self.readings[reader][1][stream.key] = seq

    def _abandoned(self, reader):
        self.readings.pop(reader, None)

    def _has_read(self, reader):
        last, values = self.readings.pop(reader)
        for key, stream in self.streams.items():
            if not key[1].startswith("retained/"):
                continue
            due = last.get(key, 0)
            if key in values:
                if values[key] < due:
                    self.finding(STALE, f"{key[1]} holds {values[key]}, {due} was acknowledged")
            elif due and not any(seq >= due for seq in stream.clears):
                self.finding(STALE, f"{key[1]} holds nothing, {due} was acknowledged")

    # -- the judgement ------------------------------------------------------------------------
    def _drained(self):
        for stream in self.streams.values():
            waiting = [seq for seq in range(stream.judged + 1, stream.sent + 1)
                       if seq not in stream.acknowledged and seq not in stream.refused]
            if waiting:
                self.finding(STUCK, f"{stream.key}: {len(waiting)}, the first is {waiting[0]}")
        for receiver in self.receivers.values():
            self._judge_receiver(receiver)
        for stream in self.streams.values():
            stream.judged = stream.sent
            stream.acknowledged.clear()
            stream.recent.settle()
            stream.clears = {seq for seq in stream.clears if seq >= stream.acknowledged_last}
        self.wills.drained()

    def _judge_receiver(self, receiver):
        for key, stream in self.streams.items():
            if receiver.granted(key[1]) is None:
                continue
            start = max(receiver.start.get(key, 0), receiver.below.get(key, 0))
            missing = sorted(seq for seq in stream.acknowledged
                             if seq > start and seq not in receiver.received[key])
            self.figures["judged"] += sum(seq > start for seq in stream.acknowledged)
            forgiven = stream.recent.doubtful.intersection(missing)
            self.figures["lost in the window"] += len(forgiven)
            for seq in sorted(set(missing) - forgiven):
                self.finding(LOST, f"{receiver.name}: {seq} of {key[0]} on {key[1]} "
                                   f"at QoS {key[2]} ({len(missing)} of this stream)")
            receiver.below[key] = stream.sent
            receiver.received[key].clear()

    def missing_now(self):
        """How many acknowledged messages have not been delivered yet: drain until it is 0."""
        count = 0
        for receiver in self.receivers.values():
            for key, stream in self.streams.items():
                if stream.acknowledged and receiver.granted(key[1]) is not None:
                    start = max(receiver.start.get(key, 0), receiver.below.get(key, 0))
                    due = {seq for seq in stream.acknowledged
                           if seq > start and seq not in stream.recent.doubtful}
                    count += len(due - receiver.received[key])
        return count + len(self.wills.missing())

    def retained_due(self, reader):
        """Topics of which the reader must be given a value."""
        last = self.readings[reader][0]
        return {key[1] for key, stream in self.streams.items()
                if key[1].startswith("retained/") and last.get(key, 0)
                and not any(seq >= last[key] for seq in stream.clears)}
