"""The proof that the counters are the sums of the rows: it holds for books that are right, and fails for others."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from broker.core.clock import DAY
from broker.core.usage import Price, Rates, Tier
from broker.ledger.settle import Ending
from broker.ledger.verify import verify
from tests.books.world import ESTIMATED, NOT_RUN, Books, Lent, reported, standing
from tests.stores import Store
from tests.turned_clock import TurnedClock

THIRD = Price("test", "1", (Tier(-1, Rates(333_333, 333_333, 333_333, 333_333, 666_666)),))


@pytest.fixture
async def spoiled(store: Store) -> AsyncIterator[Books]:
    """Books that no one looks at in the end; with a call of each state."""
    opened = Books(store.open(), TurnedClock())
    await opened.open()
    lent = await opened.lend(max_requests=9)
    await opened.reserve(lent)
    await opened.settle(await opened.reserve(lent), reported(10, 5))
    await opened.settle(await opened.reserve(lent), NOT_RUN)
    yield opened
    await opened.db.close()


async def test_books_that_are_right_say_what_they_hold(spoiled: Books) -> None:
    assert str(await verify(spoiled.db)) == "OK: 3 calls, 2 counters, $0.00002 settled"


async def test_empty_books_are_right(books: Books) -> None:
    assert str(await verify(books.db)) == "OK: 0 calls, 0 counters, $0.00 settled"


@pytest.mark.parametrize(
    "fraud",
    [
        "UPDATE counter SET settled = settled - 1 WHERE measure = 'money'",
        "UPDATE counter SET held = held - 1 WHERE measure = 'requests'",
        "UPDATE counter SET overrun = 1 WHERE measure = 'money'",
        "DELETE FROM counter WHERE measure = 'money'",
        "DELETE FROM counter WHERE measure = 'requests'",
        'UPDATE counter SET "limit" = "limit" + 1 WHERE measure = \'money\'',
        "UPDATE reservation SET cost = cost - 1 WHERE state = 'settled'",
        "UPDATE reservation SET hold = hold + 1 WHERE state = 'held'",
        "UPDATE reservation SET charged = '[]' WHERE state = 'settled'",
        "UPDATE reservation SET state = 'settled', mark = 'reported', cost = 20 WHERE state = 'released'",
        "UPDATE reservation SET mark = 'not_run' WHERE state = 'settled'",
        "UPDATE reservation SET price = '' WHERE state = 'settled'",
        "UPDATE reservation SET price = replace(price, '2000000', '1000000') WHERE state = 'settled'",
        "UPDATE reservation SET input_tokens = 9 WHERE state = 'settled'",
        "DELETE FROM reservation WHERE state = 'settled'",
        "DELETE FROM usage_entry",
        "UPDATE usage_entry SET cost = cost + 1 WHERE calls = 1",
        "UPDATE usage_entry SET calls = 2 WHERE calls = 1",
        "UPDATE usage_entry SET access_id = 'acc_other'",
        "INSERT INTO archived_sum SELECT scope_kind, scope_id, measure, period_kind, period_start, 1, 1, 0 FROM counter",
    ],
)
async def test_books_that_were_tampered_with_are_found(spoiled: Books, fraud: str) -> None:
    await spoiled.run(fraud)
    verdict = await verify(spoiled.db)
    assert verdict.fault
    assert not str(verdict).startswith("OK")


async def test_thirds_of_a_micro_dollar_are_rounded_up_once_a_call(books: Books) -> None:
    lent = await books.lend(budget=10_000)
    for _ in range(50):
        held = await books.reserve(lent, price=THIRD, input_bound=10, own_output=10)
        await books.settle(held, reported(1, 0))
    assert standing(await books.money(lent.access_id)) == (50, 0, 0)
    assert sum(row.cost for row in await books.rows()) == 50


async def test_whatever_happens_at_once_nothing_is_held_at_rest(books: Books) -> None:
    lent = await books.lend({"budget": 10**6, "budget_per": "day"}, {"budget": 10**6})
    chance = random.Random(7)
    await asyncio.gather(*(_one(books, lent, chance) for _ in range(120)))
    assert [counter.held for counter in await books.counters()] == [0] * len(await books.counters())
    rows = await books.rows()
    assert len(rows) == 120
    assert sum(row.cost for row in rows) == sum(c.settled for c in await books.counters() if c.measure == "money")


async def _one(books: Books, lent: Lent, chance: random.Random) -> None:
    endings: list[Ending] = [NOT_RUN, ESTIMATED, reported(chance.randint(1, 100), chance.randint(0, 50))]
    held = await books.reserve(lent)
    if chance.random() < 0.05:
        books.clock.now += DAY
    for _ in range(chance.randint(1, 2)):
        await books.settle(held, chance.choice(endings))
