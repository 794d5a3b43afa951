"""Judges wills: each that is due comes once, each that is not due never comes. Part of history.py.

    ("will_watched", observer)            a persistent subscriber of all wills, at QoS 2; from now on
    ("will_asked", client, seq)           a CONNECT with will number seq goes out: it may come
    ("will_taken", client, seq)           its CONNACK came; only counted
    ("will_due", client, seq)             its connection ended so that it has to be published
    ("will_off", client, seq)             it must not be published any more, nor have been
    ("will_received", observer, client, seq)
Of a will that was asked for and is neither due nor off nothing is known: a crash came between.
"""
import collections

MISSING = "will missing"
DOUBLED = "will double"        # twice, or although it was not due
OPEN, DUE, OFF = "open", "due", "off"


class WillJudge:
    def __init__(self, finding, figures, phantom):
        self.finding, self.figures, self.phantom = finding, figures, phantom
        self.states, self.observers = {}, set()
        self.counts = collections.Counter()    # (observer, client, seq)
        self.unjudged = set()                  # wills that are due

    def _will_watched(self, observer):
        self.observers.add(observer)

    def _will_asked(self, client, seq):
        self.states[client, seq] = OPEN

    def _will_taken(self, _client, _seq):
        self.figures["wills taken"] += 1

    def _will_due(self, client, seq):
        self.states[client, seq] = DUE
        self.unjudged.add((client, seq))

    def _will_off(self, client, seq):
        self.states[client, seq] = OFF
        self.figures["wills off"] += 1
        for observer in self.observers:
            if self.counts[observer, client, seq]:
                self.finding(DOUBLED, f"{observer}: will {seq} of {client} came, it was not due")

    def _will_received(self, observer, client, seq):
        self.figures["wills received"] += 1
        state = self.states.get((client, seq))
        label = f"{observer}: will {seq} of {client}"
        if state is None:
            self.finding(self.phantom, label + " was never asked for")
            return
        self.counts[observer, client, seq] += 1
        if state is OFF:
            self.finding(DOUBLED, label + " came, it was not due")
        elif self.counts[observer, client, seq] > 1:
            self.finding(DOUBLED, label + " a second time")

    def missing(self):
        """(observer, client, seq) of what is due and has not come."""
        return [(observer, *will) for will in sorted(self.unjudged)
                for observer in sorted(self.observers) if not self.counts[(observer, *will)]]

    def seen(self, client, seq):
        return any(self.counts[observer, client, seq] for observer in self.observers)

    def drained(self):
        for observer, client, seq in self.missing():
            self.finding(MISSING, f"{observer}: will {seq} of {client}")
        self.figures["wills judged"] += len(self.unjudged)
        self.unjudged.clear()
