"""Requests and tokens a minute, and calls at once."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.clock import MINUTE, SECOND
from broker.core.errors import CallRefused
from broker.ledger.rates import until_fits
from broker.ledger.settle import Ending
from tests.books.world import ESTIMATED, NOT_RUN, REFUSED_THERE, Books, reported


async def test_no_minute_holds_more_requests_than_allowed(books: Books) -> None:
    lent = await books.lend(requests_per_minute=3)
    for _ in range(3):
        await books.settle(await books.reserve(lent), reported(1, 1))
        books.clock.turn(10)
    refusal = await books.refused(lent)
    assert (refusal.code, refusal.retry_after) == ("rate_limited", 30)
    books.clock.turn(29)
    assert (await books.refused(lent)).retry_after == 1
    books.clock.turn(1)
    await books.reserve(lent)
    assert (await books.refused(lent)).retry_after == 10


async def test_a_burst_at_once_is_held_to_the_rate(books: Books) -> None:
    lent = await books.lend(budget=10**6, requests_per_minute=4)
    tries = await asyncio.gather(*(books.reserve(lent) for _ in range(12)), return_exceptions=True)
    refused = [each for each in tries if isinstance(each, CallRefused)]
    assert len(refused) == 8
    assert {(each.code, each.retry_after) for each in refused} == {("rate_limited", 60)}


async def test_tokens_count_at_their_bound_until_settled_and_then_at_their_usage(books: Books) -> None:
    lent = await books.lend(tokens_per_minute=300)
    first = await books.reserve(lent)
    await books.reserve(lent)
    assert (await books.refused(lent)).code == "rate_limited"
    await books.settle(first, reported(0 + 1, 0))
    assert (await books.refused(lent, input_bound=100)).code == "rate_limited"
    assert (await books.reserve(lent, input_bound=99)).hold == 199


async def test_tokens_are_told_when_enough_of_them_leave_the_window(books: Books) -> None:
    lent = await books.lend(tokens_per_minute=300)
    await books.reserve(lent, input_bound=10, own_output=10)
    books.clock.turn(20)
    await books.reserve(lent, input_bound=150, own_output=100)
    assert (await books.refused(lent, input_bound=10, own_output=40)).retry_after == 40
    assert (await books.refused(lent, input_bound=100, own_output=16)).retry_after == 60


async def test_an_estimated_call_counts_its_bound_of_tokens(books: Books) -> None:
    lent = await books.lend(tokens_per_minute=200)
    await books.settle(await books.reserve(lent), ESTIMATED)
    assert (await books.refused(lent)).retry_after == 60


async def test_calls_at_once_are_those_still_held(books: Books) -> None:
    lent = await books.lend(concurrent=2)
    held = await books.reserve(lent)
    await books.reserve(lent)
    refusal = await books.refused(lent)
    assert (refusal.code, refusal.retry_after) == ("too_many_concurrent", 1)
    books.clock.turn(3600)
    assert (await books.refused(lent)).code == "too_many_concurrent"
    await books.settle(held, reported(1, 1))
    await books.reserve(lent)


@pytest.mark.parametrize(
    ("ending", "counts"), [(NOT_RUN, False), (REFUSED_THERE, True)], ids=["never sent", "refused there"]
)
async def test_a_call_that_did_not_run_counts_in_the_rates_if_the_provider_saw_it(
    books: Books, ending: Ending, counts: bool
) -> None:
    lent = await books.lend({"requests_per_minute": 1}, max_requests=5)
    await books.settle(await books.reserve(lent), ending)
    assert (await books.money(lent.access_id)).settled == 0
    assert (await books.requests(lent.access_id)).settled == 0
    if counts:
        assert (await books.refused(lent)).code == "rate_limited"
    else:
        await books.reserve(lent)


async def test_the_rates_of_another_access_are_not_touched(books: Books) -> None:
    busy, other = await books.lend(requests_per_minute=1), await books.lend(requests_per_minute=1)
    await books.reserve(busy)
    await books.reserve(other)


async def test_a_capped_token_has_a_rate_of_its_own(books: Books) -> None:
    lent = await books.lend(requests_per_minute=10)
    caps = {lent.access_id: {"models": ["*"], "actions": ["chat"], "rate_limit": {"requests_per_minute": 1}}}
    narrow = await books.token(lent.grant_id, caps=json.dumps(caps))
    await books.reserve(lent)
    await books.reserve(narrow)
    assert (await books.refused(narrow)).code == "rate_limited"
    await books.reserve(lent)


@given(
    st.lists(st.tuples(st.integers(1, MINUTE), st.integers(0, 50)), max_size=8),
    st.integers(1, 50),
    st.integers(50, 100),
)
def test_waiting_as_told_is_enough_and_a_second_less_is_not(
    rows: list[tuple[int, int]], wanted: int, limit: int
) -> None:
    now = 10 * MINUTE
    admitted = sorted((now - MINUTE + age, amount) for age, amount in rows)
    wait = until_fits(admitted, wanted, limit, now)

    def fits(at: int) -> bool:
        return sum(amount for instant, amount in admitted if instant > at - MINUTE) + wanted <= limit

    assert fits(now + wait * SECOND)
    assert wait == 0 or not fits(now + (wait - 1) * SECOND)
