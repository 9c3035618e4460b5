"""How near to their limits people's apps have come, as pages and the operator read it."""

from collections.abc import Collection, Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.ledger.keys import CounterKey
from broker.store.limit_tables import Threshold

MOST = 1_000


async def newest(tx: AsyncSession, most: int = MOST) -> Sequence[Threshold]:
    """The last that were noted, the newest first; of settlements at the same time the highest first."""
    order = (col(Threshold.at).desc(), col(Threshold.percent).desc())
    return (await tx.exec(select(Threshold).order_by(*order).limit(most))).all()


async def reached(tx: AsyncSession, counters: Collection[CounterKey]) -> dict[CounterKey, Threshold]:
    """The highest that each of these counters has come to, of whichever figure its limit was then."""
    if not counters:
        return {}
    ids = {key.scope_id for key in counters}
    query = select(Threshold).where(col(Threshold.scope_id).in_(ids)).order_by(col(Threshold.percent))
    found = {}
    for row in (await tx.exec(query)).all():
        key = CounterKey(row.scope_kind, row.scope_id, row.measure, row.period_kind, row.period_start)
        if key in counters:
            found[key] = row
    return found
