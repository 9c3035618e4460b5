"""Signing keys: the private part sealed, the public part as published."""

from sqlalchemy import update
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import SigningKey


async def not_retired(tx: AsyncSession, now: int) -> list[SigningKey]:
    """Of every purpose, in the order in which they begin to sign."""
    retires = col(SigningKey.retired_at)
    query = select(SigningKey).where(or_(retires.is_(None), retires > now))
    return list((await tx.exec(query.order_by(col(SigningKey.signs_at), col(SigningKey.created_at)))).all())


async def every(tx: AsyncSession) -> list[SigningKey]:
    return list((await tx.exec(select(SigningKey).order_by(col(SigningKey.created_at)))).all())


async def add(tx: AsyncSession, key: SigningKey) -> None:
    tx.add(key)
    await tx.flush()


async def forget_retired(tx: AsyncSession, now: int) -> None:
    """Erases the private parts of keys that nothing is believed from any more."""
    retired = update(SigningKey).where(col(SigningKey.retired_at) <= now, col(SigningKey.sealed) != "")
    await tx.exec(retired.values(sealed="").execution_options(synchronize_session=False))
