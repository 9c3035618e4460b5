"""Work that goes on at providers: who looks at it next, and the hold that it keeps."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlmodel import SQLModel, col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantState
from broker.store import grant_tables, ledger_tables
from broker.store.grant_tables import Access, Grant
from broker.store.ledger_tables import LASTING
from broker.store.object_tables import ProviderJob

TABLE_MODULES = (grant_tables, ledger_tables)
_TABLES = SQLModel.metadata.tables
_BOOT, _CALL, _JOB = _TABLES["boot"], _TABLES["reservation"], _TABLES["provider_job"]

_FOREVER = 2**62


async def adopt(tx: AsyncSession, job: ProviderJob) -> bool:
    """Takes a hold from the lease of its worker, whose death it then outlives; False when it is held no more."""
    connection = await tx.connection()
    there = (await connection.execute(select(_BOOT.c.id).where(_BOOT.c.id == LASTING))).first()
    if there is None:
        await connection.execute(insert(_BOOT).values(id=LASTING, started_at=job.created_at, lease_ends_at=_FOREVER))
    held = update(_CALL).where(_CALL.c.id == job.reservation_id, _CALL.c.state == "held").values(boot_id=LASTING)
    if not (await connection.execute(held)).rowcount:
        return False
    tx.add(job)
    return True


async def due(tx: AsyncSession, now: int, most: int) -> Sequence[ProviderJob]:
    query = select_rows(ProviderJob).where(ProviderJob.due_at <= now).order_by(col(ProviderJob.due_at)).limit(most)
    return (await tx.exec(query)).all()


async def claim(tx: AsyncSession, job: ProviderJob, now: int, longest_pause: int) -> bool:
    """Whether it is ours to look at, and nobody else's before `pause` is over."""
    mine = update(_JOB).where(_JOB.c.reservation_id == job.reservation_id, _JOB.c.due_at == job.due_at)
    later = mine.values(due_at=now + job.pause, pause=min(2 * job.pause, longest_pause))
    return bool((await (await tx.connection()).execute(later)).rowcount)


async def are_open(tx: AsyncSession, digests: Sequence[str]) -> bool:
    """Whether any of it is not settled."""
    open_ones = select(_JOB.c.reservation_id).where(_JOB.c.digest.in_(digests)).limit(1)
    return (await (await tx.connection()).execute(open_ones)).first() is not None


async def hasten(tx: AsyncSession, digests: Sequence[str], now: int) -> bool:
    """Has it looked at next: somebody saw that it has ended."""
    sooner = update(_JOB).where(_JOB.c.digest.in_(digests), _JOB.c.due_at > now).values(due_at=now)
    return bool((await (await tx.connection()).execute(sooner)).rowcount)


async def cancelled(tx: AsyncSession, job: ProviderJob, now: int) -> None:
    asked = update(_JOB).where(_JOB.c.reservation_id == job.reservation_id).values(cancelled_at=now)
    await (await tx.connection()).execute(asked)


async def end(tx: AsyncSession, job: ProviderJob) -> None:
    await (await tx.connection()).execute(delete(_JOB).where(_JOB.c.reservation_id == job.reservation_id))


async def may_go_on(tx: AsyncSession, job: ProviderJob, now: int) -> bool:
    """Whether the access that it was begun under is still there, and its grant neither paused nor ended."""
    query = select(Access.id).join(Grant, col(Grant.id) == col(Access.grant_id)).where(col(Access.id) == job.access_id)  # type: ignore[call-overload]
    live = query.where(
        col(Access.ended_at).is_(None), col(Access.ends_at) > now, col(Grant.state) == GrantState.ACTIVE.value
    )
    return (await (await tx.connection()).execute(live)).first() is not None
