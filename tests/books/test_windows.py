"""Windows of rates that are kept: believed as long as nobody else has admitted or ended a call, and no longer."""

import pytest

from broker.core.clock import SECOND
from broker.core.left import RateLeft
from broker.ledger import tally
from broker.ledger.reserve import Reserver
from broker.ledger.settle import Close, Ending
from broker.ledger.windows import Scope
from tests.books.world import NOT_RUN, Books, demand, reported

TOKENS = 150
"""What such a call may use."""


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"requests_per_minute": 4}, "rate_limited"),
        ({"tokens_per_minute": 4 * TOKENS}, "rate_limited"),
        ({"concurrent": 4}, "too_many_concurrent"),
    ],
)
async def test_what_another_has_admitted_counts_at_once(books: Books, limit: dict[str, int], code: str) -> None:
    lent = await books.lend(**limit)
    other = Reserver(books.others, books.clock, books.lease)
    for _ in range(2):
        await books.reserve(lent)
        await other(lent.jti, demand())
    assert (await books.refused(lent)).code == code
    assert len(await books.rows()) == 4


async def test_what_another_has_ended_leaves_room_at_once(books: Books) -> None:
    lent = await books.lend(concurrent=2)
    await books.reserve(lent)
    theirs = await Reserver(books.others, books.clock, books.lease)(lent.jti, demand())
    assert (await books.refused(lent)).code == "too_many_concurrent"
    await books.others.submit(Close(theirs.id, reported(1, 1)))
    await books.reserve(lent)


async def test_what_else_is_committed_leaves_a_window_as_it_is(books_on_sqlite: Books) -> None:
    books = books_on_sqlite
    lent = await books.lend(requests_per_minute=9)
    await books.reserve(lent)
    windows = books.own._memory.rates.windows
    kept = windows[Scope(lent.access_id)]
    books.clock.turn(1)
    assert await books.lease.renew()
    await books.reserve(lent)
    assert windows[Scope(lent.access_id)] is kept
    assert kept.calls == 2


async def test_a_rate_that_is_taken_away_and_typed_again_counts_what_ran_meanwhile(books: Books) -> None:
    lent = await books.lend(budget=10**6, requests_per_minute=3)
    await books.reserve(lent)
    await books.change(lent.access_id, requests_per_minute=None)
    for _ in range(3):
        await books.reserve(lent)
    await books.change(lent.access_id, requests_per_minute=3)
    assert (await books.refused(lent)).code == "rate_limited"


async def test_calls_at_once_are_counted_though_they_began_without_that_limit(books: Books) -> None:
    lent = await books.lend(budget=10**6, concurrent=2)
    await books.settle(await books.reserve(lent), reported(1, 1))
    await books.change(lent.access_id, concurrent=None)
    for _ in range(2):
        await books.reserve(lent)
    books.clock.turn(3600)
    await books.change(lent.access_id, concurrent=2)
    assert (await books.refused(lent)).code == "too_many_concurrent"


@pytest.mark.parametrize(
    ("limit", "ending"),
    [({"requests_per_minute": 2}, NOT_RUN), ({"tokens_per_minute": 2 * TOKENS + 40}, reported(1, 1))],
    ids=["requests", "tokens"],
)
async def test_a_call_that_has_left_the_minute_takes_none_of_its_second_with_it(
    books: Books, limit: dict[str, int], ending: Ending
) -> None:
    """The minute is read when it begins within a second: a call before and one after it."""
    lent = await books.lend(budget=10**6)
    books.clock.now += SECOND // 10 - books.clock.now % SECOND
    left = await books.reserve(lent)
    books.clock.now += 8 * SECOND // 10
    for _ in range(2):
        await books.reserve(lent)
    await books.change(lent.access_id, **limit)
    books.clock.now += 594 * SECOND // 10
    assert (await books.refused(lent)).code == "rate_limited"
    await books.settle(left, ending)
    assert (await books.refused(lent)).code == "rate_limited"


async def test_windows_do_not_outlive_the_counters_that_would_contradict_them(
    books_on_sqlite: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = books_on_sqlite
    lent = await books.lend(requests_per_minute=9)
    await books.reserve(lent)
    assert books.own._memory.rates.windows
    monkeypatch.setattr(tally, "MOST_KEPT", 1)
    await books.reserve(lent)
    assert books.own._memory.rates.windows == {}
    assert (await books.reserve(lent)).rate == RateLeft(9, 6, None, 0, 60)
