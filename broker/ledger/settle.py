"""Settle: a call ends exactly once, by reservation id, whatever happened to it."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Row, case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.audit.record import SYSTEM, record_core
from broker.core.clock import Clock
from broker.core.errors import BrokerError
from broker.core.grant import GrantEvent, GrantState, sources
from broker.core.money import MicroUSD
from broker.core.strict_json import loads
from broker.core.usage import NO_USAGE, Price, Usage
from broker.ledger.charges import at
from broker.ledger.core_tables import CHANGE, COUNTER, GRANT, RESERVATION
from broker.ledger.keys import CounterKey, load_keys
from broker.store.database import Database

Mark = Literal["not_run", "reported", "estimated", "unresolved"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended. `usage` is the provider's own report; without one that can be believed, the bound is taken."""

    mark: Mark
    outcome: str
    usage: Usage | None = None
    status: int = 0
    reached: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """What the call cost, and what it cost beyond its bound."""

    cost: MicroUSD
    overrun: MicroUSD


def price_of(ending: Ending, price: Price, hold: int) -> Settled:
    """The cost of an ending: never more than the hold, the rest is the overrun."""
    if ending.mark == "not_run":
        return Settled(MicroUSD(0), MicroUSD(0))
    if ending.usage is None or ending.usage.is_absurd():
        return Settled(MicroUSD(hold), MicroUSD(0))
    true_cost = price.cost(ending.usage)
    return Settled(MicroUSD(min(true_cost, hold)), MicroUSD(max(0, true_cost - hold)))


def believed(ending: Ending) -> Ending:
    """An absurd usage is none: whoever handed it in, the books take the bound."""
    if ending.usage is None or not ending.usage.is_absurd():
        return ending
    return replace(ending, mark="estimated" if ending.mark == "reported" else ending.mark, usage=None)


class Settler:
    """Books endings; idempotent by reservation id."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def __call__(self, reservation_id: str, ending: Ending) -> Settled:
        """Raises Unavailable when the books cannot answer; then it may be asked again."""

        async def work(connection: AsyncConnection) -> Settled:
            return await settle(connection, reservation_id, ending, self._clock())

        return await self._db.write_core(work)


async def settle(connection: AsyncConnection, reservation_id: str, ending: Ending, now: int) -> Settled:
    row = (await connection.execute(select(RESERVATION).where(RESERVATION.c.id == reservation_id))).first()
    if row is None:
        raise BrokerError(detail=f"no reservation {reservation_id}")
    ending = believed(ending)
    settled = price_of(ending, read_price(row.price), row.hold)
    if not await _end(connection, row, ending, settled, now):
        return await _after_the_sweep(connection, row, ending, settled, now)
    for key in load_keys(row.charged):
        await _book(connection, key, row.hold, settled, ran=ending.mark != "not_run")
    if settled.overrun:
        await _freeze(connection, row, settled, now)
    return settled


async def _end(connection: AsyncConnection, row: Row[Any], ending: Ending, settled: Settled, now: int) -> bool:
    usage = ending.usage or NO_USAGE
    counted = usage.input_tokens + usage.output_tokens if ending.usage is not None else row.rate_tokens
    values = {
        "state": "released" if ending.mark == "not_run" else "settled",
        "mark": ending.mark,
        "ended_at": now,
        "cost": settled.cost,
        "overrun": settled.overrun,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "rate_tokens": counted,
        "status": ending.status,
        "outcome": ending.outcome,
        "reached": int(ending.reached),
    }
    held = (RESERVATION.c.id == row.id) & (RESERVATION.c.state == "held")
    return (await connection.execute(update(RESERVATION).where(held).values(values))).rowcount == 1


async def _book(connection: AsyncConnection, key: CounterKey, hold: int, settled: Settled, *, ran: bool) -> None:
    c = COUNTER.c
    held, spent, beyond = (hold, settled.cost, settled.overrun) if key.is_money() else (1, int(ran), 0)
    total = c.settled + spent + c.held - held
    await connection.execute(
        update(COUNTER)
        .where(at(key))
        .values(
            held=c.held - held,
            settled=c.settled + spent,
            overrun=c.overrun + beyond,
            # A lowered limit sinks with every ending until it is the figure typed.
            limit=case((total > c.target, total), else_=c.target),
        )
    )


async def _after_the_sweep(
    connection: AsyncConnection, row: Row[Any], ending: Ending, settled: Settled, now: int
) -> Settled:
    """The sweep took the bound; the truth that comes later changes only the mark and, beyond the bound, the overrun."""
    if row.mark != "unresolved" or ending.mark not in ("reported", "estimated"):
        return Settled(MicroUSD(row.cost), MicroUSD(row.overrun))
    late = (RESERVATION.c.id == row.id) & (RESERVATION.c.mark == "unresolved")
    values = {"mark": ending.mark, "overrun": settled.overrun, "outcome": ending.outcome}
    changed = await connection.execute(update(RESERVATION).where(late).values(values))
    if changed.rowcount == 1 and settled.overrun:
        for key in load_keys(row.charged):
            if key.is_money():
                beyond = COUNTER.c.overrun + settled.overrun
                await connection.execute(update(COUNTER).where(at(key)).values(overrun=beyond))
        await _freeze(connection, row, settled, now)
    return Settled(MicroUSD(row.hold), settled.overrun)


async def _freeze(connection: AsyncConnection, row: Row[Any], settled: Settled, now: int) -> None:
    live = GRANT.c.state.in_([state.value for state in sources(GrantEvent.FREEZE)])
    frozen = {"state": GrantState.FROZEN.value, "changed_at": now}
    done = await connection.execute(update(GRANT).where(GRANT.c.id == row.grant_id, live).values(frozen))
    await connection.execute(update(CHANGE).values(count=CHANGE.c.count + 1))
    details: dict[str, str | int | bool | None] = {
        "reservation": row.id,
        "hold": row.hold,
        "overrun": settled.overrun,
        "provider": row.provider,
        "model": row.model,
    }
    # A grant that is over, or frozen already, is not frozen again; what it cost beyond its bound is told all the same.
    event = "grant.frozen" if done.rowcount == 1 else "call.overrun"
    await record_core(connection, now, event, SYSTEM, row.grant_id, details)


def read_price(stored: str) -> Price:
    """The price a call was admitted with."""
    read = loads(stored.encode())
    if not isinstance(read, dict):
        raise BrokerError(detail="a reservation has no price")
    return Price.from_dict(dict(read))
