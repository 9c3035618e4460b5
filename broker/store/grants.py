"""Grants and their accesses."""

from typing import NamedTuple

from sqlalchemy import func, true, update
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from broker.core.grant import LIVE, GrantEvent, GrantState, sources, target
from broker.store import changes
from broker.store.grant_tables import Access, Code, Grant, TokenFamily
from broker.store.tables import User

OPERATOR = "operator"
"""Who moved it, where it was no person."""


async def load(tx: AsyncSession, grant_id: str) -> Grant | None:
    return await tx.get(Grant, grant_id)


async def hold(tx: AsyncSession, grant: Grant) -> None:
    """Reads it again; nobody changes it until this transaction is over."""
    await tx.refresh(grant, with_for_update={"read": True})


async def load_accesses(tx: AsyncSession, grant_id: str, *, ended: bool = False) -> list[Access]:
    """In order of position; with `ended`, also those that a later decision took away."""
    query = select(Access).where(Access.grant_id == grant_id).order_by(col(Access.position))
    if not ended:
        query = query.where(col(Access.ended_at).is_(None))
    return list((await tx.exec(query)).all())


async def newest_live(tx: AsyncSession, user_id: str, client_id: str, now: int) -> Grant | None:
    """The newest live grant made at consent: the one a new approval continues."""
    query = _live(client_id, "consent", now).where(Grant.user_id == user_id)
    return (await tx.exec(query.limit(1))).first()


async def newest_from_operator(tx: AsyncSession, client_id: str, now: int) -> Grant | None:
    """The newest live grant that the operator gave this client, whoever's it is as long as they may sign in."""
    query = _live(client_id, "operator", now).join(User, col(User.id) == col(Grant.user_id))
    return (await tx.exec(query.where(col(User.disabled_at).is_(None)).limit(1))).first()


def _live(client_id: str, origin: str, now: int) -> SelectOfScalar[Grant]:
    """Those of which an access is left, newest first."""
    return (
        select(Grant)
        .where(Grant.client_id == client_id, Grant.origin == origin)
        .where(col(Grant.state).in_([state.value for state in LIVE]))
        .where(
            select(Access.id)
            .where(Access.grant_id == Grant.id, col(Access.ended_at).is_(None), Access.ends_at > now)
            .exists()
        )
        .order_by(col(Grant.created_at).desc())
    )


class Listed(NamedTuple):
    grant_id: str
    email: str
    client_id: str
    state: str
    origin: str
    ends_at: int
    """The end of its last access; 0 if it has none left."""


async def listed(tx: AsyncSession) -> list[Listed]:
    """Every grant, by person, newest first."""
    last = columns(func.max(Access.ends_at)).where(col(Access.grant_id) == Grant.id, col(Access.ended_at).is_(None))
    query = (
        columns(col(Grant.id), col(User.email), col(Grant.client_id), col(Grant.state), col(Grant.origin))
        .add_columns(func.coalesce(last.scalar_subquery(), 0))
        .join(User, col(User.id) == col(Grant.user_id))
        .order_by(col(User.created_at), col(User.email), col(Grant.created_at).desc())
    )
    # Plain rows: making a hundred thousand objects takes longer than reading them.
    return [Listed._make(row) for row in (await (await tx.connection()).execute(query)).all()]


async def move(tx: AsyncSession, grant_id: str, event: GrantEvent, now: int, *, by: str = "") -> bool:
    """Makes one move of the state table if the grant is where the move starts; False if it is not.

    Revoking also ends its codes and token families. Running calls are cut within two seconds. What the operator paused, the
    operator alone resumes.
    """
    from_states = sources(event)
    new = target(from_states[0], event)
    if new is None:
        raise ValueError(event)
    values: dict[str, object] = {"state": new.value, "changed_at": now}
    if event in (GrantEvent.REVOKE, GrantEvent.EXPIRE):
        values |= {"ended_at": now, "ended_by": by}
    else:
        values["paused_by"] = by if event is GrantEvent.PAUSE else ""
    may = true() if event is not GrantEvent.RESUME or by == OPERATOR else col(Grant.paused_by) != OPERATOR
    done = await tx.exec(
        update(Grant)
        .where(col(Grant.id) == grant_id, col(Grant.state).in_([s.value for s in from_states]), may)
        .values(values)
    )
    if done.rowcount != 1:
        return False
    if event is GrantEvent.REVOKE:
        await _end_tokens(tx, grant_id, now)
    await changes.bump(tx)
    return True


async def keep_paused(tx: AsyncSession, grant_id: str, now: int) -> bool:
    """Makes a pause that is its user's the operator's; False if there is none."""
    done = await tx.exec(
        update(Grant)
        .where(col(Grant.id) == grant_id, col(Grant.state) == GrantState.PAUSED.value, col(Grant.paused_by) != OPERATOR)
        .values(paused_by=OPERATOR, changed_at=now)
    )
    return done.rowcount == 1


async def pause_active(tx: AsyncSession, user_id: str, now: int, *, by: str = "") -> list[str]:
    """Pauses all that a user's apps can spend from now, in one statement; gives the ids of the grants."""
    running = select(Access.id).where(Access.grant_id == Grant.id, col(Access.ended_at).is_(None), Access.ends_at > now)
    done = await tx.exec(
        update(Grant)
        .where(col(Grant.user_id) == user_id, col(Grant.state).in_([s.value for s in sources(GrantEvent.PAUSE)]))
        .where(running.exists())
        .values(state=GrantState.PAUSED.value, changed_at=now, paused_by=by)
        .returning(col(Grant.id))
        .execution_options(synchronize_session=False)
    )
    paused = list(done.scalars())
    if paused:
        await changes.bump(tx)
    return paused


async def _end_tokens(tx: AsyncSession, grant_id: str, now: int) -> None:
    await tx.exec(
        update(TokenFamily)
        .where(col(TokenFamily.grant_id) == grant_id, col(TokenFamily.revoked_at).is_(None))
        .values(revoked_at=now)
    )
    await tx.exec(update(Code).where(col(Code.grant_id) == grant_id, col(Code.used_at).is_(None)).values(used_at=now))
