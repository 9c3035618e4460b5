"""The operator's own prices; the newest row of a model counts, the older ones stay as its history until it is removed."""

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store import changes
from broker.store.tables import Markup, OwnPrice


async def in_order(tx: AsyncSession) -> list[OwnPrice]:
    """Every row, the oldest first: the last of a model is the one that counts."""
    return list((await tx.exec(select(OwnPrice).order_by(col(OwnPrice.created_at)))).all())


async def markups_in_order(tx: AsyncSession) -> list[Markup]:
    """As `in_order`, of what the operator adds."""
    return list((await tx.exec(select(Markup).order_by(col(Markup.created_at)))).all())


async def add(tx: AsyncSession, price: OwnPrice | Markup) -> None:
    """Running servers learn of it at their next look at the change counter, which a command waits for."""
    tx.add(price)
    await tx.flush()
    await changes.bump(tx)


async def remove(tx: AsyncSession, provider: str, model: str) -> OwnPrice | None:
    """Deletes every row of the model; gives the one that counted, or None where there was none."""
    rows = [row for row in await in_order(tx) if (row.provider, row.model) == (provider, model)]
    if not rows:
        return None
    await tx.exec(delete(OwnPrice).where(col(OwnPrice.provider) == provider, col(OwnPrice.model) == model))
    await changes.bump(tx)
    return rows[-1]
