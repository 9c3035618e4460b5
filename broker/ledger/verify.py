"""Proves that the counters are the sums of the rows."""

from collections import defaultdict
from dataclasses import dataclass, field

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.money import MicroUSD, to_decimal
from broker.ledger.keys import CounterKey, key_of, load_keys
from broker.store.database import Database
from broker.store.ledger_tables import NO_LIMIT, Counter, Reservation


@dataclass(slots=True)
class _Sum:
    settled: int = 0
    held: int = 0
    overrun: int = 0


@dataclass(slots=True)
class Verdict:
    """`fault` is the first thing wrong, empty when the books are right."""

    calls: int = 0
    counters: int = 0
    spent: int = 0
    fault: str = ""
    sums: dict[CounterKey, _Sum] = field(default_factory=lambda: defaultdict(_Sum))

    def __str__(self) -> str:
        if self.fault:
            return self.fault
        return f"OK: {self.calls} calls, {self.counters} counters, ${to_decimal(MicroUSD(self.spent))} settled"


async def verify(db: Database) -> Verdict:
    """Reads all books in one snapshot."""

    async def work(tx: AsyncSession) -> Verdict:
        verdict = Verdict()
        await _add_up(tx, verdict)
        await _compare(tx, verdict)
        return verdict

    return await db.read(work)


async def _add_up(tx: AsyncSession, verdict: Verdict) -> None:
    c = Reservation
    rows = await (await tx.connection()).stream(
        select(c.id, c.state, c.mark, c.hold).add_columns(col(c.cost), col(c.overrun), col(c.charged), col(c.price))
    )
    async for call_id, state, mark, hold, cost, overrun, charged, price in rows:
        verdict.calls += 1
        verdict.spent += cost + overrun
        if cost > hold or (mark == "not_run" and cost) or not price:
            verdict.fault = verdict.fault or f"Call {call_id}: cost {cost}, hold {hold}, mark {mark} do not agree."
        for key in load_keys(charged):
            entry = verdict.sums[key]
            money = key.is_money()
            if state == "held":
                entry.held += hold if money else 1
            elif state == "settled":
                entry.settled += cost if money else 1
                entry.overrun += overrun if money else 0


async def _compare(tx: AsyncSession, verdict: Verdict) -> None:
    for counter in (await tx.exec(select(Counter))).all():
        verdict.counters += 1
        key = key_of(counter)
        summed = verdict.sums.pop(key, _Sum())
        found = _Sum(counter.settled, counter.held, counter.overrun)
        if verdict.fault:
            continue
        if found != summed:
            verdict.fault = f"Counter {'/'.join(map(str, key))}: {found} is not the sum of its calls, {summed}."
        elif counter.settled + counter.held > counter.limit or counter.target > NO_LIMIT:
            verdict.fault = f"Counter {'/'.join(map(str, key))}: {found} is over its limit {counter.limit}."
    if verdict.sums and not verdict.fault:
        verdict.fault = f"Counter {'/'.join(map(str, next(iter(verdict.sums))))} is missing."
