"""Roll-ups: what ended calls cost, summed by UTC quarter-hour, so that pages read thousands of rows and not millions.

A trigger writes one `usage_entry` with every ending, and another with the difference when a later truth changes one, in
the transaction that does so. Folding moves entries into the sums in one transaction. So whatever order calls end in,
however long they run, whenever somebody folds and in how many processes: sums and entries together are the sums over all
ended calls, in every snapshot. Nobody needs a watermark, and no clock is asked.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, literal_column, select, union_all
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

_E = ENTRY.c
# A constant, so that PostgreSQL sees that it groups by what it selects.
_QUARTER_OF = _E.admitted_at - _E.admitted_at % literal_column(str(QUARTER))


async def roll_up(db: Database) -> int:
    """Folds all entries there are; gives their number. Several processes may do so at once."""
    total = 0
    while done := await db.write_core(fold):
        total += done
        if done < BATCH:
            break
    return total


async def fold(connection: AsyncConnection) -> int:
    """One batch, in the transaction that is open: entries that nobody else folds are added, and are gone."""
    first = select(_E.seq).order_by(_E.seq).limit(BATCH).with_for_update(skip_locked=True)
    numbers = (await connection.execute(first)).scalars().all()
    if not numbers:
        return 0
    # SQLite writes one transaction at a time: there is no other below the last. Elsewhere one may be committed any moment.
    alone = connection.dialect.name == "sqlite"
    taken = _E.seq <= numbers[-1] if alone else _E.seq.in_(numbers)
    await sums.add_selected(connection, USAGE, _usage(taken), latest="last_at")
    await sums.add_selected(connection, SPENDING, _spending(taken))
    await connection.execute(delete(ENTRY).where(taken))
    return len(numbers)


async def used_by_access(tx: AsyncSession) -> list[tuple[str, int, int]]:
    """(access id, calls that ran, micro-dollars with overruns), of all time."""
    both = union_all(*(select(t.c.access_id, t.c.calls, t.c.cost) for t in (USAGE, ENTRY))).subquery().c
    query = select(both.access_id, func.sum(both.calls), func.sum(both.cost)).group_by(both.access_id)
    rows = (await (await tx.connection()).execute(query)).all()
    return [(access_id, int(calls), int(cost)) for access_id, calls, cost in rows]


def _usage(taken: ColumnElement[bool]) -> Select[Any]:
    keys = (_E.grant_id, _QUARTER_OF, _E.access_id, _E.model)
    figures = (_E.calls, _E.input_tokens, _E.output_tokens, _E.cost)
    query = select(*keys, *map(func.sum, figures), func.max(_E.admitted_at))
    return query.where(taken).group_by(*keys).order_by(*keys)


def _spending(taken: ColumnElement[bool]) -> Select[Any]:
    keys = (_E.user_id, _QUARTER_OF)
    return select(*keys, func.sum(_E.cost)).where(taken).group_by(*keys).order_by(*keys)
