"""Whatever happens in whatever order, and whenever somebody folds: the history is the sum over the rows."""

import asyncio
import random
from collections import defaultdict
from functools import partial

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import MINUTE
from broker.core.grant import GrantEvent
from broker.ledger import fold as folding
from broker.ledger import history, rollup
from broker.ledger.fold import QUARTER
from broker.ledger.history import ModelUsage
from broker.ledger.reserve import Reservation
from broker.ledger.rollup import fold, roll_up
from broker.store.ledger_tables import Reservation as Row
from broker.store.ledger_tables import UsageEntry
from tests.books.world import ESTIMATED, NOT_RUN, Books, Lent, reported
from tests.stores import Store

MODELS = ("gpt-4o-mini", "o3", "gpt-4.1")
RICH = {"models": '["*"]', "budget": 10**9}


class Chance:
    """Random lives of calls of two grants, on books that somebody folds now and then."""

    def __init__(self, books: Books, seed: int) -> None:
        self.books = books
        self.random = random.Random(seed)
        self.running: list[Reservation] = []
        self.swept: list[Reservation] = []

    async def lend(self) -> list[Lent]:
        self.lents = [await self.books.lend(RICH, RICH | {"provider": "other"}), await self.books.lend(RICH)]
        return self.lents

    async def step(self) -> None:
        steps = (self.reserve, self.reserve, self.reserve, self.settle, self.settle, self.fold, self.wait, self.die)
        await self.random.choice((*steps, self.tell_late))()

    async def reserve(self) -> None:
        lent = self.random.choice(self.lents)
        self.running.append(await self.books.reserve(lent, model=self.random.choice(MODELS)))

    async def settle(self) -> None:
        if self.running:
            held = self.running.pop(self.random.randrange(len(self.running)))
            read = self.random.choice((0, 1, 90, 1_000))
            await self.books.settle(held, self.random.choice((NOT_RUN, ESTIMATED, reported(read, 9))))
            await self.thaw()

    async def fold(self) -> None:
        await self.books.db.write_core(fold)

    async def wait(self) -> None:
        self.books.clock.turn(self.random.choice((1, 59, 400, 1_800)))

    async def die(self) -> None:
        """Another life of the worker begins; what the last one held is swept."""
        await self.books.lease.take()
        await self.books.run(f"UPDATE boot SET lease_ends_at = 0 WHERE id <> '{self.books.lease.boot_id}'")
        assert await self.books.sweep() == len(self.running)
        self.swept += self.running
        self.running = []

    async def tell_late(self) -> None:
        if self.swept:
            held = self.swept.pop(self.random.randrange(len(self.swept)))
            await self.books.settle(held, reported(self.random.choice((1, 5_000)), 0))
            await self.thaw()

    async def thaw(self) -> None:
        for lent in self.lents:
            await self.books.move(lent.grant_id, GrantEvent.UNFREEZE)


