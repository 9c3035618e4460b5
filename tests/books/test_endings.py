"""The endings of a call: what each costs, how it is marked, and what it counts in."""

import asyncio
from typing import Any

import pytest

from broker.core.errors import BrokerError, CallRefused
from broker.core.grant import GrantEvent
from broker.core.usage import Usage
from broker.ledger.settle import Close, Ending, Settled
from broker.store import changes
from tests.books.world import ESTIMATED, NOT_RUN, Books, demand, reported, standing

SWEPT = Ending("unresolved", "process_died")


@pytest.mark.parametrize(
    ("ending", "cost", "state", "counted"),
    [
        (NOT_RUN, 0, "released", 0),
        (Ending("not_run", "provider_refused", status=429), 0, "released", 0),
        (reported(60, 10), 80, "settled", 1),
        (reported(100, 50), 200, "settled", 1),
        (reported(100, 0, cached_input_tokens=40), 80, "settled", 1),
        (reported(100, 0, cache_write_long_tokens=40), 140, "settled", 1),
        (Ending("reported", "client_left", Usage(60, 10), 200), 80, "settled", 1),
        (Ending("reported", "broken", Usage(60, 10), 200), 80, "settled", 1),
        (Ending("estimated", "ok", None, 200), 200, "settled", 1),
        (ESTIMATED, 200, "settled", 1),
        (SWEPT, 200, "settled", 1),
    ],
    ids=[
        "never sent", "refused by the provider", "reported", "reported at the bound", "partly from a cache", "kept for an hour",
        "the app left", "broken after the report", "no usage", "broken", "our process died",
    ],
)  # fmt: skip
async def test_an_ending_costs_what_it_must(books: Books, ending: Ending, cost: int, state: str, counted: int) -> None:
    lent = await books.lend(max_requests=5)
    held = await books.reserve(lent)
    assert await books.settle(held, ending) == Settled(cost, 0)  # type: ignore[arg-type]
    row = await books.row(held)
    assert (row.state, row.mark, row.cost, row.overrun) == (state, ending.mark, cost, 0)
    assert (row.ended_at, row.outcome, row.status) == (books.clock(), ending.outcome, ending.status)
    assert standing(await books.money(lent.access_id)) == (cost, 0, 0)
    assert standing(await books.requests(lent.access_id)) == (counted, 0, 0)


async def test_the_usage_is_kept_as_it_was_reported(books: Books) -> None:
    held = await books.reserve(await books.lend())
    await books.settle(held, reported(90, 20, cached_input_tokens=30, cache_write_tokens=5, cache_write_long_tokens=7))
    row = await books.row(held)
    assert row.cache_write_long_tokens == 7
    assert (row.input_tokens, row.output_tokens, row.cached_input_tokens, row.cache_write_tokens) == (90, 20, 30, 5)
    assert (row.rate_tokens, row.reached) == (110, 1)


async def test_a_call_is_settled_at_the_prices_it_was_admitted_with(books: Books) -> None:
    held = await books.reserve(await books.lend())
    await books.run("UPDATE own_price SET input = 9")
    assert (await books.settle(held, reported(10, 10))).cost == 30


async def test_beyond_the_bound_the_rest_is_overrun_the_grant_is_frozen_and_the_operator_told(books: Books) -> None:
    lent = await books.lend()
    before = await books.db.read(changes.count)
    assert await books.settle(await books.reserve(lent), reported(100, 200)) == Settled(200, 300)  # type: ignore[arg-type]
    assert standing(await books.money(lent.access_id)) == (200, 0, 300)
    assert standing(await books.requests(lent.access_id)) == (1, 0, 0)
    assert await books.state(lent.grant_id) == "frozen"
    assert await books.db.read(changes.count) == before + 1
    assert await books.audited() == ["grant.frozen"]
    assert (await books.refused(lent)).code == "grant_frozen"


@pytest.mark.parametrize("is_swept", [False, True], ids=["in time", "after the sweep"])
async def test_a_call_in_the_very_transaction_that_finds_an_overrun_is_refused(books: Books, is_swept: bool) -> None:
    lent, other = await books.lend(budget=10**6), await books.lend()
    held = await books.reserve(lent)
    await books.reserve(lent)  # so that the next one would be admitted at sight
    if is_swept:
        await books.settle(held, SWEPT)
    asked = [books.reserver.ask(jti, demand()) for jti in (lent.jti, other.jti)]
    ended = books.own.submit(Close(held.id, reported(100, 200)))
    refused, admitted = (books.own.submit(ask) for ask in asked)
    assert await ended == Settled(200, 300)  # type: ignore[arg-type]
    assert await admitted
    with pytest.raises(CallRefused) as refusal:
        await refused
    assert refusal.value.code == "grant_frozen"


async def test_an_overrun_uses_up_what_was_left(books: Books) -> None:
    lent = await books.lend(budget=1_000)
    await books.settle(await books.reserve(lent), reported(100, 400))
    assert await books.move(lent.grant_id, GrantEvent.UNFREEZE)
    refusal = await books.refused(lent)
    assert (refusal.code, refusal.extra["remaining"]) == ("budget_exhausted", 100)


