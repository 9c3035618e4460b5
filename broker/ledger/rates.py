"""Requests and tokens a minute, and calls at once: judged over reservation rows, in the statement that adds one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Insert, Select, and_, func, insert, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.core.access import RateLimit
from broker.core.clock import MINUTE, SECOND
from broker.core.errors import CallRefused
from broker.ledger.core_tables import HELD, RESERVATION
from broker.ledger.standing import Allowance

R = RESERVATION.c
_COUNTS = or_(R.state != "released", R.reached == 1)
"""A call that the provider saw counts here even if it did not run, and in no other limit."""


def insert_within_rates(row: dict[str, Any], allowance: Allowance, now: int) -> Insert:
    """Inserts the reservation if no rate is over; its row count says so."""
    source: Select[Any] = select(*(literal(value) for value in row.values()))
    for scope, limits in _scopes(allowance, row["jti"]):
        window = and_(scope, R.admitted_at > now - MINUTE, _COUNTS)
        if limits.requests_per_minute is not None:
            source = source.where(_count(window) < limits.requests_per_minute)
        if limits.tokens_per_minute is not None:
            total = select(func.coalesce(func.sum(R.rate_tokens), 0)).where(window).scalar_subquery()
            source = source.where(total + row["rate_tokens"] <= limits.tokens_per_minute)
        if limits.concurrent is not None:
            source = source.where(_count(and_(scope, HELD)) < limits.concurrent)
    return insert(RESERVATION).from_select(list(row), source)


@dataclass(frozen=True, slots=True)
class RateLeft:
    """Requests a minute as an app may plan by them; `reset` in seconds, when the next one leaves the window."""

    limit: int
    remaining: int
    reset: int


async def rate_left(connection: AsyncConnection, allowance: Allowance, now: int) -> RateLeft | None:
    """After a call was admitted; None where requests a minute are not limited."""
    limit = allowance.rate_limit.requests_per_minute
    if limit is None:
        return None
    window = and_(R.access_id == allowance.access_id, R.admitted_at > now - MINUTE, _COUNTS)
    count, oldest = (await connection.execute(select(func.count(), func.min(R.admitted_at)).where(window))).one()
    return RateLeft(limit, max(0, limit - count), max(1, -(-(oldest + MINUTE - now) // SECOND)))


async def too_fast(connection: AsyncConnection, allowance: Allowance, jti: str, now: int, tokens: int) -> CallRefused:
    """Says which rate is over, and in how many seconds enough rows have left the window."""
    wait = 0
    for scope, limits in _scopes(allowance, jti):
        query = select(R.admitted_at, R.rate_tokens).where(scope, R.admitted_at > now - MINUTE, _COUNTS)
        rows = (await connection.execute(query.order_by(R.admitted_at))).all()
        if limits.requests_per_minute is not None:
            ones = [(row.admitted_at, 1) for row in rows]
            wait = max(wait, until_fits(ones, 1, limits.requests_per_minute, now))
        if limits.tokens_per_minute is not None:
            counted = [(row.admitted_at, row.rate_tokens) for row in rows]
            wait = max(wait, until_fits(counted, tokens, limits.tokens_per_minute, now))
    if wait == 0:
        return CallRefused("too_many_concurrent", "Too many requests of this access are running.", retry_after=1)
    return CallRefused("rate_limited", "This access allows fewer requests or tokens a minute.", retry_after=wait)


def until_fits(rows: Sequence[tuple[int, int]], wanted: int, limit: int, now: int) -> int:
    """Whole seconds until `wanted` fits beside what is still in the window; 0 if it fits now.

    Rows are (admitted at, amount), oldest first.
    """
    total = sum(amount for _, amount in rows)
    wait = 0
    for admitted_at, amount in rows:
        if total + wanted <= limit:
            break
        total -= amount
        wait = max(1, -(-(admitted_at + MINUTE - now) // SECOND))
    return wait


def _scopes(allowance: Allowance, jti: str) -> Iterator[tuple[Any, RateLimit]]:
    yield R.access_id == allowance.access_id, allowance.rate_limit
    if allowance.cap is not None:
        yield and_(R.jti == jti, R.access_id == allowance.access_id), allowance.cap.rate_limit


def _count(where: Any) -> Any:
    return select(func.count()).select_from(RESERVATION).where(where).scalar_subquery()
