"""Tries to sign in or to use the setup code, counted by key over a window of time."""

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.handle import new_id
from broker.store.tables import Attempt


async def nth_newest(tx: AsyncSession, key: str, number: int, since: int) -> int | None:
    """When the n-th newest try after `since` was made; None if there were fewer than n."""
    query = (
        select(Attempt.at).where(Attempt.key == key, Attempt.at > since).order_by(col(Attempt.at).desc(), Attempt.id)
    )
    return (await tx.exec(query.offset(number - 1).limit(1))).first()


async def add(tx: AsyncSession, key: str, now: int) -> str:
    """The id of the try, by which it can be forgotten."""
    attempt = Attempt(id=new_id("att"), key=key, at=now)
    tx.add(attempt)
    return attempt.id


async def forget(tx: AsyncSession, attempt_ids: list[str]) -> None:
    await tx.exec(delete(Attempt).where(col(Attempt.id).in_(attempt_ids)))


async def sweep(tx: AsyncSession, until: int) -> int:
    """Deletes tries up to that instant."""
    return (await tx.exec(delete(Attempt).where(col(Attempt.at) <= until))).rowcount
