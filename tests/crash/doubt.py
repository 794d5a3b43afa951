"""What a power loss may take without a finding: with `persistence.sync: interval` the server says how
old the oldest write is that it has acknowledged and not synced, and only what is younger is in
doubt. Part of history.py."""
import collections


class Recent:
    """Acknowledged numbers of one stream with their times, and which of them are in doubt."""
    __slots__ = ("times", "safe_last", "doubtful")

    KEPT_SECONDS = 120.0               # no window is as long as this

    def __init__(self):
        self.times, self.safe_last, self.doubtful = collections.deque(), 0, set()

    def add(self, now, seq):
        """A publisher's acknowledgements come in the order of their numbers, but for a resend."""
        self.times.append((now, seq))
        self.doubtful.discard(seq)
        while self.times and self.times[0][0] < now - self.KEPT_SECONDS:
            self.safe_last = max(self.safe_last, self.times.popleft()[1])

    def doubt_from(self, since):
        """The power goes: what came before `since` is safe, the rest may be lost."""
        while self.times and self.times[0][0] < since:
            self.safe_last = max(self.safe_last, self.times.popleft()[1])
        self.doubtful.update(seq for _, seq in self.times)
        self.times.clear()

    def doubt(self, seq):
        """Acknowledged by a server that is gone, and heard of late."""
        self.doubtful.add(seq)

    def settle(self):
        """What was in doubt has been judged."""
        self.doubtful.clear()
