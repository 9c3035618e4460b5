"""Authorization codes, by digest."""

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.grant_tables import Code


async def add(tx: AsyncSession, code: Code) -> None:
    tx.add(code)
    await tx.flush()


async def load(tx: AsyncSession, digest: str) -> Code | None:
    return await tx.get(Code, digest)


async def use(tx: AsyncSession, digest: str, now: int, family_id: str) -> bool:
    """The one use of a code: the check is the write. False if it was used or has ended."""
    done = await tx.exec(
        update(Code)
        .where(col(Code.digest) == digest, col(Code.used_at).is_(None), col(Code.ends_at) > now)
        .values(used_at=now, family_id=family_id)
    )
    return bool(done.rowcount == 1)