def by_quarter(rows: list[Row], since: int) -> list[tuple[int, int]]:
    sums: dict[int, int] = defaultdict(int)
    for row in rows:
        if row.admitted_at >= since and row.cost + row.overrun:
            sums[row.admitted_at // QUARTER * QUARTER] += row.cost + row.overrun
    return sorted(sums.items())


def by_model(rows: list[Row], since: int) -> list[ModelUsage]:
    found = []
    for model in MODELS:
        those = [row for row in rows if row.model == model and row.state == "settled" and row.admitted_at >= since]
        if those:
            read, written = sum(row.input_tokens for row in those), sum(row.output_tokens for row in those)
            found.append(ModelUsage(model, len(those), read, written, sum(row.cost + row.overrun for row in those)))
    return sorted(found, key=lambda usage: (-usage.cost, usage.model))


async def waiting(tx: AsyncSession) -> list[UsageEntry]:
    return list((await tx.exec(select(UsageEntry))).all())


async def require_exact(books: Books, lents: list[Lent], since: int) -> None:
    every = await books.rows()
    for lent in lents:
        rows = [row for row in every if row.grant_id == lent.grant_id]
        assert await books.db.read(partial(history.cost_by_quarter, grant_id=lent.grant_id, since=since)) == by_quarter(
            rows, since
        )
        assert await books.db.read(partial(history.by_model, grant_id=lent.grant_id, since=since)) == by_model(
            rows, since
        )
        last = max((row.admitted_at for row in rows), default=None)
        assert await books.db.read(partial(history.last_used, grant_id=lent.grant_id)) == last
    spent = sum(row.cost + row.overrun for row in every if row.admitted_at >= since)
    assert await books.db.read(lambda tx: history.spent_since(tx, books.user_id, since)) == spent
    totals = await books.db.read(lambda tx: history.total_costs(tx, [lent.grant_id for lent in lents]))
    assert sum(totals.values()) == sum(row.cost + row.overrun for row in every)


@pytest.mark.parametrize("seed", range(4))
async def test_the_history_is_the_sum_over_the_rows(books: Books, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "BATCH", 3)
    chance = Chance(books, seed)
    lents = await chance.lend()
    begin = books.clock() // QUARTER * QUARTER
    for number in range(90):
        await chance.step()
        if number % 15 == 14:
            await require_exact(books, lents, begin)
            await require_exact(books, lents, begin + 2 * QUARTER)
    await roll_up(books.db)
    assert await books.db.read(waiting) == []
    await require_exact(books, lents, begin)


async def test_processes_that_fold_at_once_fold_each_entry_once(books: Books, store: Store) -> None:
    lent = await books.lend(RICH)
    for _ in range(40):
        await books.settle(await books.reserve(lent), reported(7, 0))
    other = store.open()
    done = await asyncio.gather(*(roll_up(db) for db in (books.db, other, books.db, other)))
    await other.close()
    assert sum(done) == 40
    assert [usage.cost for usage in await books.db.read(lambda tx: history.by_model(tx, lent.grant_id))] == [280]
    assert await roll_up(books.db) == 0


async def test_a_call_that_runs_into_the_next_quarter_counts_where_it_began(books: Books) -> None:
    lent = await books.lend(RICH)
    begin = books.clock.now = books.clock() // QUARTER * QUARTER
    held = await books.reserve(lent)
    books.clock.now += QUARTER + MINUTE
    await roll_up(books.db)
    await books.settle(held, reported(5, 0))
    await roll_up(books.db)
    assert await books.db.read(lambda tx: history.cost_by_quarter(tx, lent.grant_id, 0)) == [(begin, 5)]


async def test_what_is_ended_is_folded_with_what_is_written_besides(
    books: Books, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.is_postgresql:
        pytest.skip("there, folding keeps nobody from writing, and is done apart")
    monkeypatch.setattr(folding, "FOLDED", 5)
    lent = await books.lend(RICH)
    for number in range(1, 18):
        await books.settle(await books.reserve(lent), reported(number, 0))
        assert len(await books.db.read(waiting)) <= 6
        [usage] = await books.db.read(lambda tx: history.by_model(tx, lent.grant_id))
        assert usage.cost == sum(range(1, number + 1))


def test_what_was_done_anew_without_folding_takes_nothing_off_what_waits() -> None:
    entries = folding.Entries(there=folding.FOLDED + 20)
    steps = entries.fold()
    next(steps)
    steps.send([(folding.FOLDED + 20, 1_000)])
    for _ in range(2):
        steps.send([])
    with pytest.raises(StopIteration):
        steps.send([])
    entries.committed(4)
    assert entries.there == 4
    for _ in range(3):
        entries.committed(4)
    assert entries.there == 16


def test_what_cannot_be_folded_keeps_no_call_from_the_books() -> None:
    entries = folding.Entries(there=folding.FOLDED)
    next(entries.fold())
    entries.undone()
    assert list(entries.fold()) == []
