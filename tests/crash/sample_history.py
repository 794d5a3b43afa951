"""Judges telemetry: of what the server acknowledged each sample is in the twin once, as it was sent.
Part of history.py.

    ("sample_sent", device, seq)
    ("sample_acknowledged", device, seq, reason)
    ("samples_read", device, first, [(seq, value), ...])    all rows that the server has from `first` on
The value of a sample is its own number.
"""
import collections

import doubt

LOST = "telemetry lost"
DOUBLED = "telemetry doubled"


class SampleJudge:
    def __init__(self, finding, figures, phantom):
        self.finding, self.figures, self.phantom = finding, figures, phantom
        self.sent = collections.Counter()
        self.acknowledged = collections.defaultdict(set)
        self.recent, self.now = collections.defaultdict(doubt.Recent), 0.0
        self.losing = ()

    def _sample_sent(self, device, seq):
        self.sent[device] = seq
        self.figures["samples sent"] += 1

    def _sample_acknowledged(self, device, seq, reason):
        # 0x92 in a PUBCOMP: the release was stored before the crash took the answer.
        if reason in (0, 0x10, 0x92):
            self.acknowledged[device].add(seq)
            if device in self.losing:
                self.recent[device].doubt(seq)
                self.figures["acknowledged in the window"] += 1
            else:
                self.recent[device].add(self.now, seq)
            self.figures["samples acknowledged"] += 1
        else:
            self.figures["samples refused"] += 1

    def may_lose(self, since, losing):
        self.losing = losing
        for device, recent in self.recent.items():
            losing.add(device)
            recent.doubt_from(since)
            self.figures["acknowledged in the window"] += len(recent.doubtful)

    def _samples_read(self, device, first, rows):
        seen = collections.Counter()
        for seq, value in rows:
            seen[seq] += 1
            if not first <= seq <= self.sent[device] or value != seq:
                self.finding(self.phantom, f"{device}: sample {seq} with the value {value}")
            elif seen[seq] == 2:
                self.finding(DOUBLED, f"{device}: sample {seq}")
        due = [seq for seq in self.acknowledged[device] if seq >= first]
        for seq in sorted(due):
            if not seen[seq] and seq in self.recent[device].doubtful:
                self.figures["lost in the window"] += 1
                self.acknowledged[device].discard(seq)     # a later look at all misses it, too
            elif not seen[seq]:
                self.finding(LOST, f"{device}: sample {seq}")
        self.recent[device].settle()
        self.figures["samples judged"] += len(due)
