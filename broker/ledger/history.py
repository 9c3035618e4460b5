"""What was spent, as its owner reads it: recent calls, cost by time and by model."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Integer, cast, func
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import MINUTE
from broker.store.grant_tables import Grant
from broker.store.ledger_tables import Refusal, Reservation

QUARTER = 15 * MINUTE
"""Costs are summed by UTC quarter-hour, so that every time zone's days can be drawn."""


Only = Literal["all", "refused", "errors"]
"""Of the recent calls: every one, those that we refused, or those that began and did not end well."""

_NO_ERROR = ("", "ok", "client_left")
"""Outcomes of calls that run, that ended well, or that the app itself gave up."""


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
    calls = select(Reservation).where(Reservation.grant_id == grant_id, Reservation.admitted_at < before)
    if only == "errors":
        calls = calls.where(col(Reservation.outcome).not_in(_NO_ERROR))
    refused = select(Refusal).where(Refusal.grant_id == grant_id, Refusal.at < before)
    rows: list[Reservation | Refusal] = []
    if only != "refused":
        rows += (await tx.exec(calls.order_by(col(Reservation.admitted_at).desc()).limit(most))).all()
    if only != "errors":
        rows += (await tx.exec(refused.order_by(col(Refusal.at).desc()).limit(most))).all()
    return sorted(rows, key=instant_of, reverse=True)[:most]


def instant_of(row: Reservation | Refusal) -> int:
    return row.admitted_at if isinstance(row, Reservation) else row.at


async def cost_by_quarter(tx: AsyncSession, grant_id: str, since: int) -> list[tuple[int, int]]:
    """(start of the UTC quarter-hour, micro-dollars), with cost only; overruns included."""
    quarter = cast(col(Reservation.admitted_at) / QUARTER, Integer)
    query = (
        select(quarter, func.sum(col(Reservation.cost) + col(Reservation.overrun)))
        .where(Reservation.grant_id == grant_id, Reservation.admitted_at >= since, Reservation.state == "settled")
        .group_by(quarter)
        .order_by(quarter)
    )
    return [(int(start) * QUARTER, int(cost)) for start, cost in (await tx.exec(query)).all()]


async def by_model(tx: AsyncSession, grant_id: str, since: int = 0) -> list[ModelUsage]:
    """Settled calls by model, dearest first."""
    cost = func.sum(col(Reservation.cost) + col(Reservation.overrun))
    query = (
        columns(
            col(Reservation.model),
            func.count(),
            func.sum(col(Reservation.input_tokens)),
            func.sum(col(Reservation.output_tokens)),
            cost,
        )
        .where(col(Reservation.grant_id) == grant_id, col(Reservation.admitted_at) >= since)
        .where(col(Reservation.state) == "settled")
        .group_by(col(Reservation.model))
        .order_by(cost.desc())
    )
    rows = (await (await tx.connection()).execute(query)).all()
    return [ModelUsage(model, calls, read, written, spent) for model, calls, read, written, spent in rows]


async def spent_since(tx: AsyncSession, user_id: str, since: int) -> int:
    """Micro-dollars of all the user's grants, in calls admitted since an instant; overruns included."""
    query = select(func.coalesce(func.sum(col(Reservation.cost) + col(Reservation.overrun)), 0)).where(
        # By the user's grants, because there is an index for those.
        col(Reservation.grant_id).in_(select(Grant.id).where(Grant.user_id == user_id)),
        Reservation.admitted_at >= since,
        Reservation.state == "settled",
    )
    return int((await tx.exec(query)).one())


async def last_used(tx: AsyncSession, grant_id: str) -> int | None:
    query = select(func.max(Reservation.admitted_at)).where(Reservation.grant_id == grant_id)
    return (await tx.exec(query)).one()


async def busiest_minute(tx: AsyncSession, access_id: str, since: int) -> int:
    """The most calls admitted in one clock minute since an instant."""
    minute = cast(col(Reservation.admitted_at) / MINUTE, Integer)
    counts = (
        select(func.count().label("calls"))
        .where(Reservation.access_id == access_id, Reservation.admitted_at >= since)
        .group_by(minute)
        .subquery()
    )
    return int((await tx.exec(select(func.coalesce(func.max(counts.c.calls), 0)))).one())


async def refused_since(tx: AsyncSession, grant_id: str, since: int, code: str) -> int:
    query = select(func.count()).where(Refusal.grant_id == grant_id, Refusal.at >= since, Refusal.code == code)
    return (await tx.exec(query)).one()
