"""Signing keys: the private part sealed, the public part as published."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import SigningKey


async def in_use(tx: AsyncSession) -> list[SigningKey]:
    """All that are not retired, the newest last: it signs, the others still verify."""
    query = select(SigningKey).where(col(SigningKey.retired_at).is_(None)).order_by(col(SigningKey.created_at))
    return list((await tx.exec(query)).all())


async def add(tx: AsyncSession, key: SigningKey) -> None:
    tx.add(key)
    await tx.flush()
