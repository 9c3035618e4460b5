"""Columns of sealed values, read and replaced without knowing what is in them."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import literal_column, text, update
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable
from broker.store.database import Database

LONGEST_TRANSACTION_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_EARLIER = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    " AND pid <> pg_backend_pid() AND xact_start <= CAST(CAST(:since AS text) AS timestamptz)"
)


class SealedColumn(NamedTuple):
    """`key` is the primary key of the table; `only` are the rows that are sealed, where not all of them are."""

    table: type[SQLModel]
    key: str
    column: str
    only: tuple[str, ...] = ()


class Change(NamedTuple):
    key: str
    old: str
    new: str


async def not_marked(tx: AsyncSession, where: SealedColumn, mark: str, after: str, most: int) -> Sequence[Any]:
    """Rows, by their key from `after` on, whose sealed value does not begin with this mark."""
    table: Any = where.table
    key, sealed = getattr(table, where.key), getattr(table, where.column)
    # Spelled out, so that the partial index over the few codes among many requests is used.
    wanted = select(table).where(sealed != literal_column("''"), ~sealed.startswith(mark), key > after)
    if where.only:
        wanted = wanted.where(key.in_(where.only))
    return (await tx.exec(wanted.order_by(key).limit(most))).all()


async def replace(tx: AsyncSession, where: SealedColumn, changes: Sequence[Change]) -> int:
    """How many were replaced: what another transaction has changed since it was read stays as that one left it."""
    table: Any = where.table
    key, sealed = getattr(table, where.key), getattr(table, where.column)
    done = 0
    for change in changes:
        ours = update(table).where(key == change.key, sealed == change.old)
        told = await tx.exec(ours.values({where.column: change.new}).execution_options(synchronize_session=False))
        done += told.rowcount
    return done


async def wait_for_earlier_writers(db: Database) -> None:
    """Returns once every transaction has ended that was open when it was called. Raises Unavailable after a minute."""
    if not db.is_postgres:
        # One writer at a time: who has the lock now began after the one before had committed.
        await db.write(lambda tx: tx.exec(select(1)))
        return
    since = await db.read(lambda tx: tx.scalar(text("SELECT clock_timestamp()::text")))
    for _ in range(int(LONGEST_TRANSACTION_SECONDS / _LOOK_SECONDS)):
        if not await db.read(lambda tx: tx.scalar(text(_EARLIER), {"since": since})):
            return
        await asyncio.sleep(_LOOK_SECONDS)
    raise Unavailable(detail="a transaction has been open for a minute")
