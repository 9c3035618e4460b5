"""Limits above the grants as people set and read them; what is set holds for the very next call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core import period
from broker.core.access import lesser
from broker.ledger.keys import CounterKey
from broker.ledger.limits import Figure, Figures, figure, set_targets
from broker.ledger.overall import Overall, is_for_each, key_scope, overall_of
from broker.ledger.statements import ACCESSES, AccessRow
from broker.store.grant_tables import Access, Grant
from broker.store.ledger_tables import NO_LIMIT
from broker.store.limit_tables import OverallLimit, UserTier
from broker.store.steps import Steps, run_steps


@dataclass(frozen=True, slots=True)
class Terms:
    """How much in how long; None is no limit, but not both. `grant` never begins again."""

    budget: int | None
    max_requests: int | None
    per: str


async def load(tx: AsyncSession, kind: str, scope_id: str) -> OverallLimit | None:
    return await tx.get(OverallLimit, (kind, scope_id), populate_existing=True)


async def listed(tx: AsyncSession, kind: str) -> Sequence[OverallLimit]:
    query = select(OverallLimit).where(OverallLimit.scope_kind == kind).order_by(col(OverallLimit.scope_id))
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
    await _enforce(tx, kind, await _holders(tx, kind, scope_id), terms, now)


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


@dataclass(frozen=True, slots=True)
class Used:
    """A limit above the grants against what was used of it in this period."""

    limit: Overall
    money: Figure
    requests: Figure
    resets_at: int | None
    """Microseconds; None where it never begins again."""

    @property
    def is_reached(self) -> bool:
        return self.money.is_reached or self.requests.is_reached


async def used(tx: AsyncSession, limit: Overall, now: int) -> Used:
    start = period.start(limit.per, now, limit.anchor_day)

    async def of(measure: str, typed: int | None) -> Figure:
        key = CounterKey(limit.scope_kind, limit.scope_id, measure, limit.per, start)
        return await figure(tx, key, NO_LIMIT if typed is None else typed)

    money, requests = await of("money", limit.budget), await of("requests", limit.max_requests)
    return Used(limit, money, requests, period.end(limit.per, now, limit.anchor_day))


async def above(tx: AsyncSession, grant_id: str, now: int) -> dict[str, list[Used]]:
    """Of each access of a grant, by its id, the limits that its calls are charged to besides its own."""
    found = await run_steps(await tx.connection(), _limits_above(grant_id))
    return {access_id: [await used(tx, each, now) for each in limits] for access_id, limits in found.items()}


def bounded(own: Figures, limits: Iterable[Used]) -> Figures:
    """The figures of an access, with no more left of them than of the limits above it."""
    for each in limits:
        money, requests = _no_more(own.money, each.money), _no_more(own.requests, each.requests)
        own = replace(own, money=money, requests=requests)
    return own


def _no_more(own: Figure, outer: Figure) -> Figure:
    return replace(own, remaining=lesser(own.remaining, outer.remaining))


def _limits_above(grant_id: str) -> Steps[dict[str, tuple[Overall, ...]]]:
    rows = [AccessRow(*row) for row in (yield ACCESSES, [(grant_id,)])]
    return {access_id: overall_of(its) for access_id, its in groupby(rows, key=lambda row: row.id)}


def _terms(row: OverallLimit) -> Terms:
    return Terms(row.budget, row.max_requests, row.per)


async def _holders(tx: AsyncSession, kind: str, scope_id: str) -> list[tuple[str, int]]:
    """Whose counters a limit is enforced in, and the day of the month on which their period begins."""
    if kind == "tier":
        return [(each.user_id, each.anchor_day) for each in await in_tier(tx, scope_id)]
    if kind != "credential" or not is_for_each(scope_id):
        return [(scope_id, 1)]
    lends = select(Grant.user_id).join(Access, col(Access.grant_id) == col(Grant.id)).distinct()
    users = (await tx.exec(lends.where(Access.credential_id == scope_id[1:]))).all()
    own = {row.scope_id for row in await listed(tx, kind)}
    return [(scope, 1) for user_id in users if (scope := key_scope(user_id, scope_id[1:])) not in own]


async def _enforce(tx: AsyncSession, kind: str, holders: Iterable[tuple[str, int]], terms: Terms, now: int) -> None:
    every = [
        Overall(kind, scope_id, terms.budget, terms.max_requests, terms.per, day, False) for scope_id, day in holders
    ]
    await set_targets(tx, {key: target for each in every for key, target in each.limits(now).items()})
