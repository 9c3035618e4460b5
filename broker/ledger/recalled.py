"""Windows that stand in the database between transactions, for the brokers that share it on PostgreSQL.

Without them each transaction would read the rows of the whole last minute. Whoever admits or ends a call has locked the
counters of its access by then, so a window is read and written by one transaction at a time.
"""

from typing import NamedTuple

from broker.core.clock import SECOND
from broker.ledger.windows import Window

SETTLES = 30 * SECOND
"""A window is first kept so long after its access was made or changed. Whoever still admits by the limits of before, and
adds nothing here, has its counters by then: no transaction takes longer than ten seconds, neither that one nor the one that
begins the window, and clocks may be ten more apart."""


class Recalled(NamedTuple):
    """A row of RECALL_ACCESS or RECALL_TOKEN."""

    access_id: str
    jti: str
    version: str
    """Of the access as it is now."""
    kept_version: str
    """Of the access as it was when the window began; empty where there is none."""
    usable_at: int
    seconds: str
    """As dumped; empty until it is usable."""
    running: int

    def window(self, now: int) -> Window | None:
        """None where the rows themselves have to tell."""
        if self.kept_version != self.version or not self.seconds:
            return None
        window = Window.loaded(self.seconds)
        window.running = self.running
        window.leave_behind(now)
        return window

    def written(self, window: Window, now: int) -> tuple[object, ...] | None:
        """The parameters of KEEP_WINDOW; None while there is nothing to keep yet."""
        begins = self.kept_version != self.version
        if not begins and not self.seconds and self.usable_at > now:
            return None
        usable_at, seconds = (now + SETTLES, "") if begins else (self.usable_at, window.dumped())
        return self.access_id, self.jti, self.version, usable_at, seconds, now
