"""What a person lent, in a line for each access: enough to sort a thousand grants and to sum up what is left of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import PERIODS
from broker.ledger.keys import money_key, requests_key
from broker.store.grant_tables import Access, Grant
from broker.store.ledger_tables import NO_LIMIT, Counter
from broker.store.tables import Client

Money, Requests = aliased(Counter), aliased(Counter)


class Line(NamedTuple):
    """Of a grant that no access is left of, one line with nothing after `verified`."""

    grant_id: str
    state: str
    created_at: int
    verified: int
    credential_id: str | None
    ends_at: int | None
    money_left: int | None
    """None for no limit."""
    money_held: int | None
    requests_left: int | None
    strategy: str | None
    """Empty where it has one key only."""

    @property
    def is_reached(self) -> bool:
        return self.money_left == 0 or self.requests_left == 0


async def lines_of_user(tx: AsyncSession, user_id: str, now: int) -> Sequence[Line]:
    """By grant, newest first, ended ones among them; the accesses of each in order."""
    query = (
        select(
            *(col(Grant.id), col(Grant.state), col(Grant.created_at), col(Client.verified)),
            *(col(Access.credential_id), col(Access.ends_at)),
            *(_left(Money, col(Access.budget)), func.coalesce(Money.held, 0)),
            _left(Requests, func.coalesce(Access.max_requests, NO_LIMIT)),
            col(Access.strategy),
        )
        .join(Client, col(Client.id) == col(Grant.client_id))
        .outerjoin(Access, and_(col(Access.grant_id) == col(Grant.id), col(Access.ended_at).is_(None)))
        .outerjoin(Money, _is_money(now))
        .outerjoin(Requests, _is(Requests, *requests_key("")[2:]))
        .where(col(Grant.user_id) == user_id)
        .order_by(col(Grant.created_at).desc(), col(Grant.id), col(Access.position))
    )
    # Plain rows: making thousands of objects takes longer than reading them.
    return [Line._make(row) for row in (await (await tx.connection()).execute(query)).all()]


def _left(counter: Any, limit: Any) -> Any:
    left = counter.limit - counter.settled - counter.overrun - counter.held
    return case((limit == NO_LIMIT, None), (left < 0, 0), else_=func.coalesce(left, limit))


def _is_money(now: int) -> Any:
    """The counter of the window that an access is in."""
    windows = {per: money_key("", per, now) for per in PERIODS}
    per = col(Access.budget_per)
    kind = case({each: key.period_kind for each, key in windows.items()}, value=per)
    start = case({each: key.period_start for each, key in windows.items()}, value=per)
    return _is(Money, "money", kind, start)


def _is(counter: Any, measure: str, kind: Any, start: Any) -> Any:
    return and_(
        counter.scope_kind == "access",
        counter.scope_id == Access.id,
        counter.measure == measure,
        counter.period_kind == kind,
        counter.period_start == start,
    )
