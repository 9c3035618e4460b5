"""Grant requests, from the authorization request to the person's answer."""

from sqlalchemy import ColumnElement, update
from sqlalchemy import text as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import RequestState
from broker.store.grant_tables import SEALED, Code, GrantRequest
from broker.store.tables import Client


async def add(tx: AsyncSession, request: GrantRequest) -> None:
    tx.add(request)
    await tx.flush()


async def load(tx: AsyncSession, request_id: str) -> GrantRequest | None:
    return await tx.get(GrantRequest, request_id)


async def load_with_client(tx: AsyncSession, request_id: str) -> tuple[GrantRequest, Client] | None:
    """None when there is no such request, or its client was removed since."""
    query = (
        select(GrantRequest, Client)
        .join(Client, col(Client.id) == col(GrantRequest.client_id))
        .where(GrantRequest.id == request_id, col(Client.removed_at).is_(None))
    )
    return (await tx.exec(query)).first()


async def load_pushed(tx: AsyncSession, pushed_digest: str, client_id: str) -> GrantRequest | None:
    """The pushed request of this client; another client's is as unknown as none."""
    query = select(GrantRequest).where(GrantRequest.pushed_digest == pushed_digest, GrantRequest.client_id == client_id)
    return (await tx.exec(query)).first()


async def open_pushed(tx: AsyncSession, request_id: str, now: int, ends_at: int) -> bool:
    """The first visit, which must come in time; False if it was opened before or has ended unopened."""
    done = await tx.exec(
        update(GrantRequest)
        .where(
            col(GrantRequest.id) == request_id,
            col(GrantRequest.opened_at).is_(None),
            col(GrantRequest.state) == RequestState.PENDING.value,
            col(GrantRequest.ends_at) > now,
        )
        .values(opened_at=now, ends_at=ends_at)
    )
    return bool(done.rowcount == 1)


async def keep_code(tx: AsyncSession, request_id: str, sealed_code: str) -> None:
    await tx.exec(update(GrantRequest).where(col(GrantRequest.id) == request_id).values(sealed_code=sealed_code))


async def erase_code(tx: AsyncSession, request_id: str) -> None:
    await keep_code(tx, request_id, "")


async def has_ended_codes(tx: AsyncSession, now: int) -> bool:
    """Whether there is anything to erase."""
    query = select(GrantRequest.id).where(sql(SEALED), _has_ended(now)).limit(1)
    return (await tx.exec(query)).first() is not None


def _has_ended(now: int) -> ColumnElement[bool]:
    return select(Code.digest).where(Code.request_id == GrantRequest.id, Code.ends_at <= now).exists()


async def erase_ended_codes(tx: AsyncSession, now: int) -> int:
    """Erases the done page's copies of codes that have ended; how many there were."""
    done = await tx.exec(
        update(GrantRequest)
        .where(sql(SEALED), _has_ended(now))
        .values(sealed_code="")
        .execution_options(synchronize_session=False)
    )
    return int(done.rowcount)
