"""Devices that wait for a person's answer, by the digests of their two codes."""

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND
from broker.store.grant_tables import Device


async def add(tx: AsyncSession, device: Device) -> None:
    tx.add(device)
    await tx.flush()


async def load(tx: AsyncSession, digest: str) -> Device | None:
    return await tx.get(Device, digest)


async def with_user_code(tx: AsyncSession, user_code_digest: str) -> Device | None:
    return (await tx.exec(select(Device).where(Device.user_code_digest == user_code_digest))).first()


async def of_request(tx: AsyncSession, request_id: str) -> Device | None:
    return (await tx.exec(select(Device).where(Device.request_id == request_id))).first()


async def keep_user_code(tx: AsyncSession, digest: str, sealed: str) -> None:
    await tx.exec(update(Device).where(col(Device.digest) == digest).values(sealed_user_code=sealed))


async def poll(tx: AsyncSession, digest: str, at: int) -> bool:
    """Notes a poll; False for one that came before the interval was over."""
    due = col(Device.polled_at).is_(None) | (col(Device.polled_at) + col(Device.interval) * SECOND <= at)
    done = await tx.exec(
        update(Device)
        .where(col(Device.digest) == digest, due)
        .values(polled_at=at)
        .execution_options(synchronize_session=False)
    )
    return bool(done.rowcount == 1)


async def slow_down(tx: AsyncSession, digest: str, at: int, seconds: int) -> None:
    """For good: each poll that comes too soon adds to the interval, and begins it anew."""
    await tx.exec(
        update(Device)
        .where(col(Device.digest) == digest)
        .values(polled_at=at, interval=col(Device.interval) + seconds)
        .execution_options(synchronize_session=False)
    )


async def use(tx: AsyncSession, digest: str, now: int, family_id: str) -> bool:
    """The one use of a device code: the check is the write. False if it was used or has ended."""
    done = await tx.exec(
        update(Device)
        .where(col(Device.digest) == digest, col(Device.used_at).is_(None), col(Device.ends_at) > now)
        .values(used_at=now, family_id=family_id)
    )
    return bool(done.rowcount == 1)
