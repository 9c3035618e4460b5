"""How a person opens and answers a grant request."""

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import RequestState
from broker.store.grant_tables import GrantRequest

_ANSWERED = (RequestState.APPROVED.value, RequestState.DENIED.value)


async def open_for(tx: AsyncSession, request: GrantRequest, user_id: str, now: int, ends_at: int) -> None:
    """A pending request belongs to whoever opened it last, and stays open a while longer."""
    request.user_id = user_id
    request.opened_at = now if request.opened_at is None else request.opened_at
    request.ends_at = max(request.ends_at, ends_at)
    tx.add(request)
    await tx.flush()


async def mark_approved(
    tx: AsyncSession, request: GrantRequest, user_id: str, grant_id: str, granted: str, now: int
) -> bool:
    """`granted` is JSON for the done page; False if the request is no longer this person's to answer."""
    values = {"state": RequestState.APPROVED.value, "grant_id": grant_id, "granted": granted}
    return await _answer(tx, request, user_id, now, values)


async def mark_denied(tx: AsyncSession, request: GrantRequest, user_id: str, now: int) -> bool:
    return await _answer(tx, request, user_id, now, {"state": RequestState.DENIED.value})


async def last_answer(tx: AsyncSession, user_id: str, client_id: str) -> GrantRequest | None:
    """The last request of this app that this person approved or denied."""
    query = (
        select(GrantRequest)
        .where(GrantRequest.user_id == user_id, GrantRequest.client_id == client_id)
        .where(col(GrantRequest.state).in_(_ANSWERED))
        .order_by(col(GrantRequest.decided_at).desc())
    )
    return (await tx.exec(query.limit(1))).first()


async def approval_at(tx: AsyncSession, grant_id: str, decided_at: int) -> GrantRequest | None:
    """The request whose approval, at this very instant, made or changed the grant."""
    query = select(GrantRequest).where(GrantRequest.grant_id == grant_id, GrantRequest.decided_at == decided_at)
    return (await tx.exec(query.limit(1))).first()


async def _answer(tx: AsyncSession, request: GrantRequest, user_id: str, now: int, values: dict[str, str]) -> bool:
    done = await tx.exec(
        update(GrantRequest)
        .where(
            col(GrantRequest.id) == request.id,
            col(GrantRequest.state) == RequestState.PENDING.value,
            col(GrantRequest.user_id) == user_id,
            col(GrantRequest.ends_at) > now,
        )
        .values(decided_at=now, **values)
        .execution_options(synchronize_session=False)
    )
    if done.rowcount != 1:
        return False
    await tx.refresh(request)
    return True
