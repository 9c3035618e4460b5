"""Providers as the operator configured them."""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store import changes
from broker.store.tables import Provider


async def load(tx: AsyncSession, name: str) -> Provider | None:
    return await tx.get(Provider, name)


async def every(tx: AsyncSession) -> list[Provider]:
    return list((await tx.exec(select(Provider))).all())


async def save(tx: AsyncSession, provider: Provider) -> None:
    """Running servers learn of it at their next look at the change counter, which a command waits for."""
    await tx.merge(provider)
    await tx.flush()
    await changes.bump(tx)
