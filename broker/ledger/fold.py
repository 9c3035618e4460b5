"""Folding on SQLite, in a transaction that is open already: the oldest entries of ended calls become part of the sums."""

from dataclasses import dataclass

from broker.core.clock import MINUTE
from broker.store.steps import Statement, Steps, reading

QUARTER = 15 * MINUTE
"""Every time zone's days begin at the beginning of one."""

FOLDED = 500
"""Entries that go with a transaction of the books: 1.5 ms. One of their own has to wait for its turn, and keeps it for ten times as long."""


def _here(sql: str) -> Statement:
    """PostgreSQL has a statement of its own for all of it: there, several may fold at once."""
    return Statement(sql, "")


_FIRST = reading("SELECT count(*), max(seq) FROM (SELECT seq FROM usage_entry ORDER BY seq LIMIT ?)", "n")

_ADD_USAGE = _here(
    "INSERT INTO usage_quarter (grant_id, quarter, access_id, model, calls, input_tokens, output_tokens, cost, last_at) "
    "SELECT grant_id, admitted_at - admitted_at % ?, access_id, model, sum(calls), sum(input_tokens), "
    "sum(output_tokens), sum(cost), max(admitted_at) FROM usage_entry WHERE seq <= ? GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 "
    "ON CONFLICT (grant_id, quarter, access_id, model) DO UPDATE SET calls = calls + excluded.calls, "
    "input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens, "
    "cost = cost + excluded.cost, last_at = max(last_at, excluded.last_at)"
)
_ADD_SPENDING = _here(
    "INSERT INTO spending_quarter (user_id, quarter, cost) "
    "SELECT user_id, admitted_at - admitted_at % ?, sum(cost) FROM usage_entry WHERE seq <= ? "
    "GROUP BY 1, 2 ORDER BY 1, 2 ON CONFLICT (user_id, quarter) DO UPDATE SET cost = cost + excluded.cost"
)
_FORGET = _here("DELETE FROM usage_entry WHERE seq <= ?")


def fold_alone(most: int) -> Steps[int]:
    """At most so many; gives their number. SQLite writes one transaction at a time: below the last entry none can come."""
    [(number, last)] = yield _FIRST, [(most,)]
    if number:
        for statement in (_ADD_USAGE, _ADD_SPENDING):
            yield statement, [(QUARTER, last)]
        yield _FORGET, [(last,)]
    return int(number)


@dataclass(slots=True)
class Entries:
    """Those of the calls that were ended in this process: now and then they are folded with other things that are written."""

    there: int = 0
    """That were not folded here; somebody else may have done so."""
    folded: int = 0
    """By the transaction that is open."""

    def fold(self) -> Steps[None]:
        if self.there >= FOLDED:
            yield from fold_alone(self.there)
            self.folded = self.there

    def committed(self, ended: int) -> None:
        self.there += ended - self.folded
        self.folded = 0

    def undone(self) -> None:
        """If it was the folding that failed, calls go on without it, and the round of every few seconds says so."""
        self.there = self.folded = 0
