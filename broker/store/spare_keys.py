"""Which credentials an access may use, and in which order: its own first, then its spare ones."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store import changes
from broker.store.grant_tables import Access
from broker.store.pool_tables import CallAttempt, SpareKey
from broker.store.tables import Credential


async def lend(tx: AsyncSession, access: Access, credential_ids: Sequence[str], strategy: str = "priority") -> None:
    """These and no others, by priority; calls that run on one that is taken away are cut."""
    first, *others = dict.fromkeys(credential_ids)
    before = {access.credential_id, *(row.credential_id for row in await _rows(tx, [access.id]))}
    await tx.exec(delete(SpareKey).where(col(SpareKey.access_id) == access.id))
    for priority, credential_id in enumerate(others, 1):
        tx.add(SpareKey(access_id=access.id, priority=priority, credential_id=credential_id))
    access.credential_id, access.strategy = first, strategy if others else ""
    tx.add(access)
    await tx.flush()
    if before - {first, *others}:
        await changes.bump(tx)


async def ids_of(tx: AsyncSession, access: Access) -> list[str]:
    """Of all its credentials, removed ones among them, by priority."""
    return [access.credential_id, *(row.credential_id for row in await _rows(tx, [access.id]))]


async def of(tx: AsyncSession, access_ids: Iterable[str]) -> dict[str, list[Credential]]:
    """By access, its spare credentials by priority, removed ones among them."""
    query = (
        select(SpareKey.access_id, Credential)
        .join(Credential, col(Credential.id) == col(SpareKey.credential_id))
        .where(col(SpareKey.access_id).in_(list(access_ids)))
        .order_by(col(SpareKey.access_id), col(SpareKey.priority))
    )
    found: dict[str, list[Credential]] = {}
    for access_id, row in (await tx.exec(query)).all():
        found.setdefault(access_id, []).append(row)
    return found


async def attempts_of(tx: AsyncSession, reservation_ids: Iterable[str]) -> dict[str, list[CallAttempt]]:
    """By reservation, the attempts before its last one, which the reservation itself tells of."""
    query = select(CallAttempt).where(col(CallAttempt.reservation_id).in_(list(reservation_ids)))
    found: dict[str, list[CallAttempt]] = {}
    for row in await tx.exec(query.order_by(col(CallAttempt.reservation_id), col(CallAttempt.place))):
        found.setdefault(row.reservation_id, []).append(row)
    return found


async def _rows(tx: AsyncSession, access_ids: Sequence[str]) -> Sequence[SpareKey]:
    query = select(SpareKey).where(col(SpareKey.access_id).in_(access_ids))
    return (await tx.exec(query.order_by(col(SpareKey.priority)))).all()
