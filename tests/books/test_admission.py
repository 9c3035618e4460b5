"""Which access a call is charged to, and what a refused one is told."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from broker.core.errors import CallRefused, Unavailable
from broker.ledger.books import OwnBooks
from broker.ledger.judge import NO_PRICE, foremost
from broker.ledger.reserve import Reserver
from broker.store.database import Database, sqlite_url
from tests.books.world import ESTIMATED, NOT_RUN, Books, demand, reported, standing
from tests.stores import Store, beside
from tests.turned_clock import TurnedClock


async def test_a_call_that_fits_takes_its_hold_from_every_limit(books: Books) -> None:
    lent = await books.lend(max_requests=5)
    held = await books.reserve(lent)
    assert standing(await books.money(lent.access_id)) == (0, 200, 0)
    assert standing(await books.requests(lent.access_id)) == (0, 1, 0)
    assert (held.hold, held.money_left, held.money_held) == (200, 800, 200)


async def test_a_budget_admits_as_many_calls_as_it_covers_and_no_more(books: Books) -> None:
    lent = await books.lend(budget=600)
    tries = await asyncio.gather(*(books.reserve(lent) for _ in range(12)), return_exceptions=True)
    refused = [each for each in tries if isinstance(each, CallRefused)]
    assert len(tries) - len(refused) == 3
    assert {each.code for each in refused} == {"budget_exhausted"}
    assert standing(await books.money(lent.access_id)) == (0, 600, 0)


async def test_a_call_the_money_does_not_afford_is_told_what_it_needs_and_what_is_left(books: Books) -> None:
    lent = await books.lend(budget=350)
    await books.settle(await books.reserve(lent), ESTIMATED)
    refusal = await books.refused(lent)
    assert (refusal.code, refusal.extra) == ("budget_exhausted", {"required": 200, "remaining": 150, "held": 0})
    assert refusal.retry_after is None


async def test_a_call_that_would_fit_once_running_calls_settle_is_told_to_try_again(books: Books) -> None:
    lent = await books.lend(budget=350)
    await books.reserve(lent)
    refusal = await books.refused(lent)
    assert refusal.extra == {"required": 200, "remaining": 150, "held": 200}
    assert refusal.retry_after == 1
    assert (await books.refused(lent, own_output=200)).retry_after is None


async def test_a_call_that_would_not_fit_under_a_lowered_limit_is_not_told_to_try_again(books: Books) -> None:
    lent = await books.lend(budget=600)
    for _ in range(3):
        await books.reserve(lent)
    await books.change(lent.access_id, budget=150)
    refusal = await books.refused(lent)
    assert (refusal.extra["remaining"], refusal.extra["held"], refusal.retry_after) == (0, 600, None)


async def test_a_call_with_open_output_needs_its_input_and_sixteen_tokens(books: Books) -> None:
    lent = await books.lend(budget=131)
    refusal = await books.refused(lent, own_output=None)
    assert (refusal.code, refusal.extra["required"]) == ("budget_exhausted", 100 + 2 * 16)
    assert (await books.reserve(await books.lend(budget=132), own_output=None)).output_max == 16


async def test_a_grants_own_small_output_is_all_that_is_required(books: Books) -> None:
    lent = await books.lend(budget=110, max_output_tokens=10)
    refusal = await books.refused(lent, own_output=None)
    assert refusal.extra["required"] == 100 + 2 * 10


async def test_requests_are_counted_as_they_are_admitted(books: Books) -> None:
    lent = await books.lend(max_requests=2)
    first = await books.reserve(lent)
    await books.reserve(lent)
    refusal = await books.refused(lent)
    assert (refusal.code, refusal.retry_after) == ("requests_exhausted", None)
    assert refusal.extra == {"required": 200, "remaining": 600, "held": 400}
    await books.settle(first, reported(1, 1))
    assert (await books.refused(lent)).code == "requests_exhausted"


async def test_a_call_whose_output_could_be_cut_is_told_that_requests_are_used_up(books: Books) -> None:
    lent = await books.lend(max_requests=1, budget=1_000)
    await books.reserve(lent)
    assert (await books.refused(lent, own_output=None)).code == "requests_exhausted"


async def test_a_call_that_did_not_run_gives_its_request_back(books: Books) -> None:
    lent = await books.lend(max_requests=1)
    await books.settle(await books.reserve(lent), NOT_RUN)
    assert (await books.reserve(lent)).hold == 200


async def test_the_first_access_that_covers_a_call_is_charged(books: Books) -> None:
    lent = await books.lend({"budget": 300}, {"budget": 10_000})
    assert (await books.reserve(lent)).access_id == lent.access_ids[0]
    assert (await books.reserve(lent)).access_id == lent.access_ids[1]


async def test_an_access_that_does_not_name_the_model_is_passed_over(books: Books) -> None:
    lent = await books.lend({"models": '["o3"]'}, {"models": '["gpt-4o*"]'})
    assert (await books.reserve(lent)).access_id == lent.access_ids[1]


async def test_no_output_is_cut_where_another_access_affords_it_whole(books: Books) -> None:
    lent = await books.lend({"budget": 400}, {"budget": 20_000})
    held = await books.reserve(lent, own_output=None)
    assert (held.access_id, held.output_max) == (lent.access_ids[1], 4096)


async def test_where_no_access_affords_it_whole_the_one_with_the_most_left_is_cut(books: Books) -> None:
    lent = await books.lend({"budget": 300}, {"budget": 500}, {"budget": 400})
    held = await books.reserve(lent, own_output=None)
    assert (held.access_id, held.output_max) == (lent.access_ids[1], 200)


async def test_a_rate_goes_before_money_when_both_refuse(books: Books) -> None:
    lent = await books.lend({"budget": 100}, {"requests_per_minute": 1})
    await books.reserve(lent)
    refusal = await books.refused(lent)
    assert (refusal.code, refusal.retry_after) == ("rate_limited", 60)


async def test_of_two_rates_the_one_that_ends_first_is_told(books: Books) -> None:
    lent = await books.lend({"requests_per_minute": 1}, {"concurrent": 1})
    await books.reserve(lent)
    await books.reserve(lent)
    assert (await books.refused(lent)).retry_after == 1


async def test_of_two_budgets_the_one_with_more_left_is_told(books: Books) -> None:
    lent = await books.lend({"budget": 20}, {"budget": 120})
    assert (await books.refused(lent)).extra["remaining"] == 120


def test_a_429_goes_before_a_402_before_a_403() -> None:
    codes = ["not_boundable", "budget_exhausted", "requests_exhausted", "too_many_concurrent", "rate_limited"]
    refusals = [CallRefused(code, "") for code in codes]
    assert foremost(refusals).code in ("too_many_concurrent", "rate_limited")
    assert foremost(refusals[:3]).code in ("requests_exhausted", "budget_exhausted")
    assert foremost(refusals[:1]).code == "not_boundable"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"provider": "anthropic"}, "provider_not_granted"),
        ({"model": "gpt-4o"}, "model_not_granted"),
        ({"action": "embeddings"}, "action_not_granted"),
        ({"extra_actions": frozenset(["vision"])}, "action_not_granted"),
        ({"price": NO_PRICE}, "no_price"),
        ({"unbounded": "audio cannot be bounded"}, "not_boundable"),
    ],
)
async def test_what_was_not_granted_or_cannot_be_bounded_is_refused(
    books: Books, changes: dict[str, object], code: str
) -> None:
    assert (await books.refused(await books.lend(), **changes)).code == code


async def test_what_needs_an_action_says_which(books: Books) -> None:
    refusal = await books.refused(await books.lend(), extra_actions=frozenset(["vision"]))
    assert refusal.description.endswith("vision.")


async def test_a_refused_call_leaves_no_trace(books: Books) -> None:
    lent = await books.lend(
        {"budget": 100},
        {"max_requests": 0},
        {"requests_per_minute": 0},
        {"budget": 150, "budget_per": "day"},
    )
    before = [standing(row) for row in await books.counters()]
    books.clock.turn(86_400)
    await books.refused(lent)
    assert [standing(row) for row in await books.counters()] == before
    assert await books.rows() == []


async def test_a_limit_that_refuses_last_gives_back_what_the_others_took(books: Books) -> None:
    lent = await books.lend({"concurrent": 1}, {"models": '["other"]'}, max_requests=5)
    await books.reserve(lent)
    await books.refused(lent)
    assert standing(await books.money(lent.access_id)) == (0, 200, 0)
    assert standing(await books.requests(lent.access_id)) == (0, 1, 0)


async def test_a_locked_database_admits_nothing_and_serves_again_once_it_is_free(
    books_on_sqlite: Books, tmp_path: Path
) -> None:
    books = books_on_sqlite
    lent = await books.lend()
    hasty = Database(sqlite_url(tmp_path), busy_ms=50)
    reserve = Reserver(OwnBooks(hasty, books.clock), books.clock, books.lease)
    locking = sqlite3.connect(tmp_path / "broker.db", isolation_level=None)
    try:
        locking.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await reserve(lent.jti, demand())
        locking.execute("ROLLBACK")
        assert await books.rows() == []
        assert (await reserve(lent.jti, demand())).hold == 200
    finally:
        locking.close()
        await hasty.close()


async def test_a_locked_counter_admits_nothing_and_serves_again_once_it_is_free(fresh_postgresql: Store) -> None:
    books, hasty = Books(fresh_postgresql.open(), TurnedClock()), fresh_postgresql.open(busy_ms=50)
    await books.open()
    lent = await books.lend()
    reserve = Reserver(OwnBooks(hasty, books.clock), books.clock, books.lease)
    async with beside(books.db) as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM counter FOR UPDATE")
        with pytest.raises(Unavailable):
            await reserve(lent.jti, demand())
    assert await books.rows() == []
    assert (await reserve(lent.jti, demand())).hold == 200
    await hasty.close()
    await books.db.close()
