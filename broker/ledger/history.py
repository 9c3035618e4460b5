"""What was spent, as its owner reads it: recent calls, cost by time and by model.

Sums are those of the roll-ups and of what is not folded into them yet, added up in one statement, so that they are exact
at any moment on either store. Where they begin at an instant, that is the first of a UTC quarter-hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import CompoundSelect, Executable, func, literal, union_all
from sqlalchemy import select as columns
from sqlalchemy import text as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import MINUTE
from broker.ledger.fold import QUARTER
from broker.ledger.rollup import ENTRY, SPENDING, USAGE
from broker.store import grants
from broker.store.grant_tables import Access, Grant
from broker.store.ledger_tables import FAILED, Counter, Refusal, Reservation

Only = Literal["all", "refused", "errors"]
"""Of the recent calls: every one, those that we refused, or those that began and did not end well."""


@dataclass(frozen=True, slots=True)
class ModelUsage:
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost: int


async def recent_calls(
    tx: AsyncSession, grant_id: str, *, before: int, most: int = 20, only: Only = "all"
) -> list[Reservation | Refusal]:
    """Calls and refusals admitted or refused before an instant, newest first."""
    rows: list[Reservation | Refusal] = []
    if only != "refused":
        for access in await grants.load_accesses(tx, grant_id, ended=True):
            rows += await _calls_of(tx, access.id, before, most, only)
    if only != "errors":
        refused = select(Refusal).where(Refusal.grant_id == grant_id, Refusal.at < before)
        rows += (await tx.exec(refused.order_by(col(Refusal.at).desc()).limit(most))).all()
    return sorted(rows, key=instant_of, reverse=True)[:most]


async def _calls_of(tx: AsyncSession, access_id: str, before: int, most: int, only: Only) -> list[Reservation]:
    calls = select(Reservation).where(Reservation.access_id == access_id, Reservation.admitted_at < before)
    if only == "errors":
        calls = calls.where(sql(FAILED))  # in the words of the index, which holds only these
    return list((await tx.exec(calls.order_by(col(Reservation.admitted_at).desc()).limit(most))).all())


def instant_of(row: Reservation | Refusal) -> int:
    return row.admitted_at if isinstance(row, Reservation) else row.at


async def cost_by_quarter(tx: AsyncSession, grant_id: str, since: int) -> list[tuple[int, int]]:
    """(start of the UTC quarter-hour, micro-dollars), with cost only; overruns included."""
    usage = _usage(grant_id, since).subquery()
    cost = func.sum(usage.c.cost)
    query = columns(usage.c.quarter, cost).group_by(usage.c.quarter).having(cost > 0).order_by(usage.c.quarter)
    return [(int(start), int(total)) for start, total in await _rows(tx, query)]


async def by_model(tx: AsyncSession, grant_id: str, since: int = 0) -> list[ModelUsage]:
    """Settled calls by model, dearest first."""
    u = _usage(grant_id, since).subquery().c
    calls, cost = func.sum(u.calls), func.sum(u.cost)
    query = columns(u.model, calls, func.sum(u.input_tokens), func.sum(u.output_tokens), cost)
    found = await _rows(tx, query.group_by(u.model).having(calls > 0).order_by(cost.desc(), u.model))
    return [ModelUsage(model, *map(int, sums)) for model, *sums in found]


def _usage(grant_id: str, since: int) -> CompoundSelect[Any]:
    e, u = ENTRY.c, USAGE.c
    quarter = (e.admitted_at - e.admitted_at % QUARTER).label("quarter")
    return union_all(
        columns(u.quarter, u.model, u.calls, u.input_tokens, u.output_tokens, u.cost).where(
            u.grant_id == grant_id, u.quarter >= since
        ),
        columns(quarter, e.model, e.calls, e.input_tokens, e.output_tokens, e.cost).where(
            e.grant_id == grant_id, e.admitted_at >= since
        ),
    )


async def spent_since(tx: AsyncSession, user_id: str, since: int) -> int:
    """Micro-dollars of all the user's grants, in calls admitted since an instant; overruns included."""
    spent = union_all(
        columns(SPENDING.c.cost).where(SPENDING.c.user_id == user_id, SPENDING.c.quarter >= since),
        columns(ENTRY.c.cost).where(ENTRY.c.user_id == user_id, ENTRY.c.admitted_at >= since),
    ).subquery()
    return int((await _rows(tx, columns(func.coalesce(func.sum(spent.c.cost), 0))))[0][0])


async def total_costs(tx: AsyncSession, grant_ids: Sequence[str]) -> dict[str, int]:
    """What each of these grants cost in all, in micro-dollars, as its counters say it; nothing of one without any."""
    cost = func.sum(col(Counter.settled) + col(Counter.overrun))
    query = (
        columns(col(Access.grant_id), cost)
        .join(Counter, (col(Counter.scope_kind) == "access") & (col(Counter.scope_id) == col(Access.id)))
        .where(col(Access.grant_id).in_(grant_ids), col(Counter.measure) == "money")
        .group_by(col(Access.grant_id))
    )
    return {found: int(total) for found, total in await _rows(tx, query)}


async def last_used(tx: AsyncSession, grant_id: str) -> int | None:
    """When its last call was admitted, whether it runs, ended, or is archived."""
    return (await last_uses(tx, grant_id)).get(grant_id)


async def last_uses(tx: AsyncSession, *grant_ids: str) -> dict[str, int]:
    """The same for each of these grants that was ever used."""
    return await _last(tx, col(Grant.id).in_(grant_ids))


async def last_uses_of_user(tx: AsyncSession, user_id: str) -> dict[str, int]:
    return await _last(tx, col(Grant.user_id) == user_id)


async def _last(tx: AsyncSession, which: Any) -> dict[str, int]:
    # A scalar subquery each: the newest entry of an index is one step, where grouping would read all of it.
    newest = columns(func.max(Reservation.admitted_at)).where(col(Reservation.access_id) == Access.id)
    running = columns(col(Access.grant_id), newest.scalar_subquery()).join(Grant, col(Grant.id) == col(Access.grant_id))
    last_quarter = (
        columns(USAGE.c.last_at)
        .where(USAGE.c.grant_id == Grant.id)
        .order_by(USAGE.c.quarter.desc(), USAGE.c.last_at.desc())
        .limit(1)
    )
    found: dict[str, int] = {}
    both = (running.where(which), columns(col(Grant.id), last_quarter.scalar_subquery()).where(which))
    for grant_id, at in [row for query in both for row in await _rows(tx, query)]:
        if at is not None:
            found[grant_id] = max(at, found.get(grant_id, 0))
    return found


async def busiest_minute(tx: AsyncSession, access_id: str, since: int) -> int:
    """The most calls admitted in one clock minute since an instant."""
    r = Reservation
    minute = (col(r.admitted_at) - col(r.admitted_at) % literal(MINUTE)).label("minute")
    calls = func.count().label("calls")
    counts = (
        columns(calls).where(col(r.access_id) == access_id, col(r.admitted_at) >= since).group_by(minute).subquery()
    )
    return int((await _rows(tx, columns(func.coalesce(func.max(counts.c.calls), 0))))[0][0])


async def refused_since(tx: AsyncSession, grant_id: str, since: int, code: str) -> int:
    query = select(func.count()).where(Refusal.grant_id == grant_id, Refusal.at >= since, Refusal.code == code)
    return (await tx.exec(query)).one()


async def _rows(tx: AsyncSession, query: Executable) -> list[Any]:
    return list((await (await tx.connection()).execute(query)).all())
