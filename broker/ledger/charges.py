"""The counters a call is charged to: read, opened for a new period, and taken from by a conditional write."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.core.errors import CallRefused
from broker.core.money import MAX_MONEY
from broker.ledger.core_tables import COUNTER
from broker.ledger.judge import LEAST_OUTPUT, Demand, Plan
from broker.ledger.keys import CounterKey, money_key, requests_key, token_scope
from broker.ledger.standing import Allowance, Standing


@dataclass(frozen=True, slots=True)
class Charge:
    """One counter a call would be charged to, as it stands before it."""

    key: CounterKey
    left: int
    held: int
    at_rest: int
    """What would be left if everything held came back: of a lowered limit, that of the figure typed."""

    def amount(self, hold: int) -> int:
        return hold if self.key.is_money() else 1


async def charges_of(connection: AsyncConnection, standing: Standing, allowance: Allowance, now: int) -> list[Charge]:
    """The counters of an allowance, with rows made for a period that has just begun."""
    limits = {
        money_key(allowance.access_id, allowance.budget_per, now): allowance.budget,
        requests_key(allowance.access_id): allowance.max_requests,
    }
    if allowance.cap is not None:
        scope = token_scope(standing.jti, allowance.access_id)
        if allowance.cap.budget is not None:
            key = money_key(scope, allowance.cap.budget_per, now)._replace(scope_kind="token")
            limits[key] = allowance.cap.budget
        limits[requests_key(scope)._replace(scope_kind="token")] = allowance.cap.max_requests
    return [await _charge(connection, key, limit) for key, limit in limits.items()]


async def _charge(connection: AsyncConnection, key: CounterKey, limit: int) -> Charge:
    where = at(key)
    row = (await connection.execute(select(COUNTER).where(where))).first()
    if row is None:
        values = key._asdict() | {"limit": limit, "target": limit, "settled": 0, "held": 0, "overrun": 0}
        # Two processes may open the same period at once; the one that comes second finds the row.
        absent = ~select(COUNTER.c.limit).where(where).exists()
        source = select(*(literal(value) for value in values.values())).where(absent)
        await connection.execute(insert(COUNTER).from_select(list(values), source))
        return Charge(key, limit, 0, limit)
    spent = row.settled + row.overrun
    return Charge(key, row.limit - spent - row.held, row.held, row.target - spent)


def at(key: CounterKey) -> Any:
    return and_(*(COUNTER.c[name] == value for name, value in key._asdict().items()))


async def take(connection: AsyncConnection, charge: Charge, amount: int) -> bool:
    """The check is the write: one conditional UPDATE and its row count."""
    if amount > MAX_MONEY:
        return False  # more than any limit, and perhaps than 64 bits
    c = COUNTER.c
    fits = c.settled + c.overrun + c.held + amount <= c.limit
    done = await connection.execute(update(COUNTER).where(at(charge.key), fits).values(held=c.held + amount))
    return done.rowcount == 1


def money_left(charges: list[Charge]) -> int:
    return min(charge.left for charge in charges if charge.key.is_money())


def exhausted(charge: Charge, charges: list[Charge], planned: Plan, demand: Demand) -> CallRefused:
    """The refusal of a call that did not fit into `charge`; its figures are those of the tightest money counter."""
    money = [other for other in charges if other.key.is_money()]
    required: int = planned.hold
    if demand.own_output is None and demand.covers_reasoning:
        least = demand.price.worst_case(demand.input_bound, LEAST_OUTPUT * demand.choices)
        required = min(required, least)
    tightest = min(money, key=lambda other: other.left)
    extra: dict[str, int | str] = {"required": required, "remaining": max(0, tightest.left), "held": tightest.held}
    if not charge.key.is_money():
        # A call that runs stays counted, so waiting for it would be in vain.
        return CallRefused("requests_exhausted", "All requests of this access are used up.", extra=extra)
    retry = 1 if all(required <= other.at_rest for other in money) else None
    words = "The spending limit of this access does not cover the most that this request could cost."
    return CallRefused("budget_exhausted", words, retry_after=retry, extra=extra)
