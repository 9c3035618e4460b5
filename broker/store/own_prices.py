"""The operator's own prices; the newest row of a model counts, the older ones stay as its history."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store import changes
from broker.store.tables import OwnPrice


async def add(tx: AsyncSession, price: OwnPrice) -> None:
    """Running servers learn of it at their next look at the change counter."""
    tx.add(price)
    await tx.flush()
    await changes.bump(tx)
