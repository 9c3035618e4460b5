"""The counter of changes that may end running calls; each worker looks at it every half second."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.database import Database
from broker.store.ledger_tables import Change

if TYPE_CHECKING:
    from broker.store.listen import Listener

LOOK_SECONDS = 0.5
"""How often a worker looks at the counter."""

HEEDED_SECONDS = 3 * LOOK_SECONDS
"""In so long a worker looks and reads anew what changed: one look may have begun just before the change."""


async def bump(tx: AsyncSession) -> None:
    """To be called in the transaction of every change that takes something away: revoke, pause, narrow, remove, disable."""
    await tx.exec(update(Change).values(count=col(Change.count) + 1))


async def count(tx: AsyncSession) -> int:
    return (await tx.exec(select(Change.count))).one()


async def seen(db: Database) -> int:
    """As `count`, for those who look again and again."""
    return int(await db.glance("SELECT count FROM change"))


def listener(db: Database, on_change: Callable[[], None]) -> "Listener | None":
    """Who calls back at once, whoever made the change; None on SQLite, where looking is all there is."""
    if not db.is_postgres:
        return None
    from broker.store.listen import Listener  # its driver is an extra

    return Listener(db.url, on_change)
