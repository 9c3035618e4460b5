"""Windows of rates that several brokers share on PostgreSQL: kept between transactions, and never believed in vain."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from broker.core.clock import SECOND
from broker.ledger import rates
from broker.ledger.books import OwnBooks
from broker.ledger.recalled import SETTLES
from broker.ledger.reserve import Reserver
from broker.ledger.settle import Close
from broker.ledger.statements import COUNTERS, WINDOW_OF_ACCESS
from broker.store import postgres_steps
from broker.store.ended import KINDS, count
from broker.store.postgresql import Connection
from broker.store.steps import Rows, Step
from tests.books.conftest import right
from tests.books.world import NOT_RUN, REFUSED_THERE, Books, Lent, demand, reported
from tests.stores import Store
from tests.turned_clock import TurnedClock

LATER = SETTLES // SECOND + 1
"""Seconds after which a window is kept."""
LIMITS = {"requests_per_minute": 5, "tokens_per_minute": 5 * 150, "concurrent": 5}


@pytest.fixture
async def books(fresh_postgresql: Store) -> AsyncIterator[Books]:
    async with right(fresh_postgresql) as opened:
        yield opened


def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the rows of the last minute fails."""
    broken = replace(WINDOW_OF_ACCESS, postgresql="SELECT 1 / 0, $1::text[], $2::bigint[], $3::text[]")
    monkeypatch.setattr(rates, "WINDOW_OF_ACCESS", broken)


async def kept(books: Books) -> Lent:
    """With a window that has one call in it and is kept."""
    lent = await books.lend(budget=10**6, **LIMITS)
    await books.settle(await books.reserve(lent), NOT_RUN)
    books.clock.turn(LATER)
    await books.reserve(lent)
    return lent


async def left_after_one(books: Books, lent: Lent) -> int | None:
    """How many requests are left in the minute, after one more."""
    rate = (await books.reserve(lent)).rate
    return None if rate is None else rate.requests_left


