"""Work that goes on at providers: who looks at it next, and the hold that it keeps."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlmodel import SQLModel, col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import GrantState
from broker.store import grant_tables, ledger_tables, tables
from broker.store.ledger_tables import LASTING
from broker.store.object_tables import ProviderJob

TABLE_MODULES = (tables, grant_tables, ledger_tables)
_TABLES = SQLModel.metadata.tables
_BOOT, _CALL, _JOB = _TABLES["boot"], _TABLES["reservation"], _TABLES["provider_job"]
_ACCESS, _GRANT, _TOKEN = _TABLES["access"], _TABLES["grant"], _TABLES["access_token"]
_USER, _CLIENT = _TABLES["user"], _TABLES["client"]

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
    """Whether all that it was begun under is still there: access, grant, user, client, and its token with those above it."""
    query = (
        select(_ACCESS.c.id)
        .join(_GRANT, _GRANT.c.id == _ACCESS.c.grant_id)
        .join(_USER, _USER.c.id == _GRANT.c.user_id)
        .join(_CLIENT, _CLIENT.c.id == _GRANT.c.client_id)
        .where(_ACCESS.c.id == job.access_id, _ACCESS.c.ended_at.is_(None), _ACCESS.c.ends_at > now)
        .where(_GRANT.c.state == GrantState.ACTIVE.value, _USER.c.disabled_at.is_(None), _CLIENT.c.removed_at.is_(None))
    )
    connection = await tx.connection()
    if (await connection.execute(query)).first() is None:
        return False
    line = (
        select(_TOKEN.c.parent_jti, _TOKEN.c.revoked_at)
        .join(_CALL, _CALL.c.jti == _TOKEN.c.jti)
        .where(_CALL.c.id == job.reservation_id)
        .cte(recursive=True)
    )
    above = select(_TOKEN.c.parent_jti, _TOKEN.c.revoked_at).join(line, _TOKEN.c.jti == line.c.parent_jti)
    line = line.union_all(above)
    revoked = select(line.c.revoked_at).where(line.c.revoked_at.is_not(None)).limit(1)
    return (await connection.execute(revoked)).first() is None
