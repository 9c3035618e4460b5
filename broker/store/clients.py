"""Registered clients."""

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store import changes
from broker.store.tables import Client


async def load(tx: AsyncSession, client_id: str) -> Client | None:
    """None also for one that was removed."""
    client = await tx.get(Client, client_id)
    return None if client is None or client.removed_at is not None else client


async def all_live(tx: AsyncSession) -> list[Client]:
    query = select(Client).where(col(Client.removed_at).is_(None)).order_by(col(Client.created_at))
    return list((await tx.exec(query)).all())


async def add(tx: AsyncSession, client: Client) -> None:
    tx.add(client)
    await tx.flush()


async def remove(tx: AsyncSession, client_id: str, now: int) -> bool:
    """Its tokens are dead from the next call on; False if it was gone already."""
    done = await tx.exec(
        update(Client).where(col(Client.id) == client_id, col(Client.removed_at).is_(None)).values(removed_at=now)
    )
    if done.rowcount != 1:
        return False
    await changes.bump(tx)
    return True
