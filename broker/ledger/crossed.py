"""What a settlement brings a limit to: half of it, four fifths, all of it. Noted once a limit and period, with the settlement itself."""

from typing import NamedTuple

from broker.ledger.keys import CounterKey
from broker.ops.log import logger
from broker.store.steps import inserting

log = logger("ledger")

PERCENTS = (50, 80, 100)

NOTE = inserting(
    "threshold",
    (*CounterKey._fields, "limit", "percent", "used", "at"),
    "ttttn" + "nnnn",
    once=True,
)
"""A limit that was lowered and raised again is the same limit, and not noted twice."""


class Crossed(NamedTuple):
    """A counter that has come to so much of its limit, which is the figure typed."""

    key: CounterKey
    limit: int
    percent: int
    used: int
    """Overrun included."""

    def row(self, now: int) -> tuple[object, ...]:
        return (*self.key, self.limit, self.percent, self.used, now)

    def tell(self) -> None:
        log.info("limit.threshold", scope=self.key.scope_kind, id=self.key.scope_id, measure=self.key.measure, percent=self.percent)  # fmt: skip


def crossings(key: CounterKey, limit: int, before: int, used: int) -> list[Crossed]:
    """`before` and `used` are what was settled, with overruns, before the settlement and after it."""
    return [Crossed(key, limit, percent, used) for percent in PERCENTS if before * 100 < percent * limit <= used * 100]
