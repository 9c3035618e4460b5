"""Roll-ups: what ended calls cost, summed by UTC quarter-hour, so that pages read thousands of rows and not millions.

A trigger writes one `usage_entry` with every ending, and another with the difference when a later truth changes one, in
the transaction that does so. Folding moves entries into the sums in one transaction. So whatever order calls end in,
however long they run, whenever somebody folds and in how many processes: sums and entries together are the sums over all
ended calls, in every snapshot. Nobody needs a watermark, and no clock is asked.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Executable,
    Select,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.ledger.fold import QUARTER, fold_alone
from broker.store import ledger_tables, sums
from broker.store.database import Database
from broker.store.steps import run_steps

TABLE_MODULES = (ledger_tables,)
"""Named so that importing this module is importing the tables."""

ENTRY = SQLModel.metadata.tables["usage_entry"]
Columns = Any
"""Those of the entries, or of a statement that gives entries."""

USAGE = SQLModel.metadata.tables["usage_quarter"]
SPENDING = SQLModel.metadata.tables["spending_quarter"]

BATCH = 2_000
"""Entries a transaction: some ten milliseconds in which nothing else is written, most of them the entries' own."""

_E = ENTRY.c


async def roll_up(db: Database) -> int:
    """Folds all entries there are; gives their number. Several processes may do so at once."""
    total = 0
    # Nobody waits for a turn to write in order to learn that there is nothing to do.
    if await db.read_core(_is_any):
        while done := await db.write_core(fold):
            total += done
            if done < BATCH:
                break
    return total


async def _is_any(connection: AsyncConnection) -> bool:
    return (await connection.execute(_ANY)).first() is not None


async def fold(connection: AsyncConnection) -> int:
    """One batch, in the transaction that is open: entries that nobody else folds are added, and are gone."""
    return await _FOLDS[connection.dialect.name](connection)


async def _fold_alone(connection: AsyncConnection) -> int:
    return await run_steps(connection, fold_alone(BATCH))


async def _fold_among_others(connection: AsyncConnection) -> int:
    """PostgreSQL: what this statement deletes is what it adds, and what another one is about to delete is passed over."""
    return int((await connection.execute(_among_others(), {"most": BATCH})).scalar_one())


async def used_by_access(tx: AsyncSession) -> list[tuple[str, int, int]]:
    """(access id, calls that ran, micro-dollars with overruns), of all time."""
    both = union_all(*(select(t.c.access_id, t.c.calls, t.c.cost) for t in (USAGE, ENTRY))).subquery().c
    query = select(both.access_id, func.sum(both.calls), func.sum(both.cost)).group_by(both.access_id)
    rows = (await (await tx.connection()).execute(query)).all()
    return [(access_id, int(calls), int(cost)) for access_id, calls, cost in rows]


def _usage(e: Columns) -> Select[Any]:
    keys = (e.grant_id, _quarter_of(e), e.access_id, e.model)
    figures = (e.calls, e.input_tokens, e.output_tokens, e.cost)
    return select(*keys, *map(func.sum, figures), func.max(e.admitted_at)).group_by(*keys).order_by(*keys)


def _spending(e: Columns) -> Select[Any]:
    keys = (e.user_id, _quarter_of(e))
    return select(*keys, func.sum(e.cost)).group_by(*keys).order_by(*keys)


def _quarter_of(e: Columns) -> Any:
    # A constant, so that PostgreSQL sees that it groups by what it selects.
    return e.admitted_at - e.admitted_at % literal_column(str(QUARTER))


@cache
def _among_others() -> Executable:
    """Built once: it takes longer than to run it."""
    first = _OLDEST.with_for_update(skip_locked=True).cte("first")
    taken = delete(ENTRY).where(_E.seq == first.c.seq).returning(*_E).cte("taken")
    usage = sums.adding("postgresql", USAGE, _usage(taken.c), latest="last_at").cte("usage")
    spending = sums.adding("postgresql", SPENDING, _spending(taken.c)).cte("spending")
    return select(func.count()).select_from(taken).add_cte(usage, spending)


_OLDEST = select(_E.seq).order_by(_E.seq).limit(bindparam("most", type_=BigInteger))
_ANY = select(_E.seq).limit(1)
_FOLDS = {"sqlite": _fold_alone, "postgresql": _fold_among_others}