async def test_a_paused_grant_is_frozen_by_an_overrun_and_cannot_be_resumed_by_its_owner(books: Books) -> None:
    lent = await books.lend()
    held = await books.reserve(lent)
    await books.move(lent.grant_id, GrantEvent.PAUSE)
    await books.settle(held, reported(100, 51))
    assert await books.state(lent.grant_id) == "frozen"
    assert not await books.move(lent.grant_id, GrantEvent.RESUME)


async def test_a_revoked_grant_stays_revoked_whatever_its_last_call_cost(books: Books) -> None:
    lent = await books.lend()
    held = await books.reserve(lent)
    await books.move(lent.grant_id, GrantEvent.REVOKE)
    await books.settle(held, reported(100, 51))
    assert await books.state(lent.grant_id) == "revoked"
    assert await books.audited() == ["call.overrun"]


@pytest.mark.parametrize("first", [NOT_RUN, reported(10, 0), ESTIMATED, SWEPT])
@pytest.mark.parametrize("second", [NOT_RUN, reported(20, 0), ESTIMATED])
async def test_a_call_is_settled_once_whatever_comes_later(books: Books, first: Ending, second: Ending) -> None:
    lent = await books.lend()
    held = await books.reserve(lent)
    settled = await books.settle(held, first)
    assert await books.settle(held, second) == settled
    assert standing(await books.money(lent.access_id)) == (settled.cost, 0, 0)


async def test_twenty_settlements_at_once_book_one(books: Books) -> None:
    lent = await books.lend()
    held = await books.reserve(lent)
    answers = await asyncio.gather(*(books.settle(held, reported(n + 1, 0)) for n in range(20)))
    assert len(set(answers)) == 1
    assert standing(await books.money(lent.access_id)) == (answers[0].cost, 0, 0)


async def test_a_settlement_whose_caller_is_cancelled_may_be_asked_again(books: Books) -> None:
    lent = await books.lend(budget=10**6)
    for turns in range(30):
        held = await books.reserve(lent)
        asked = asyncio.create_task(books.settle(held, reported(3, 0)))
        for _ in range(turns):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        assert (await books.settle(held, reported(3, 0))).cost == 3
    assert standing(await books.money(lent.access_id)) == (90, 0, 0)


async def test_a_reservation_whose_caller_is_cancelled_is_whole_or_nothing(books: Books) -> None:
    lent = await books.lend(budget=10**6)
    for turns in range(30):
        asked = asyncio.create_task(books.reserve(lent))
        for _ in range(turns * 3):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
    await books.run("UPDATE change SET count = count")  # writes are in turn: after this one, all of those are done
    held = [row for row in await books.rows() if row.state == "held"]
    assert standing(await books.money(lent.access_id)) == (0, 200 * len(held), 0)


async def test_the_truth_after_the_sweep_changes_the_mark_alone(books: Books) -> None:
    lent = await books.lend()
    held = await books.reserve(lent)
    await books.settle(held, SWEPT)
    assert (await books.settle(held, reported(10, 0))).cost == 200
    assert await marked(books, held) == ("reported", 200, 0)
    assert standing(await books.money(lent.access_id)) == (200, 0, 0)
    await books.settle(held, reported(100, 900))
    assert await marked(books, held) == ("reported", 200, 0)


async def test_an_overrun_after_the_sweep_is_booked_once_and_freezes(books: Books) -> None:
    lent = await books.lend()
    held = await books.reserve(lent)
    await books.settle(held, SWEPT)
    for _ in range(2):
        assert await books.settle(held, reported(100, 60)) == Settled(200, 20)  # type: ignore[arg-type]
    assert standing(await books.money(lent.access_id)) == (200, 0, 20)
    assert await books.state(lent.grant_id) == "frozen"
    assert await books.audited() == ["grant.frozen"]


@pytest.mark.parametrize(("late", "mark"), [(ESTIMATED, "estimated"), (NOT_RUN, "unresolved")])
async def test_what_is_not_known_after_the_sweep_stays_at_the_bound(books: Books, late: Ending, mark: str) -> None:
    lent = await books.lend()
    held = await books.reserve(lent)
    await books.settle(held, SWEPT)
    assert (await books.settle(held, late)).cost == 200
    assert await marked(books, held) == (mark, 200, 0)


async def test_what_was_never_reserved_is_not_settled(books: Books) -> None:
    with pytest.raises(BrokerError):
        await books.own.submit(Close("res_unknown", ESTIMATED))


@pytest.mark.parametrize("usage", [Usage(-1, 5), Usage(5, 2**31), Usage(5, 5, cached_input_tokens=6)])
async def test_an_absurd_usage_takes_the_bound(books: Books, usage: Usage) -> None:
    held = await books.reserve(await books.lend())
    await books.settle(held, Ending("reported", "ok", usage, 200))
    assert await marked(books, held) == ("estimated", 200, 0)


async def marked(books: Books, held: Any) -> tuple[str, int, int]:
    row = await books.row(held)
    return row.mark, row.cost, row.overrun
