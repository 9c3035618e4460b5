"""What a limit has come to is noted once: by the settlement that brought it there, in the same transaction."""

import asyncio

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import DAY
from broker.ledger.settle import Close
from broker.store.limit_tables import Threshold
from tests.books.world import ESTIMATED, NOT_RUN, Books, reported

WIDE = {"budget": 10**6}


async def noted(books: Books, scope_kind: str = "access", measure: str = "money") -> list[tuple[int, int, int]]:
    """Limit, per cent, and what was used then, in order."""

    async def work(tx: AsyncSession) -> list[tuple[int, int, int]]:
        query = select(Threshold).where(Threshold.scope_kind == scope_kind, Threshold.measure == measure)
        rows = (await tx.exec(query.order_by(col(Threshold.at), col(Threshold.percent)))).all()
        return [(row.limit, row.percent, row.used) for row in rows]

    return await books.db.read(work)


async def test_half_four_fifths_and_all_of_it(books: Books) -> None:
    lent = await books.lend(budget=1_000, max_requests=5)
    for _ in range(5):
        await books.settle(await books.reserve(lent), ESTIMATED)
        books.clock.turn(1)
    assert await noted(books) == [(1_000, 50, 600), (1_000, 80, 800), (1_000, 100, 1_000)]
    assert await noted(books, measure="requests") == [(5, 50, 3), (5, 80, 4), (5, 100, 5)]


async def test_one_settlement_may_reach_several(books: Books) -> None:
    lent = await books.lend(budget=200)
    await books.settle(await books.reserve(lent), ESTIMATED)
    assert await noted(books) == [(200, 50, 200), (200, 80, 200), (200, 100, 200)]


async def test_what_is_held_or_given_back_reaches_none(books: Books) -> None:
    lent = await books.lend(budget=200)
    await books.settle(await books.reserve(lent), NOT_RUN)
    await books.settle(await books.reserve(lent), reported(99, 0))
    assert await noted(books) == []


async def test_an_overrun_counts(books: Books) -> None:
    lent = await books.lend(budget=800)
    await books.settle(await books.reserve(lent), reported(700, 0))
    assert await noted(books) == [(800, 50, 700), (800, 80, 700)]


async def test_each_period_and_each_limit_has_its_own(books: Books) -> None:
    lent = await books.lend(budget=200, budget_per="day")
    await books.settle(await books.reserve(lent), reported(100, 0))
    await books.change(lent.access_id, budget=400)
    await books.settle(await books.reserve(lent), reported(100, 0))
    await books.change(lent.access_id, budget=200)
    await books.change(lent.access_id, budget=400)
    books.clock.now += DAY
    await books.settle(await books.reserve(lent), reported(100, 50))
    assert await noted(books) == [(200, 50, 100), (400, 50, 200), (400, 50, 200)]


async def test_every_limit_that_a_call_is_charged_to_has_them(books: Books) -> None:
    await books.limit("provider", "openai", "day", budget=400)
    await books.limit("credential", books.own_key, "grant", max_requests=2)
    await books.settle(await books.reserve(await books.lend(**WIDE)), ESTIMATED)
    assert await noted(books, "provider") == [(400, 50, 200)]
    assert await noted(books, "credential", "requests") == [(2, 50, 1)]
    assert await noted(books) == await noted(books, measure="requests") == []


@pytest.mark.parametrize("many", [40])
async def test_settlements_in_one_transaction_and_in_two_processes_note_each_once(books: Books, many: int) -> None:
    lent = await books.lend(budget=many * 200)
    held = [await books.reserve(lent) for _ in range(many)]
    processes = (books.own, books.others)
    await asyncio.gather(*(processes[n % 2].submit(Close(each.id, ESTIMATED)) for n, each in enumerate(held)))
    assert [(percent, used * 100 // (many * 200)) for _, percent, used in await noted(books)] == [
        (50, 50),
        (80, 80),
        (100, 100),
    ]
