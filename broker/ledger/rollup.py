"""Roll-ups: what ended calls cost, summed by UTC quarter-hour, so that pages read thousands of rows and not millions.

A trigger writes one `usage_entry` with every ending, and another with the difference when a later truth changes one, in
the transaction that does so. Folding moves entries into the sums in one transaction. So whatever order calls end in,
however long they run, whenever somebody folds and in how many processes: sums and entries together are the sums over all
ended calls, in every snapshot. Nobody needs a watermark, and no clock is asked.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, Table, case, delete, func, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import MINUTE
from broker.store import ledger_tables
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
        await _add(connection, USAGE, _usage(entries))
        await _add(connection, SPENDING, _spending(entries))
    return len(entries)


async def used_by_access(tx: AsyncSession) -> list[tuple[str, int, int]]:
    """(access id, calls that ran, micro-dollars with overruns), of all time."""
    both = union_all(*(select(t.c.access_id, t.c.calls, t.c.cost) for t in (USAGE, ENTRY))).subquery().c
    query = select(both.access_id, func.sum(both.calls), func.sum(both.cost)).group_by(both.access_id)
    rows = (await (await tx.connection()).execute(query)).all()
    return [(access_id, int(calls), int(cost)) for access_id, calls, cost in rows]


def quarter_of(instant: int) -> int:
    return instant - instant % QUARTER


def _usage(entries: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    sums: dict[tuple[str, int, str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys((*_SUMS, "last_at"), 0))
    for entry in entries:
        found = sums[entry.grant_id, quarter_of(entry.admitted_at), entry.access_id, entry.model]
        for name in _SUMS:
            found[name] += getattr(entry, name)
        found["last_at"] = max(found["last_at"], entry.admitted_at)
    return _rows(USAGE, sums)


def _spending(entries: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    sums: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: {"cost": 0})
    for entry in entries:
        if entry.cost:
            sums[entry.user_id, quarter_of(entry.admitted_at)]["cost"] += entry.cost
    return _rows(SPENDING, sums)


def _rows(table: Table, sums: dict[Any, dict[str, int]]) -> list[dict[str, Any]]:
    """In the order of their keys: two that fold at once wait for each other, and never in a circle."""
    names = [column.name for column in table.primary_key]
    return [dict(zip(names, key, strict=True)) | sums[key] for key in sorted(sums)]


async def _add(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name](table)
    there, new = table.c, insert.excluded
    values = {name: there[name] + new[name] for name in _SUMS if name in there}
    if "last_at" in there:
        values["last_at"] = case((new.last_at > there.last_at, new.last_at), else_=there.last_at)
    await connection.execute(insert.on_conflict_do_update(index_elements=table.primary_key, set_=values), list(rows))
