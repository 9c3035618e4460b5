"""Signed-in browsers, by the digest of their handle."""

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import Session, User


async def find(tx: AsyncSession, digest: str, now: int, idle: int) -> tuple[Session, User] | None:
    """A session that has neither ended nor been idle for `idle` microseconds, of a user who is not disabled."""
    query = (
        select(Session, User)
        .where(Session.digest == digest, Session.ends_at > now, Session.seen_at > now - idle)
        .where(Session.user_id == User.id, col(User.disabled_at).is_(None))
    )
    row = (await tx.exec(query)).first()
    return None if row is None else (row[0], row[1])


async def add(tx: AsyncSession, digest: str, user_id: str, now: int, ends_at: int) -> None:
    tx.add(Session(digest=digest, user_id=user_id, created_at=now, seen_at=now, ends_at=ends_at))


async def touch(tx: AsyncSession, digest: str, now: int) -> None:
    await tx.exec(update(Session).where(col(Session.digest) == digest).values(seen_at=now))


async def end(tx: AsyncSession, digest: str) -> bool:
    """False if it was gone already."""
    done = await tx.exec(delete(Session).where(col(Session.digest) == digest))
    return done.rowcount == 1


async def end_of_user(tx: AsyncSession, user_id: str) -> int:
    """How many there were."""
    return (await tx.exec(delete(Session).where(col(Session.user_id) == user_id))).rowcount


async def sweep(tx: AsyncSession, now: int, idle: int) -> int:
    """Deletes what no longer works."""
    over = (col(Session.ends_at) <= now) | (col(Session.seen_at) <= now - idle)
    return (await tx.exec(delete(Session).where(over))).rowcount
