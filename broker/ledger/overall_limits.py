"""Limits above the grants as people set them; what is set holds for the very next call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import or_
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.ledger.limits import set_targets
from broker.ledger.overall import Overall, is_for_each, key_scope
from broker.store.grant_tables import Access, Grant
from broker.store.limit_tables import OverallLimit, UserTier
from broker.store.pool_tables import SpareKey


@dataclass(frozen=True, slots=True)
class Terms:
    """How much in how long; None is no limit, but not both. `grant` never begins again."""

    budget: int | None
    max_requests: int | None
    per: str


async def load(tx: AsyncSession, kind: str, scope_id: str) -> OverallLimit | None:
    return await tx.get(OverallLimit, (kind, scope_id), populate_existing=True)


async def listed(tx: AsyncSession, kind: str = "") -> Sequence[OverallLimit]:
    """Those of one kind, or all of them."""
    query = select(OverallLimit).order_by(col(OverallLimit.scope_kind), col(OverallLimit.scope_id))
    query = query.where(OverallLimit.scope_kind == kind) if kind else query
    return (await tx.exec(query)).all()


async def of_key(tx: AsyncSession, user_id: str, credential_id: str) -> OverallLimit | None:
    """What limits one user on a key: their own limit there, or else the one for each."""
    own = await load(tx, "credential", key_scope(user_id, credential_id))
    return own or await load(tx, "credential", key_scope("", credential_id))


async def set_limit(tx: AsyncSession, kind: str, scope_id: str, terms: Terms, now: int) -> None:
    """A limit below what is settled and held in this period becomes that sum, and sinks as calls end.

    One that is new counts from now on; one that was taken away and comes again in the same period goes on counting.
    """
    row = OverallLimit(scope_kind=kind, scope_id=scope_id, per=terms.per, changed_at=now)
    row.budget, row.max_requests = terms.budget, terms.max_requests
    await tx.merge(row)
    await tx.flush()
    await _enforce(tx, kind, await holders(tx, kind, scope_id), terms, now)


async def remove_limit(tx: AsyncSession, kind: str, scope_id: str, now: int) -> bool:
    """False when there was none. Of one user's on a key, the one for each user of it takes its place."""
    gone = await tx.exec(
        delete(OverallLimit).where(col(OverallLimit.scope_kind) == kind, col(OverallLimit.scope_id) == scope_id)
    )
    if kind == "credential" and not is_for_each(scope_id):
        row = await load(tx, kind, scope_id[scope_id.index("/") :])
        if row is not None:
            await _enforce(tx, kind, [(scope_id, 1)], _terms(row), now)
    return bool(gone.rowcount)


async def put_in_tier(tx: AsyncSession, user_id: str, tier: OverallLimit | None, anchor_day: int, now: int) -> None:
    """What the user has used of this month's allocation stays used. None takes them out of every tier."""
    if tier is None:
        await tx.exec(delete(UserTier).where(col(UserTier.user_id) == user_id))
        return
    await tx.merge(UserTier(user_id=user_id, tier=tier.scope_id, anchor_day=anchor_day))
    await tx.flush()
    await _enforce(tx, "tier", [(user_id, anchor_day)], _terms(tier), now)


async def tier_of(tx: AsyncSession, user_id: str) -> UserTier | None:
    return await tx.get(UserTier, user_id, populate_existing=True)


async def in_tier(tx: AsyncSession, tier: str) -> Sequence[UserTier]:
    return (await tx.exec(select(UserTier).where(UserTier.tier == tier).order_by(col(UserTier.user_id)))).all()


async def in_tiers(tx: AsyncSession) -> Sequence[UserTier]:
    return (await tx.exec(select(UserTier))).all()


def _terms(row: OverallLimit) -> Terms:
    return Terms(row.budget, row.max_requests, row.per)


async def holders(tx: AsyncSession, kind: str, scope_id: str) -> list[tuple[str, int]]:
    """Whose counters a limit is enforced in, and the day of the month on which their period begins."""
    if kind == "tier":
        return [(each.user_id, each.anchor_day) for each in await in_tier(tx, scope_id)]
    if kind != "credential" or not is_for_each(scope_id):
        return [(scope_id, 1)]
    lends = select(Grant.user_id).join(Access, col(Access.grant_id) == col(Grant.id)).distinct()
    spares = select(SpareKey.access_id).where(SpareKey.credential_id == scope_id[1:])
    on_it = or_(col(Access.credential_id) == scope_id[1:], col(Access.id).in_(spares))
    users = (await tx.exec(lends.where(on_it))).all()
    own = {row.scope_id for row in await listed(tx, kind)}
    return [(scope, 1) for user_id in users if (scope := key_scope(user_id, scope_id[1:])) not in own]


async def _enforce(tx: AsyncSession, kind: str, holders: Iterable[tuple[str, int]], terms: Terms, now: int) -> None:
    every = [
        Overall(kind, scope_id, terms.budget, terms.max_requests, terms.per, day, False) for scope_id, day in holders
    ]
    await set_targets(tx, {key: target for each in every for key, target in each.limits(now).items()})
