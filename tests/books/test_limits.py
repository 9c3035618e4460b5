"""Limits changed while calls run, and limits that begin again with each day, week or month."""

import pytest

from broker.core.clock import DAY, to_seconds
from broker.ledger.keys import load_keys
from broker.ledger.limits import Figure, Figures, figures
from broker.ledger.settle import Close
from broker.ledger.view import grant_object
from broker.store.grant_tables import Access, Grant
from broker.store.ledger_tables import NO_LIMIT, Counter
from tests.books.world import ESTIMATED, NOT_RUN, Books, Lent, reported, standing

MIDNIGHT = 1_795_305_600_000_000
"""22 Nov 2026, a Sunday: the second midnight from here is one of a new week, too."""


async def seen(books: Books, lent: Lent) -> Figures:
    access = await books.db.read(lambda tx: tx.get_one(Access, lent.access_id))
    return await books.db.read(lambda tx: figures(tx, access, books.clock()))


def limits(counter: Counter) -> tuple[int, int]:
    return counter.limit, counter.target


async def test_a_limit_lowered_below_what_is_used_sinks_with_each_ending(books: Books) -> None:
    lent = await books.lend(budget=1_000)
    first, second, third = [await books.reserve(lent) for _ in range(3)]
    await books.change(lent.access_id, budget=250)
    assert limits(await books.money(lent.access_id)) == (600, 250)
    await books.settle(first, reported(50, 0))
    assert limits(await books.money(lent.access_id)) == (450, 250)
    assert (await books.refused(lent, input_bound=1, own_output=16)).code == "budget_exhausted"
    await books.settle(second, NOT_RUN)
    assert limits(await books.money(lent.access_id)) == (250, 250)
    await books.settle(third, reported(10, 0))
    assert limits(await books.money(lent.access_id)) == (250, 250)
    assert standing(await books.money(lent.access_id)) == (60, 0, 0)
    await books.reserve(lent, input_bound=90)


async def test_a_lowered_limit_is_seen_though_what_one_takes_another_gives_back(books: Books) -> None:
    """In one transaction, which leaves the counter as it was."""
    lent = await books.lend()
    held = await books.reserve(lent)
    await books.change(lent.access_id, budget=0)
    closing = books.own.submit(Close(held.id, NOT_RUN))
    assert (await books.refused(lent)).code == "budget_exhausted"
    await closing
    assert limits(await books.money(lent.access_id)) == (0, 0)


async def test_a_limit_lowered_below_what_was_spent_stays_there(books: Books) -> None:
    lent = await books.lend(budget=1_000)
    await books.settle(await books.reserve(lent), ESTIMATED)
    await books.change(lent.access_id, budget=50)
    assert limits(await books.money(lent.access_id)) == (200, 50)
    assert (await seen(books, lent)).money == Figure(50, 200, 0, 0, 0)
    assert (await seen(books, lent)).money.is_reached


async def test_a_raised_limit_admits_at_once(books: Books) -> None:
    lent = await books.lend(budget=200)
    await books.reserve(lent)
    assert (await books.refused(lent)).code == "budget_exhausted"
    await books.change(lent.access_id, budget=400)
    await books.reserve(lent)


async def test_lowered_and_raised_again_the_limit_is_the_figure_typed(books: Books) -> None:
    lent = await books.lend(budget=1_000)
    await books.reserve(lent)
    await books.change(lent.access_id, budget=10)
    await books.change(lent.access_id, budget=800)
    assert limits(await books.money(lent.access_id)) == (800, 800)


async def test_fewer_requests_than_were_made_sink_in_the_same_way(books: Books) -> None:
    lent = await books.lend(max_requests=10)
    first, second, _ = [await books.reserve(lent) for _ in range(3)]
    await books.settle(first, reported(1, 1))
    await books.change(lent.access_id, max_requests=1)
    assert limits(await books.requests(lent.access_id)) == (3, 1)
    await books.settle(second, NOT_RUN)
    assert limits(await books.requests(lent.access_id)) == (2, 1)
    assert (await books.refused(lent)).code == "requests_exhausted"


async def test_a_limit_on_requests_may_come_and_go(books: Books) -> None:
    lent = await books.lend()
    await books.reserve(lent)
    await books.change(lent.access_id, max_requests=1)
    assert (await books.refused(lent)).code == "requests_exhausted"
    await books.change(lent.access_id, max_requests=None)
    assert limits(await books.requests(lent.access_id)) == (NO_LIMIT, NO_LIMIT)
    assert (await seen(books, lent)).requests == Figure(None, 0, 1, 0, None)


