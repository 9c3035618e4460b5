"""What a person has lent: grants with their apps, accesses with the keys they spend from, and what became of them."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import LIVE, RequestState
from broker.store.grant_tables import Access, Grant, GrantRequest
from broker.store.tables import AuditEntry, Client, Credential


async def grants_of(tx: AsyncSession, user_id: str) -> list[tuple[Grant, Client]]:
    """Newest first, ended ones and those of removed apps among them."""
    query = select(Grant, Client).join(Client, col(Client.id) == col(Grant.client_id)).where(Grant.user_id == user_id)
    return list((await tx.exec(query.order_by(col(Grant.created_at).desc(), col(Grant.id)))).all())


async def grant_of(tx: AsyncSession, user_id: str, grant_id: str) -> tuple[Grant, Client] | None:
    """None also for another person's grant."""
    query = select(Grant, Client).join(Client, col(Client.id) == col(Grant.client_id))
    return (await tx.exec(query.where(Grant.user_id == user_id, Grant.id == grant_id))).first()


async def accesses_of(tx: AsyncSession, grant_id: str) -> list[tuple[Access, Credential]]:
    """Those that no later decision took away, in order."""
    query = (
        select(Access, Credential)
        .join(Credential, col(Credential.id) == col(Access.credential_id))
        .where(Access.grant_id == grant_id, col(Access.ended_at).is_(None))
        .order_by(col(Access.position))
    )
    return list((await tx.exec(query)).all())


async def accesses_of_user(tx: AsyncSession, user_id: str) -> list[tuple[Access, Credential]]:
    """The same of all the user's grants, in the order of each."""
    query = (
        select(Access, Credential)
        .join(Grant, col(Grant.id) == col(Access.grant_id))
        .join(Credential, col(Credential.id) == col(Access.credential_id))
        .where(Grant.user_id == user_id, col(Access.ended_at).is_(None))
        .order_by(col(Access.position))
    )
    return list((await tx.exec(query)).all())


async def borrowers(tx: AsyncSession, credential_id: str, now: int) -> list[tuple[Grant, Client]]:
    """Live grants that spend from this key."""
    spending = select(Access.grant_id).where(
        Access.credential_id == credential_id, col(Access.ended_at).is_(None), Access.ends_at > now
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
