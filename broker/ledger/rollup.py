"""Roll-ups: what ended calls cost, summed by UTC quarter-hour, so that pages read thousands of rows and not millions.

A trigger writes one `usage_entry` with every ending, and another with the difference when a later truth changes one, in
the transaction that does so. Folding moves entries into the sums in one transaction. So whatever order calls end in,
however long they run, whenever somebody folds and in how many processes: sums and entries together are the sums over all
ended calls, in every snapshot. Nobody needs a watermark, and no clock is asked.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, delete, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import MINUTE
from broker.store import ledger_tables, sums
from broker.store.database import Database

TABLE_MODULES = (ledger_tables,)
"""Named so that importing this module is importing the tables."""

QUARTER = 15 * MINUTE
"""Every time zone's days begin at the beginning of one."""

ENTRY = SQLModel.metadata.tables["usage_entry"]
USAGE = SQLModel.metadata.tables["usage_quarter"]
SPENDING = SQLModel.metadata.tables["spending_quarter"]

BATCH = 500
"""Entries a transaction: a few milliseconds in which nothing else is written."""

_SUMS = ("calls", "input_tokens", "output_tokens", "cost")


async def roll_up(db: Database) -> int:
    """Folds all entries there are; gives their number. Several processes may do so at once."""
    total = 0
    while done := await db.write_core(fold):
        total += done
        if done < BATCH:
            break
    return total


async def fold(connection: AsyncConnection) -> int:
    """One batch, in the transaction that is open. Who deletes an entry adds it, and nobody else can have deleted it."""
    first = select(ENTRY.c.seq).order_by(ENTRY.c.seq).limit(BATCH).with_for_update(skip_locked=True)
    taken = delete(ENTRY).where(ENTRY.c.seq.in_(first)).returning(ENTRY)
    entries = (await connection.execute(taken)).all()
    if entries:
        await sums.add(connection, USAGE, _usage(entries), latest="last_at")
        await sums.add(connection, SPENDING, _spending(entries))
    return len(entries)


async def used_by_access(tx: AsyncSession) -> list[tuple[str, int, int]]:
    """(access id, calls that ran, micro-dollars with overruns), of all time."""
    both = union_all(*(select(t.c.access_id, t.c.calls, t.c.cost) for t in (USAGE, ENTRY))).subquery().c
    query = select(both.access_id, func.sum(both.calls), func.sum(both.cost)).group_by(both.access_id)
    rows = (await (await tx.connection()).execute(query)).all()
    return [(access_id, int(calls), int(cost)) for access_id, calls, cost in rows]


def quarter_of(instant: int) -> int:
    return instant - instant % QUARTER


def _usage(entries: Iterable[Row[Any]]) -> dict[tuple[Any, ...], dict[str, int]]:
    found: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys((*_SUMS, "last_at"), 0))
    for entry in entries:
        those = found[entry.grant_id, quarter_of(entry.admitted_at), entry.access_id, entry.model]
        for name in _SUMS:
            those[name] += getattr(entry, name)
        those["last_at"] = max(those["last_at"], entry.admitted_at)
    return found


def _spending(entries: Iterable[Row[Any]]) -> dict[tuple[Any, ...], dict[str, int]]:
    found: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: {"cost": 0})
    for entry in entries:
        if entry.cost:
            found[entry.user_id, quarter_of(entry.admitted_at)]["cost"] += entry.cost
    return found