@pytest.mark.parametrize("per", ["day", "week", "month"])
async def test_a_new_period_begins_with_nothing_spent(books: Books, per: str) -> None:
    books.clock.now = MIDNIGHT - DAY
    lent = await books.lend(budget=200, budget_per=per)
    await books.settle(await books.reserve(lent), ESTIMATED)
    assert (await books.refused(lent)).code == "budget_exhausted"
    ends = (await seen(books, lent)).resets_at
    assert ends is not None
    books.clock.now = ends - 1
    assert (await books.refused(lent)).code == "budget_exhausted"
    books.clock.now = ends
    assert (await seen(books, lent)).money == Figure(200, 0, 0, 0, 200)
    await books.reserve(lent)
    assert [standing(row) for row in await books.counters() if row.measure == "money"] == [(200, 0, 0), (0, 200, 0)]


async def test_a_settlement_in_the_next_period_goes_to_the_old_counter(books: Books) -> None:
    books.clock.now = MIDNIGHT - 1
    lent = await books.lend(budget=400, budget_per="day")
    late = await books.reserve(lent)
    yesterday = load_keys((await books.row(late)).charged)[0]
    books.clock.now = MIDNIGHT
    await books.settle(await books.reserve(lent), reported(7, 0))
    await books.settle(late, reported(60, 0))
    assert standing(await books.counter(yesterday)) == (60, 0, 0)
    assert standing(await books.money(lent.access_id, "day")) == (7, 0, 0)


async def test_a_clock_stepped_back_over_midnight_refills_nothing(books: Books) -> None:
    books.clock.now = MIDNIGHT
    lent = await books.lend(budget=200, budget_per="day")
    await books.reserve(lent)
    books.clock.now = MIDNIGHT - 1
    await books.reserve(lent)
    assert (await books.refused(lent)).code == "budget_exhausted"
    books.clock.now = MIDNIGHT
    assert (await books.refused(lent)).code == "budget_exhausted"


async def test_a_changed_period_starts_a_new_counter_and_the_old_one_keeps_its_holds(books: Books) -> None:
    lent = await books.lend(budget=200)
    held = await books.reserve(lent)
    await books.change(lent.access_id, budget=300, budget_per="week")
    assert load_keys((await books.row(await books.reserve(lent))).charged)[0].period_kind == "week"
    await books.settle(held, reported(5, 0))
    assert standing(await books.money(lent.access_id)) == (5, 0, 0)
    assert standing(await books.money(lent.access_id, "week")) == (0, 200, 0)


async def test_a_period_changed_there_and_back_finds_what_was_spent(books: Books) -> None:
    lent = await books.lend(budget=200)
    await books.settle(await books.reserve(lent), ESTIMATED)
    await books.change(lent.access_id, budget_per="day")
    await books.change(lent.access_id, budget_per="grant")
    assert (await books.refused(lent)).code == "budget_exhausted"


async def test_a_limit_lowered_in_one_period_holds_in_the_next(books: Books) -> None:
    books.clock.now = MIDNIGHT - 1
    lent = await books.lend(budget=1_000, budget_per="day")
    await books.change(lent.access_id, budget=150)
    books.clock.now = MIDNIGHT
    assert (await books.refused(lent)).extra["remaining"] == 150


async def test_figures_say_what_is_typed_what_is_used_and_what_is_left(books: Books) -> None:
    lent = await books.lend(budget=1_000, max_requests=9)
    await books.settle(await books.reserve(lent), reported(30, 0))
    await books.reserve(lent)
    now = await seen(books, lent)
    assert now.money == Figure(1_000, 30, 200, 0, 770)
    assert now.requests == Figure(9, 1, 1, 0, 7)
    assert (now.resets_at, now.running, now.requests.used) == (None, 1, 2)


async def test_the_grant_object_says_the_same_to_its_client(books: Books) -> None:
    lent = await books.lend(budget=1_000, budget_per="day", requests_per_minute=30)
    await books.reserve(lent)
    grant = await books.db.read(lambda tx: tx.get_one(Grant, lent.grant_id))
    shown = await books.db.read(lambda tx: grant_object(tx, grant, books.clock()))
    assert (shown["grant_id"], shown["state"], shown["client_id"]) == (lent.grant_id, "active", books.client_id)
    access = shown["access"]
    assert isinstance(access, list)
    assert access[0]["budget"] == {
        "limit": 1_000, "settled": 0, "held": 200, "remaining": 800, "overrun": 0, "currency": "USD", "unit": "micro",
        "per": "day", "resets_at": to_seconds(MIDNIGHT),
    }  # fmt: skip
    assert access[0]["requests"] == {"limit": None, "used": 1}
    assert access[0]["rate_limit"] == {"requests_per_minute": 30, "tokens_per_minute": None, "concurrent": None}
    assert access[0]["max_output_tokens"] is None
