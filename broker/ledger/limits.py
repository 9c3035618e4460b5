"""Limits as people set and read them: opened with an access, raised or lowered later, shown as figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, case, func, or_
from sqlalchemy import select as core_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core import period
from broker.core.access import PERIODS
from broker.ledger.core_tables import COUNTER, HELD
from broker.ledger.keys import CounterKey, money_key, requests_key
from broker.store.grant_tables import Access
from broker.store.ledger_tables import NO_LIMIT, Counter, Reservation
from broker.store.sums import inserts


@dataclass(frozen=True, slots=True)
class Figure:
    """One limit now. `limit` is the figure typed, None for no limit; `remaining` is what is really left of it."""

    limit: int | None
    settled: int
    held: int
    overrun: int
    remaining: int | None

    @property
    def used(self) -> int:
        return self.settled + self.held

    @property
    def is_reached(self) -> bool:
        return self.remaining == 0


@dataclass(frozen=True, slots=True)
class Figures:
    """An access against its limits; `resets_at` in microseconds, None where the budget never rolls."""

    money: Figure
    requests: Figure
    resets_at: int | None
    running: int


async def open_access(tx: AsyncSession, access: Access, now: int) -> None:
    """Makes the counter rows of a new access."""
    await change_limits(tx, access, now)


async def change_limits(tx: AsyncSession, access: Access, now: int) -> None:
    """Enforces the budget, its period and max_requests that the access row now says.

    A limit below what is settled and held becomes that sum, and sinks to the figure typed as calls end. A changed period
    starts a new counter; the old one keeps its holds.
    """
    money = money_key(access.id, access.budget_per, now)
    await set_targets(tx, {money: access.budget, requests_key(access.id): _limit(access.max_requests)})


async def figures(tx: AsyncSession, access: Access, now: int) -> Figures:
    money = await load(tx, money_key(access.id, access.budget_per, now))
    requests = await load(tx, requests_key(access.id))
    running = select(func.count()).where(Reservation.access_id == access.id, HELD)
    resets_at = period.end(access.budget_per, now)
    return _figures(access, money, requests, (await tx.exec(running)).one(), resets_at)


async def figures_of(tx: AsyncSession, accesses: Sequence[Access], now: int) -> dict[str, Figures]:
    """The figures of many accesses by their ids, in as many statements as of one."""
    ids = [access.id for access in accesses]
    windows: dict[str, tuple[str, int]] = {per: money_key("", per, now)[3:] for per in PERIODS}
    ends: dict[str, int | None] = {per: period.end(per, now) for per in PERIODS}
    c = COUNTER.c
    now_or_ever = or_(*(and_(c.period_kind == kind, c.period_start == at) for kind, at in {*windows.values()}))
    counters = core_select(COUNTER).where(c.scope_kind == "access", c.scope_id.in_(ids), now_or_ever)
    by_key = {row[:5]: row for row in (await (await tx.connection()).execute(counters)).all()}
    held = select(Reservation.access_id, func.count()).where(HELD, col(Reservation.access_id).in_(ids))
    running = dict((await tx.exec(held.group_by(Reservation.access_id))).all())
    return {
        access.id: _figures(
            access,
            by_key.get(("access", access.id, "money", *windows[access.budget_per])),
            by_key.get(("access", access.id, "requests", "grant", 0)),
            running.get(access.id, 0),
            ends[access.budget_per],
        )
        for access in accesses
    }


async def figure(tx: AsyncSession, key: CounterKey, limit: int) -> Figure:
    """One counter, against the limit that it has or would be opened with."""
    return _figure(await load(tx, key), limit)


async def load(tx: AsyncSession, key: CounterKey) -> Counter | None:
    return await tx.get(Counter, tuple(key), populate_existing=True)


def _figures(
    access: Access,
    money: Row[Any] | Counter | None,
    requests: Row[Any] | Counter | None,
    running: int,
    resets_at: int | None,
) -> Figures:
    return Figures(
        money=_figure(money, access.budget),
        requests=_figure(requests, _limit(access.max_requests)),
        resets_at=resets_at,
        running=running,
    )


def _figure(counter: Row[Any] | Counter | None, limit: int) -> Figure:
    shown = None if limit == NO_LIMIT else limit
    if counter is None:
        return Figure(shown, 0, 0, 0, shown)
    left = max(0, counter.limit - counter.settled - counter.overrun - counter.held)
    return Figure(shown, counter.settled, counter.held, counter.overrun, None if shown is None else left)


def _limit(value: int | None) -> int:
    return NO_LIMIT if value is None else value


async def set_targets(tx: AsyncSession, targets: Mapping[CounterKey, int]) -> None:
    """Counters as they are to be from now on, made where they are missing; one that is lowered sinks as calls end."""
    if not targets:
        return
    connection = await tx.connection()
    insert = inserts(connection.dialect.name)(COUNTER)
    charged, new = COUNTER.c.settled + COUNTER.c.held, insert.excluded.target
    statement = insert.on_conflict_do_update(
        index_elements=COUNTER.primary_key,
        set_={"target": new, "limit": case((charged > new, charged), else_=new)},
    )
    # In one order: two that set the same ones would wait for each other.
    rows = [key._asdict() | _OPENED | {"limit": target, "target": target} for key, target in sorted(targets.items())]
    await connection.execute(statement, rows)


_OPENED = {"settled": 0, "held": 0, "overrun": 0}
