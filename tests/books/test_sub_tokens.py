"""Tokens given out of tokens: a call is charged to its own token, to each of its parents, and to the grant."""

import asyncio
import json
from typing import Any

import pytest

from broker.core.errors import CallRefused
from broker.ledger.reserve import Reservation
from tests.books.test_capped_tokens import of_token
from tests.books.world import NOT_RUN, Books, Lent, reported, standing


def dollars(micro: int) -> dict[str, str]:
    return {"amount": f"0.{micro:06d}", "currency": "USD", "per": "grant"}


async def child(books: Books, lent: Lent, parent: str, *, ends_at: int | None = None, **members: Any) -> str:
    element = {"models": ["gpt-4o-mini"], "actions": ["chat"]} | members
    ends = {} if ends_at is None else {"ends_at": ends_at}
    return await books.token(lent.grant_id, parent_jti=parent, caps=json.dumps({lent.access_id: element}), **ends)


async def revoke(books: Books, jti: str) -> None:
    await books.run("UPDATE access_token SET revoked_at = 1 WHERE jti = :jti", jti=jti)


async def test_a_call_is_charged_to_its_token_and_to_all_its_parents(books: Books) -> None:
    lent = await books.lend(budget=10_000)
    agent = await child(books, lent, lent.jti, budget=dollars(800))
    helper = await child(books, lent, agent, budget=dollars(500))
    await books.settle(await books.reserve(helper), reported(90, 0))
    await books.reserve(helper)
    await books.reserve(agent)
    assert standing(await books.counter(of_token(helper, lent))) == (90, 200, 0)
    assert standing(await books.counter(of_token(agent, lent))) == (90, 400, 0)
    assert standing(await books.money(lent.access_id)) == (90, 400, 0)
    assert standing(await books.counter(of_token(agent, lent, "requests"))) == (1, 2, 0)


async def test_a_parents_money_holds_for_all_its_children_together(books: Books) -> None:
    lent = await books.lend(budget=10_000)
    agent = await child(books, lent, lent.jti, budget=dollars(500))
    helpers = [await child(books, lent, agent, budget=dollars(500)) for _ in range(3)]
    await books.reserve(helpers[0])
    await books.reserve(helpers[1])
    refusal = await books.refused(helpers[2])
    assert (refusal.code, refusal.extra["remaining"]) == ("budget_exhausted", 100)
    assert (await books.refused(agent)).code == "budget_exhausted"
    await books.reserve(lent)


async def test_a_race_of_child_and_parent_takes_no_more_than_there_is(books: Books) -> None:
    for _ in range(5):
        lent = await books.lend(budget=10_000)
        agent = await child(books, lent, lent.jti, budget=dollars(3 * 200))
        helper = await child(books, lent, agent, budget=dollars(3 * 200))
        asked = (books.reserve(agent if number % 2 else helper) for number in range(20))
        given = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(each, Reservation) for each in given) == 3
        assert {each.code for each in given if isinstance(each, CallRefused)} == {"budget_exhausted"}
        assert standing(await books.counter(of_token(agent, lent))) == (0, 600, 0)


async def test_requests_and_rates_of_a_parent_count_its_childrens_calls(books: Books) -> None:
    for limit, code in (
        ({"max_requests": 2}, "requests_exhausted"),
        ({"rate_limit": {"requests_per_minute": 2}}, "rate_limited"),
        ({"rate_limit": {"tokens_per_minute": 300}}, "rate_limited"),
        ({"rate_limit": {"concurrent": 2}}, "too_many_concurrent"),
    ):
        lent = await books.lend(budget=10_000)
        agent = await child(books, lent, lent.jti, **limit)
        helpers = [await child(books, lent, agent) for _ in range(2)]
        for helper in helpers:
            await books.reserve(helper)
        assert (await books.refused(helpers[0])).code == code
        assert (await books.refused(agent)).code == code
        await books.reserve(lent)


async def test_what_ran_before_the_books_looked_counts_in_a_parents_rates(books: Books) -> None:
    """Read from the rows, which name the child alone."""
    lent = await books.lend(budget=10_000)
    agent = await child(books, lent, lent.jti, rate_limit={"requests_per_minute": 2, "concurrent": 2})
    helper = await child(books, lent, await child(books, lent, agent))
    first = await books.reserve(helper)
    books.own._memory.rates.clear()
    second = await books.reserve(helper)
    assert (await books.refused(agent)).code == "rate_limited"
    await books.settle(first, NOT_RUN)
    await books.settle(second, reported(1, 1))
    books.own._memory.rates.clear()
    await books.reserve(agent)
    assert (await books.refused(agent)).code == "rate_limited"


@pytest.mark.parametrize("depth", [1, 2])
async def test_a_token_whose_parent_is_revoked_is_dead_on_the_next_call(books: Books, depth: int) -> None:
    lent = await books.lend(budget=10_000)
    agent = await child(books, lent, lent.jti)
    helper = await child(books, lent, agent)
    sister = await child(books, lent, lent.jti)
    for jti in (helper, sister):
        await books.reserve(jti)
    await revoke(books, agent if depth == 1 else lent.jti)
    assert (await books.refused(helper)).code == "invalid_token"
    if depth == 1:
        await books.reserve(sister)
    else:
        assert (await books.refused(sister)).code == "invalid_token"


async def test_no_token_outlives_its_parents(books: Books) -> None:
    lent = await books.lend(budget=10_000)
    agent = await child(books, lent, lent.jti, ends_at=books.clock() + 10_000_000)
    helper = await child(books, lent, agent)
    await books.reserve(helper)
    books.clock.turn(10)
    assert (await books.refused(helper)).code == "invalid_token"


async def test_a_token_has_only_what_each_of_its_parents_has(books: Books) -> None:
    lent = await books.lend(models='["gpt-4o*"]', actions='["chat","vision"]', budget=10_000)
    agent = await child(books, lent, lent.jti, models=["gpt-4o-mini*"], max_output_tokens=30)
    greedy = await child(books, lent, agent, models=["*"], actions=["chat", "vision"], max_output_tokens=40)
    assert (await books.refused(greedy, model="gpt-4o")).code == "model_not_granted"
    assert (await books.refused(greedy, extra_actions=frozenset(["vision"]))).code == "action_not_granted"
    assert (await books.reserve(greedy)).output_max == 30


async def test_an_access_that_a_parent_left_out_is_in_none_of_its_children(books: Books) -> None:
    lent = await books.lend({}, {"models": '["o3"]'})
    agent = await child(books, lent, lent.jti)
    element = {"models": ["*"], "actions": ["chat"]}
    greedy = await books.token(
        lent.grant_id, parent_jti=agent, caps=json.dumps(dict.fromkeys(lent.access_ids, element))
    )
    assert (await books.refused(greedy, model="o3")).code == "model_not_granted"
    await books.reserve(greedy)