async def test_a_window_that_is_kept_spares_reading_the_minute(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    lent = await kept(books)
    unread(monkeypatch)
    for _ in range(3):
        await books.reserve(lent)
    assert await left_after_one(books, lent) == 0
    assert (await books.refused(lent)).code == "rate_limited"


async def test_what_another_broker_admits_and_ends_is_in_it(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    lent = await kept(books)
    unread(monkeypatch)
    others = Reserver(books.others, books.clock, books.lease)
    theirs = [await others(lent.jti, demand()) for _ in range(3)]
    await books.own.submit(Close(theirs[0].id, REFUSED_THERE))
    assert await left_after_one(books, lent) == 0
    for each in theirs[1:]:
        await books.others.submit(Close(each.id, NOT_RUN))
    assert await left_after_one(books, lent) == 1
    assert await left_after_one(books, lent) == 0
    assert (await books.refused(lent)).code == "rate_limited"


async def test_calls_leave_it_after_a_minute(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    lent = await kept(books)
    unread(monkeypatch)
    for _ in range(4):
        await books.settle(await books.reserve(lent), reported(1, 1))
    books.clock.turn(59)
    assert (await books.refused(lent)).retry_after == 1
    books.clock.turn(1)
    assert await books.reserve(lent)


async def test_limits_that_are_typed_anew_begin_another(books: Books) -> None:
    lent = await kept(books)
    await books.change(lent.access_id, requests_per_minute=None, tokens_per_minute=None, concurrent=None)
    for _ in range(5):
        await books.settle(await books.reserve(lent), reported(1, 1))
    await books.change(lent.access_id, **LIMITS)
    for seconds in (0, LATER):
        books.clock.turn(seconds)
        assert (await books.refused(lent)).code == "rate_limited"


async def test_what_was_admitted_by_the_limits_of_before_still_counts(books: Books) -> None:
    """Its broker had read them before they were typed, and was done only after another had begun the window."""
    lent = await books.lend(budget=10**6)
    held = await books.reserve(lent)
    await books.settle(held, reported(1, 1))
    await books.change(lent.access_id, requests_per_minute=7)
    for _ in range(2):
        await books.reserve(lent)
    late = """jsonb_populate_record(r, '{"id": "late"}')"""
    await books.run(f"INSERT INTO reservation SELECT ({late}).* FROM reservation AS r WHERE id = '{held.id}'")
    for seconds, left in ((0, 2), (LATER, 1), (0, 0)):
        books.clock.turn(seconds)
        assert await left_after_one(books, lent) == left
    await books.run("DELETE FROM reservation WHERE id = 'late'")


@pytest.mark.parametrize("microseconds", [1, 500_000])
async def test_a_broker_whose_clock_is_behind_adds_to_what_another_has_just_begun_to_keep(
    books: Books, microseconds: int
) -> None:
    lent = await books.lend(budget=10**6, requests_per_minute=5)
    await books.reserve(lent)
    books.clock.turn(SETTLES // SECOND)
    await books.reserve(lent)  # at the very instant from which it is kept
    behind = TurnedClock(books.clock() - microseconds)
    other = Reserver(OwnBooks(books.db, behind), behind, books.lease)
    for _ in range(2):
        await other(lent.jti, demand())
    assert await left_after_one(books, lent) == 0


async def test_what_a_call_used_counts_though_it_is_ended_by_a_broker_that_did_not_admit_it(books: Books) -> None:
    lent = await books.lend(budget=10**6, tokens_per_minute=460)
    await books.settle(await books.reserve(lent), NOT_RUN)
    books.clock.turn(LATER)
    held = await books.reserve(lent)
    await books.others.submit(Close(held.id, reported(300, 1, cached_input_tokens=250)))
    await books.reserve(lent)
    assert (await books.refused(lent)).code == "rate_limited"


async def test_a_transaction_that_took_too_long_is_judged_anew(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its broker hung after it had learnt what the token is worth."""
    lent = await books.lend(budget=10**6)
    await books.reserve(lent)
    monkeypatch.setattr(postgres_steps, "LONGEST_SECONDS", 0.2)
    asked, slowly = postgres_steps._said, [0.3]

    async def hung(connection: Connection, step: Step, waiting: list[Step]) -> Rows:
        if step[0] is COUNTERS and slowly:
            await books.change(lent.access_id, requests_per_minute=1)
            await asyncio.sleep(slowly.pop())
        return await asked(connection, step, waiting)

    monkeypatch.setattr(postgres_steps, "_said", hung)
    assert (await books.refused(lent)).code == "rate_limited"
    assert not slowly


async def test_a_window_that_was_lost_is_read_from_the_rows(books: Books) -> None:
    lent = await books.lend(budget=10**6, requests_per_minute=5)
    for seconds in (0, LATER, 0):
        books.clock.turn(seconds)
        await books.reserve(lent)
    await books.run("TRUNCATE rate_window")
    assert await left_after_one(books, lent) == 1
    assert await left_after_one(books, lent) == 0
    assert (await books.refused(lent)).code == "rate_limited"


async def test_a_capped_token_and_its_access_have_one_each(books: Books) -> None:
    lent = await books.lend(budget=10**6, **LIMITS)
    caps = (
        f'{{"{lent.access_id}": {{"models": ["*"], "actions": ["chat"], "rate_limit": {{"requests_per_minute": 3}}}}}}'
    )
    narrow = await books.token(lent.grant_id, caps=caps)
    for turn in (0, LATER, 0):
        books.clock.turn(turn)
        await books.settle(await books.reserve(narrow), reported(1, 1))
    assert (await books.refused(narrow)).code == "rate_limited"
    assert await left_after_one(books, lent) == 1


async def test_cleanup_takes_those_that_nobody_has_moved(books: Books) -> None:
    await kept(books)
    [kind] = [kind for kind in KINDS if kind.table.name == "rate_window"]
    assert await count(books.db, kind, books.clock() - 1) == 0
    assert await count(books.db, kind, books.clock()) == 1
