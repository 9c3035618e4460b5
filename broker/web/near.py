"""What a person is told before a limit stops an app: how near to it they have come, and since when."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.counted import counted
from broker.ledger.keys import CounterKey, money_key, requests_key
from broker.ledger.thresholds import reached
from broker.store.limit_tables import Threshold
from broker.web.lent import Part
from broker.web.words import count, money


@dataclass(frozen=True, slots=True)
class Near:
    """80% of its spending limit is used: $4.00 of $5.00."""

    percent: int
    what: str
    figures: str
    at: int


async def near(tx: AsyncSession, part: Part, instance: str, now: int) -> list[Near]:
    """Of each limit that is not used up, the highest it has come to; nothing of what everybody spends at a provider."""
    names = _names(part, instance, now)
    found = await reached(tx, names)
    return [_near(row, names[key]) for key, row in found.items()]


def _names(part: Part, instance: str, now: int) -> dict[CounterKey, str]:
    access, own = part.access, part.figures
    names = {}
    if not own.money.is_reached:
        names[money_key(access.id, access.budget_per, now)] = "its spending limit"
    if not own.requests.is_reached:
        names[requests_key(access.id)] = "its requests"
    for each in part.above:
        limit, kind = each.limit, each.limit.scope_kind
        if kind != "provider" and not each.is_reached:
            whose = "its key" if limit.is_owners else f"the keys of {instance}" if kind == "tier" else "this key"
            names |= dict.fromkeys(limit.limits(now), f"what all your apps may use of {whose}")
    return names


def _near(row: Threshold, name: str) -> Near:
    is_money = row.measure == "money"
    limit = money(row.limit, "limit") if is_money else counted(row.limit, "request")
    return Near(row.percent, name, f"{money(row.used) if is_money else count(row.used)} of {limit}", row.at)
