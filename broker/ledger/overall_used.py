"""Limits above the grants against what was used of them: of one access, of one key, of everything that a person uses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core import period
from broker.core.access import lesser
from broker.ledger.keys import CounterKey
from broker.ledger.limits import Figure, Figures, figure
from broker.ledger.overall import Overall, key_scope
from broker.ledger.overall_limits import holders, listed, load, of_key, tier_of
from broker.ledger.standing import Allowance, narrowed, read_rows
from broker.store.grant_tables import Access, Grant
from broker.store.ledger_tables import NO_LIMIT
from broker.store.limit_tables import OverallLimit
from broker.store.pool_tables import SpareKey
from broker.store.steps import Steps, run_steps
from broker.store.tables import Credential


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


async def above(tx: AsyncSession, grant_id: str, now: int) -> dict[str, list[list[Used]]]:
    """Of each access of a grant, by its id, the limits that its calls are charged to besides its own, with each of its keys."""
    allowances = await run_steps(await tx.connection(), _allowances(grant_id))
    return {each.access_id: await above_allowance(tx, each, now) for each in allowances}


async def above_allowance(tx: AsyncSession, allowance: Allowance, now: int) -> list[list[Used]]:
    return [[await used(tx, each, now) for each in key.overall] for key in allowance.by_key]


def bounded(own: Figures, by_key: Sequence[Sequence[Used]]) -> Figures:
    """The figures of an access, with no more left of them than of the limits above it on the key that has the most left."""
    every = [_within(own, limits) for limits in by_key]
    return max(every, key=lambda left: (left.requests.remaining != 0, left.money.remaining or 0), default=own)


def _within(own: Figures, limits: Sequence[Used]) -> Figures:
    for each in limits:
        money, requests = _no_more(own.money, each.money), _no_more(own.requests, each.requests)
        own = replace(own, money=money, requests=requests)
    return own


async def used_on_key(tx: AsyncSession, user_id: str, key: Credential, now: int) -> Used | None:
    """Of one user's use of a key; None where nothing limits it."""
    row = await of_key(tx, user_id, key.id)
    return (
        None if row is None else await used(tx, _overall(row, key_scope(user_id, key.id), key.user_id == user_id), now)
    )


async def used_of_allocation(tx: AsyncSession, user_id: str, now: int) -> Used | None:
    """Of this month's allocation of the user's tier."""
    tier = await tier_of(tx, user_id)
    row = None if tier is None else await load(tx, "tier", tier.tier)
    if tier is None or row is None:
        return None
    return await used(tx, _overall(row, user_id, is_owners=False)._replace(anchor_day=tier.anchor_day), now)


async def every(tx: AsyncSession, now: int) -> list[Used]:
    """Each limit above the grants, for each whom it limits."""
    return [
        await used(tx, _overall(row, scope_id, is_owners=False)._replace(anchor_day=day), now)
        for row in await listed(tx)
        for scope_id, day in await holders(tx, row.scope_kind, row.scope_id)
    ]


async def above_keys(tx: AsyncSession, user_id: str, keys: Iterable[Credential], now: int) -> dict[str, list[Used]]:
    """What limits a person's calls on each of these keys besides the grants' own limits, by the keys' ids."""
    if (await tx.exec(select(OverallLimit.scope_id).limit(1))).first() is None:
        return {}
    keys = {key.id: key for key in keys}.values()
    allocation = await used_of_allocation(tx, user_id, now)
    providers = {key.provider: await _used_at(tx, key.provider, now) for key in keys}
    found = {}
    for key in keys:
        own = await used_on_key(tx, user_id, key, now)
        every = (own, allocation if key.user_id is None else None, providers[key.provider])
        found[key.id] = [each for each in every if each is not None]
    return found


async def _used_at(tx: AsyncSession, provider: str, now: int) -> Used | None:
    row = await load(tx, "provider", provider)
    return None if row is None else await used(tx, _overall(row, provider, is_owners=False), now)


async def keys_in_use(tx: AsyncSession, user_id: str, now: int) -> Sequence[Credential]:
    """The keys that live accesses of the user's grants are on."""
    lent = select(Access.id).join(Grant, col(Grant.id) == col(Access.grant_id))
    live = lent.where(Grant.user_id == user_id, col(Access.ended_at).is_(None), Access.ends_at > now)
    first = select(Access.credential_id).where(col(Access.id).in_(live))
    others = select(SpareKey.credential_id).where(col(SpareKey.access_id).in_(live))
    query = select(Credential).where(
        or_(col(Credential.id).in_(first), col(Credential.id).in_(others)), col(Credential.removed_at).is_(None)
    )
    return (await tx.exec(query.order_by(col(Credential.created_at), col(Credential.id)))).all()


def _overall(row: OverallLimit, scope_id: str, is_owners: bool) -> Overall:
    return Overall(row.scope_kind, scope_id, row.budget, row.max_requests, row.per, 1, is_owners)


def _no_more(own: Figure, outer: Figure) -> Figure:
    return replace(own, remaining=lesser(own.remaining, outer.remaining))


def _allowances(grant_id: str) -> Steps[tuple[Allowance, ...]]:
    rows = yield from read_rows([grant_id])
    return narrowed(rows[grant_id], ())
