"""What a person has lent: grants with their apps, accesses with the keys they spend from, and what became of them."""

from collections.abc import Sequence

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import LIVE, GrantState, RequestState
from broker.store.grant_tables import Access, Grant, GrantRequest
from broker.store.pool_tables import SpareKey
from broker.store.tables import AuditEntry, Client, Credential


async def grants_among(tx: AsyncSession, grant_ids: Sequence[str]) -> list[tuple[Grant, Client]]:
    query = select(Grant, Client).join(Client, col(Client.id) == col(Grant.client_id))
    return list((await tx.exec(query.where(col(Grant.id).in_(grant_ids)))).all())


async def active_of(tx: AsyncSession, user_id: str, now: int) -> list[tuple[str, str]]:
    """(grant id, name of its app) of what can spend now, newest first."""
    running = select(Access.id).where(Access.grant_id == Grant.id, col(Access.ended_at).is_(None), Access.ends_at > now)
    query = (
        select(Grant.id, Client.name)
        .join(Client, col(Client.id) == col(Grant.client_id))
        .where(Grant.user_id == user_id, Grant.state == GrantState.ACTIVE.value, running.exists())
    )
    return list((await tx.exec(query.order_by(col(Grant.created_at).desc(), col(Grant.id)))).all())


async def grant_of(tx: AsyncSession, user_id: str, grant_id: str) -> tuple[Grant, Client] | None:
    """None also for another person's grant."""
    query = select(Grant, Client).join(Client, col(Client.id) == col(Grant.client_id))
    return (await tx.exec(query.where(Grant.user_id == user_id, Grant.id == grant_id))).first()


async def accesses_of(tx: AsyncSession, *grant_ids: str) -> list[tuple[Access, Credential]]:
    """Those that no later decision took away, in the order of each grant."""
    query = (
        select(Access, Credential)
        .join(Credential, col(Credential.id) == col(Access.credential_id))
        .where(col(Access.grant_id).in_(grant_ids), col(Access.ended_at).is_(None))
        .order_by(col(Access.position))
    )
    return list((await tx.exec(query)).all())


async def keys_of(tx: AsyncSession, user_id: str) -> list[Credential]:
    """What the user's grants spend from, removed ones and the operator's among it."""
    lent = select(Access.credential_id).join(Grant, col(Grant.id) == col(Access.grant_id))
    query = select(Credential).where(col(Credential.id).in_(lent.where(Grant.user_id == user_id)))
    return list((await tx.exec(query)).all())


async def borrowers(tx: AsyncSession, credential_id: str, now: int) -> list[tuple[Grant, Client]]:
    """Live grants that spend from this key."""
    spare = select(SpareKey.access_id).where(SpareKey.credential_id == credential_id)
    spending = select(Access.grant_id).where(
        or_(col(Access.credential_id) == credential_id, col(Access.id).in_(spare)),
        col(Access.ended_at).is_(None),
        Access.ends_at > now,
    )
    query = (
        select(Grant, Client)
        .join(Client, col(Client.id) == col(Grant.client_id))
        .where(col(Grant.id).in_(spending), col(Grant.state).in_([state.value for state in LIVE]))
        .order_by(col(Grant.created_at), col(Client.name))
    )
    return list((await tx.exec(query)).all())


async def waiting_for(tx: AsyncSession, user_id: str, now: int) -> list[tuple[GrantRequest, Client]]:
    """Requests this person opened and has not answered, while they can be: of each app the newest."""
    query = (
        select(GrantRequest, Client)
        .join(Client, col(Client.id) == col(GrantRequest.client_id))
        .where(GrantRequest.user_id == user_id, GrantRequest.state == RequestState.PENDING.value)
        .where(GrantRequest.ends_at > now, col(Client.removed_at).is_(None))
        .order_by(col(GrantRequest.created_at), col(GrantRequest.id))
    )
    newest = {request.client_id: (request, client) for request, client in (await tx.exec(query)).all()}
    return sorted(newest.values(), key=lambda pair: pair[0].ends_at)


async def history_of(tx: AsyncSession, grant_id: str, *, without: tuple[str, ...], most: int) -> list[AuditEntry]:
    """What was decided about a grant, newest first; `without` names events to leave out."""
    query = (
        select(AuditEntry)
        .where(AuditEntry.object_id == grant_id, col(AuditEntry.event).not_in(without))
        .order_by(col(AuditEntry.seq).desc())
    )
    return list((await tx.exec(query.limit(most))).all())
