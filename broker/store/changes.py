"""The counter of changes that may end running calls; each worker looks at it every half second."""

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.ledger_tables import Change


async def bump(tx: AsyncSession) -> None:
    """To be called in the transaction of every change that takes something away: revoke, pause, narrow, remove, disable."""
    await tx.exec(update(Change).values(count=col(Change.count) + 1))


async def count(tx: AsyncSession) -> int:
    return (await tx.exec(select(Change.count))).one()
