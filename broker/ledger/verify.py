"""Proves that the counters are the sums of the rows and of what was archived, and the roll-ups those of the counters."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Select, select
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.counted import of_number
from broker.core.errors import BrokerError
from broker.core.money import MicroUSD, to_decimal
from broker.core.usage import Price, Usage
from broker.ledger.core_tables import COUNTER, RESERVATION
from broker.ledger.keys import CounterKey, load_keys
from broker.ledger.rollup import used_by_access
from broker.ledger.settle import read_extras, read_price
from broker.store.database import Database

ARCHIVED = SQLModel.metadata.tables["archived_sum"]

_AT_A_TIME = 1_000


@dataclass(slots=True)
class _Sum:
    settled: int = 0
    held: int = 0
    overrun: int = 0

    def __add__(self, other: "_Sum") -> "_Sum":
        return _Sum(self.settled + other.settled, self.held + other.held, self.overrun + other.overrun)


@dataclass(slots=True)
class _Charged:
    """What all calls that are charged to the same counters came to."""

    money: _Sum = field(default_factory=_Sum)
    requests: _Sum = field(default_factory=_Sum)

    def add(self, state: str, hold: int, cost: int, overrun: int) -> None:
        if state == "settled":
            self.money.settled += cost
            self.money.overrun += overrun
            self.requests.settled += 1
        elif state == "held":
            self.money.held += hold
            self.requests.held += 1


@dataclass(slots=True)
class _Used:
    calls: int = 0
    cost: int = 0

    def add(self, counter: Row[Any]) -> None:
        if counter.measure == "money":
            self.cost += counter.settled + counter.overrun
        else:
            self.calls += counter.settled


@dataclass(slots=True)
class Verdict:
    """`fault` is the first thing wrong, empty when the books are right."""

    calls: int = 0
    archived: int = 0
    counters: int = 0
    spent: int = 0
    fault: str = ""
    sums: dict[CounterKey, _Sum] = field(default_factory=lambda: defaultdict(_Sum))

    def __str__(self) -> str:
        if self.fault:
            return self.fault
        archived = f" and {self.archived} archived" if self.archived else ""
        spent = to_decimal(MicroUSD(self.spent))
        calls, counters = of_number(self.calls, "call"), of_number(self.counters, "counter")
        return f"OK: {self.calls} {calls}{archived}, {self.counters} {counters}, ${spent} settled"


async def verify(db: Database) -> Verdict:
    """Reads all books in one snapshot."""
    return await db.read(prove)


async def prove(tx: AsyncSession) -> Verdict:
    verdict = Verdict()
    await _add_archived(tx, verdict)
    await _add_up(tx, verdict)
    totals = await _compare(tx, verdict)
    await _compare_roll_ups(tx, totals, verdict)
    return verdict


async def _add_archived(tx: AsyncSession, verdict: Verdict) -> None:
    async for row in _rows(tx, select(ARCHIVED)):
        key = CounterKey._make(row[:5])
        verdict.sums[key] = _Sum(row.settled, 0, row.overrun)
        if row.scope_kind == "access" and row.measure == "requests":
            verdict.archived += row.calls
        elif row.scope_kind == "access":
            verdict.spent += row.settled + row.overrun


async def _add_up(tx: AsyncSession, verdict: Verdict) -> None:
    by_counters: dict[str, _Charged] = defaultdict(_Charged)
    r = RESERVATION.c
    query = (
        select(r.id, r.state, r.charged, r.price, r.mark, r.hold, r.cost, r.overrun)
        .add_columns(r.input_tokens, r.output_tokens, r.cached_input_tokens, r.cache_write_tokens, r.cache_write_long_tokens)
        .add_columns(r.extras)
    )  # fmt: skip
    async for rows in _parts(tx, query):
        verdict.calls += len(rows)
        # Taken apart at once: there are millions of them, and a figure asked for by its name takes as long as the proof.
        for call_id, state, charged, price, mark, hold, cost, overrun, *counts in rows:
            if not _agrees(_price(price), mark, hold, cost, overrun, counts) and not verdict.fault:
                verdict.fault = (
                    f"Call {call_id}: cost {cost}, overrun {overrun}, hold {hold}, mark {mark} and usage do not agree."
                )
            by_counters[charged].add(state, hold, cost, overrun)
    for charged, found in by_counters.items():
        verdict.spent += found.money.settled + found.money.overrun
        for key in load_keys(charged):
            verdict.sums[key] += found.money if key.is_money() else found.requests


async def _parts(tx: AsyncSession, query: Select[Any]) -> AsyncIterator[Sequence[Row[*tuple[Any, ...]]]]:
    """All at once would not fit into memory; one at a time is a change of task for each."""
    found = await (await tx.connection()).stream(query.execution_options(yield_per=_AT_A_TIME))
    async for rows in found.partitions(_AT_A_TIME):
        yield rows


async def _rows(tx: AsyncSession, query: Select[Any]) -> AsyncIterator[Row[*tuple[Any, ...]]]:
    async for rows in _parts(tx, query):
        for row in rows:
            yield row


@lru_cache(4096)
def _price(stored: str) -> Price | None:
    """Few prices stand in many rows."""
    try:
        return read_price(stored)
    except (ValueError, TypeError, KeyError, BrokerError):
        return None


def _agrees(price: Price | None, mark: str, hold: int, cost: int, overrun: int, counts: list[Any]) -> bool:
    """Whether a call costs what its ending, its usage and its own prices say."""
    if price is None:
        return False
    if mark in ("", "not_run"):
        return cost == 0 and overrun == 0
    if mark == "reported" and any(counts):
        *tokens, extras = counts
        usage = Usage._make((*tokens, read_extras(extras)))
        true_cost = hold if usage.is_absurd() or not price.can_price(usage) else price.cost(usage)
        return cost + overrun == true_cost and (cost == hold if overrun else 0 <= cost <= hold)
    # The bound; a truth that came after the sweep adds an overrun to it at most. A report of nothing costs nothing.
    return cost == hold or (mark == "reported" and cost == overrun == 0)


async def _compare(tx: AsyncSession, verdict: Verdict) -> dict[str, _Used]:
    """What each access used in all, as its counters say."""
    totals: dict[str, _Used] = defaultdict(_Used)
    async for counter in _rows(tx, select(COUNTER)):
        verdict.counters += 1
        key = CounterKey._make(counter[:5])
        if key.scope_kind == "access":
            totals[key.scope_id].add(counter)
        summed = verdict.sums.pop(key, _Sum())
        found = _Sum(counter.settled, counter.held, counter.overrun)
        if verdict.fault:
            continue
        if found != summed:
            verdict.fault = f"Counter {'/'.join(map(str, key))}: {found} is not the sum of its calls, {summed}."
        elif counter.limit != max(counter.target, counter.settled + counter.held):
            verdict.fault = f"Counter {'/'.join(map(str, key))}: {found} does not go with its limit {counter.limit}."
    if verdict.sums and not verdict.fault:
        verdict.fault = f"Counter {'/'.join(map(str, next(iter(verdict.sums))))} is missing."
    return totals


async def _compare_roll_ups(tx: AsyncSession, totals: dict[str, _Used], verdict: Verdict) -> None:
    for access_id, calls, cost in await used_by_access(tx):
        expected, found = totals.pop(access_id, _Used()), _Used(calls, cost)
        if found != expected and not verdict.fault:
            verdict.fault = f"Roll-ups of {access_id}: {found} is not what its counters say, {expected}."
    left = next((access_id for access_id, used in totals.items() if used != _Used()), None)
    if left is not None and not verdict.fault:
        verdict.fault = f"Roll-ups of {left} are missing."
