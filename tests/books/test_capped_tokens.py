"""A token that was narrowed at the token endpoint: limits of its own beside those of its grant."""

import json
from typing import Any

from broker.core.clock import to_seconds
from broker.ledger.keys import CounterKey, token_scope
from tests.books.world import ESTIMATED, Books, Lent, reported, standing

DOLLAR = {"amount": "0.0003", "currency": "USD", "per": "grant"}
"""300 micro-dollars."""


async def capped(books: Books, lent: Lent, **members: Any) -> str:
    element = {"models": ["gpt-4o-mini"], "actions": ["chat"]} | members
    return await books.token(lent.grant_id, caps=json.dumps({lent.access_id: element}))


def of_token(jti: str, lent: Lent, measure: str = "money") -> CounterKey:
    return CounterKey("token", token_scope(jti, lent.access_id), measure, "grant", 0)


async def test_a_call_is_charged_to_the_token_and_to_the_access(books: Books) -> None:
    lent = await books.lend()
    jti = await capped(books, lent, budget=DOLLAR)
    await books.settle(await books.reserve(jti), reported(90, 0))
    await books.reserve(jti)
    assert standing(await books.counter(of_token(jti, lent))) == (90, 200, 0)
    assert standing(await books.money(lent.access_id)) == (90, 200, 0)
    refusal = await books.refused(jti)
    assert (refusal.code, refusal.extra["remaining"], refusal.extra["held"]) == ("budget_exhausted", 10, 200)


async def test_other_tokens_of_the_grant_are_not_capped_by_it(books: Books) -> None:
    lent = await books.lend()
    jti = await capped(books, lent, budget=DOLLAR)
    await books.reserve(jti)
    await books.reserve(await capped(books, lent, budget=DOLLAR))
    await books.reserve(lent)
    assert standing(await books.counter(of_token(jti, lent))) == (0, 200, 0)
    assert standing(await books.money(lent.access_id)) == (0, 600, 0)


async def test_the_grants_own_limit_still_bounds_a_token_with_more(books: Books) -> None:
    lent = await books.lend(budget=250)
    jti = await capped(books, lent, budget=DOLLAR)
    await books.reserve(lent)
    assert (await books.refused(jti)).extra["remaining"] == 50


async def test_a_token_has_requests_of_its_own(books: Books) -> None:
    lent = await books.lend(max_requests=10)
    jti = await capped(books, lent, max_requests=1)
    await books.settle(await books.reserve(jti), ESTIMATED)
    assert (await books.refused(jti)).code == "requests_exhausted"
    assert standing(await books.counter(of_token(jti, lent, "requests"))) == (1, 0, 0)
    await books.reserve(lent)


async def test_a_token_whose_money_is_the_tightest_is_cut_to_it(books: Books) -> None:
    lent = await books.lend(budget=10_000)
    jti = await capped(books, lent, budget=DOLLAR)
    assert (await books.reserve(jti, own_output=None)).output_max == 100


async def test_a_token_is_worth_only_the_accesses_it_names(books: Books) -> None:
    lent = await books.lend({}, {"models": '["o3"]'})
    jti = await capped(books, lent)
    assert (await books.refused(jti, model="o3")).code == "model_not_granted"


async def test_a_token_has_only_the_models_actions_and_output_that_both_allow(books: Books) -> None:
    lent = await books.lend(models='["gpt-4o*"]', actions='["chat","vision"]', max_output_tokens=40)
    jti = await capped(books, lent, models=["gpt-4o-mini", "o3"], actions=["chat", "tools"], max_output_tokens=30)
    assert (await books.refused(jti, model="gpt-4o")).code == "model_not_granted"
    assert (await books.refused(jti, model="o3")).code == "model_not_granted"
    assert (await books.refused(jti, extra_actions=frozenset(["vision"]))).code == "action_not_granted"
    assert (await books.refused(jti, extra_actions=frozenset(["tools"]))).code == "action_not_granted"
    assert (await books.reserve(jti)).output_max == 30


async def test_what_is_narrowed_later_narrows_the_token_too(books: Books) -> None:
    lent = await books.lend(models='["gpt-4o*"]')
    jti = await capped(books, lent, models=["gpt-4o*"])
    await books.change(lent.access_id, models='["gpt-4o"]')
    assert (await books.refused(jti)).code == "model_not_granted"
    await books.reserve(jti, model="gpt-4o")


async def test_an_access_of_a_token_may_end_before_the_token(books: Books) -> None:
    lent = await books.lend()
    jti = await capped(books, lent, expires_at=to_seconds(books.clock()) + 60)
    assert (await books.reserve(jti)).ends_at == books.clock() + 60_000_000
    books.clock.turn(60)
    assert (await books.refused(jti)).code == "invalid_token"
    await books.reserve(lent)


async def test_an_overrun_is_booked_in_every_money_counter(books: Books) -> None:
    lent = await books.lend()
    jti = await capped(books, lent, budget=DOLLAR)
    await books.settle(await books.reserve(jti), reported(250, 0))
    assert standing(await books.counter(of_token(jti, lent))) == (200, 0, 50)
    assert standing(await books.money(lent.access_id)) == (200, 0, 50)
    assert standing(await books.counter(of_token(jti, lent, "requests"))) == (1, 0, 0)
