"""Limits above the grants: of one user's key, of a tier's allocation, of a provider; judged with the access's own, and by the very next call."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.core.clock import DAY, SECOND
from broker.ledger.keys import CounterKey
from broker.ledger.overall import key_scope
from broker.ledger.view import grant_object
from broker.ledger.worth import worth_of
from broker.store.grant_tables import Access, AccessToken, Grant
from broker.store.ledger_tables import Counter
from broker.store.tables import User
from tests.books.world import ESTIMATED, NOT_RUN, Books, Lent, reported, standing

MONTH = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * SECOND
WIDE = {"budget": 10**6}


async def of(books: Books, kind: str, scope_id: str, measure: str = "money", per: str = "month") -> Counter:
    [row] = [
        row
        for row in await books.counters()
        if (row.scope_kind, row.scope_id, row.measure, row.period_kind) == (kind, scope_id, measure, per)
    ]
    return row


async def on_a_lent_key(books: Books) -> Lent:
    return await books.lend(credential_id=await books.lent_key(), **WIDE)


async def key_limit(books: Books, **figures: int) -> tuple[Lent, tuple[str, str, str]]:
    await books.limit("credential", books.own_key, "month", **figures)
    return await books.lend(**WIDE), ("credential", books.own_key, "month")


async def allocation(books: Books, **figures: int) -> tuple[Lent, tuple[str, str, str]]:
    await books.limit("tier", "plus", "tier", **figures)
    await books.tier("plus")
    return await on_a_lent_key(books), ("tier", books.user_id, "tier")


async def provider_limit(books: Books, **figures: int) -> tuple[Lent, tuple[str, str, str]]:
    await books.limit("provider", "openai", "day", **figures)
    return await books.lend(**WIDE), ("provider", "openai", "day")


Kind = Callable[..., Awaitable[tuple[Lent, tuple[str, str, str]]]]
EACH = pytest.mark.parametrize("kind", [key_limit, allocation, provider_limit])
LIMITS: dict[Kind, str] = {key_limit: "key", allocation: "allocation", provider_limit: "provider"}


@EACH
async def test_what_all_grants_come_to_is_limited(books: Books, kind: Kind) -> None:
    lent, (scope, scope_id, per) = await kind(books, budget=3 * 200)
    for _ in range(2):
        await books.reserve(lent)
    another = await books.lend(**WIDE, credential_id=(await books.rows())[0].credential_id)
    held = await books.reserve(another)
    for each in (lent, another):
        refused = await books.refused(each)
        assert refused.code == "budget_exhausted"
        assert refused.retry_after == 1
        assert refused.extra["limit"] == LIMITS[kind]
        assert refused.extra["remaining"] == 0
    await books.settle(held, NOT_RUN)
    await books.reserve(lent)
    assert standing(await of(books, scope, scope_id, per=per)) == (0, 600, 0)


@EACH
async def test_requests_are_limited_as_money_is(books: Books, kind: Kind) -> None:
    lent, (scope, scope_id, per) = await kind(books, max_requests=2)
    await books.settle(await books.reserve(lent), reported(1, 1))
    await books.settle(await books.reserve(lent), NOT_RUN)
    await books.reserve(lent)
    refused = await books.refused(lent)
    assert (refused.code, refused.retry_after, refused.extra["limit"]) == ("requests_exhausted", None, LIMITS[kind])
    assert standing(await of(books, scope, scope_id, "requests", per)) == (1, 1, 0)


@EACH
async def test_an_output_that_the_app_left_open_is_cut_to_what_is_left_above(books: Books, kind: Kind) -> None:
    lent, _ = await kind(books, budget=400)
    held = await books.reserve(lent, own_output=None)
    assert (held.hold, held.output_max, held.money_left) == (400, 150, 0)


@EACH
async def test_a_cost_beyond_the_bound_is_an_overrun_of_every_counter(books: Books, kind: Kind) -> None:
    lent, (scope, scope_id, per) = await kind(books, budget=10_000)
    await books.settle(await books.reserve(lent), reported(500, 0))
    assert standing(await of(books, scope, scope_id, per=per)) == (200, 0, 300)
    assert await books.state(lent.grant_id) == "frozen"


@EACH
async def test_what_is_learnt_after_the_sweep_reaches_them_too(books: Books, kind: Kind) -> None:
    lent, (scope, scope_id, per) = await kind(books, budget=10_000)
    books.lease = books.new_lease(30)
    await books.lease.take()
    books.reserver._lease = books.lease
    held = await books.reserve(lent)
    books.clock.turn(60)
    assert await books.sweep() == 1
    await books.settle(held, reported(500, 0))
    assert standing(await of(books, scope, scope_id, per=per)) == (200, 0, 300)


@EACH
async def test_a_call_belongs_to_the_period_it_was_admitted_in(books: Books, kind: Kind) -> None:
    lent, (scope, scope_id, _) = await kind(books, budget=200)
    held = await books.reserve(lent)
    books.clock.now += 40 * DAY
    await books.reserve(lent)
    await books.settle(held, ESTIMATED)
    rows = [row for row in await books.counters() if (row.scope_kind, row.scope_id) == (scope, scope_id)]
    assert [standing(row) for row in sorted(rows, key=lambda row: row.period_start)] == [(200, 0, 0), (0, 200, 0)]


LOWERED: list[tuple[Kind, str, Callable[[Books], str]]] = [
    (key_limit, "credential", lambda books: books.own_key),
    (allocation, "tier", lambda _: "plus"),
    (provider_limit, "provider", lambda _: "openai"),
]


@pytest.mark.parametrize(("kind", "scope", "name"), LOWERED)
async def test_lowered_it_sinks_and_raised_it_admits_the_next_call(
    books: Books, kind: Kind, scope: str, name: Callable[[Books], str]
) -> None:
    lent, (_, scope_id, per) = await kind(books, budget=1_000)
    first, second = await books.reserve(lent), await books.reserve(lent)
    await books.limit(scope, name(books), per, budget=250)
    row = await of(books, scope, scope_id, per=per)
    assert (row.limit, row.target) == (400, 250)
    assert (await books.refused(lent)).code == "budget_exhausted"
    await books.settle(first, reported(50, 0))
    await books.settle(second, NOT_RUN)
    row = await of(books, scope, scope_id, per=per)
    assert (row.limit, row.target, row.settled) == (250, 250, 50)
    await books.reserve(lent)
    assert (await books.refused(lent, input_bound=1, own_output=16)).code == "budget_exhausted"
    await books.limit(scope, name(books), per, budget=10_000)
    await books.reserve(lent)


@pytest.mark.parametrize(("kind", "scope", "name"), LOWERED)
async def test_taken_away_it_limits_nothing_and_set_again_it_goes_on(
    books: Books, kind: Kind, scope: str, name: Callable[[Books], str]
) -> None:
    lent, (_, _, per) = await kind(books, budget=200)
    await books.settle(await books.reserve(lent), ESTIMATED)
    assert (await books.refused(lent)).code == "budget_exhausted"
    assert await books.unlimit(scope, name(books))
    assert not await books.unlimit(scope, name(books))
    await books.reserve(lent)
    await books.limit(scope, name(books), per, budget=350)
    refused = await books.refused(lent)
    assert (refused.code, refused.extra["remaining"]) == ("budget_exhausted", 150)


async def test_set_while_calls_run_it_is_met_by_the_next(books: Books) -> None:
    lent = await books.lend(**WIDE)
    for _ in range(2):
        await books.reserve(lent)
    await books.limit("provider", "openai", "day", budget=300)
    await books.reserve(lent)
    assert (await books.refused(lent)).extra["limit"] == "provider"


async def test_what_others_hold_at_a_provider_is_not_told(books: Books) -> None:
    lent, _ = await provider_limit(books, budget=500)
    another = await books.lend(**WIDE)
    await books.reserve(another)
    held = await books.reserve(lent)
    assert (held.money_left, held.money_held) == (100, 200)
    assert (await books.refused(lent)).extra == {
        "required": 200,
        "remaining": 100,
        "held": 200,
        "limit": "provider",
    }


async def test_an_allocation_is_of_the_operators_keys_alone(books: Books) -> None:
    lent, _ = await allocation(books, budget=100)
    assert (await books.refused(lent)).extra["limit"] == "allocation"
    await books.reserve(await books.lend(**WIDE))


async def test_in_another_tier_what_is_used_stays_used(books: Books) -> None:
    lent, _ = await allocation(books, budget=1_000)
    await books.settle(await books.reserve(lent), ESTIMATED)
    await books.limit("tier", "free", "tier", budget=300)
    await books.tier("free")
    refused = await books.refused(lent)
    assert refused.extra["remaining"] == 100
    row = await of(books, "tier", books.user_id, per="tier")
    assert (row.limit, row.target, row.settled) == (300, 300, 200)
    await books.tier("nowhere")
    await books.reserve(lent)


async def test_of_the_operators_key_one_user_may_have_a_limit_and_each_other_another(books: Books) -> None:
    key = await books.lent_key()
    hers = await books.lend(credential_id=key, **WIDE)
    other: dict[str, Any] = {"pseudonym": "q", "email": "bo@example.com", "role": "user", "password_hash": "-"}
    await books.add(User(id="usr_bo", created_at=books.clock(), **other))
    ana, books.user_id = books.user_id, "usr_bo"
    his = await books.lend(credential_id=key, **WIDE)
    await books.limit("credential", key_scope("", key), "day", budget=200)
    await books.limit("credential", key_scope(ana, key), "day", budget=400)
    for _ in range(2):
        await books.reserve(hers)
    await books.reserve(his)
    for each in (hers, his):
        assert (await books.refused(each)).extra["limit"] == "lent_key"
    await books.limit("credential", key_scope("", key), "day", budget=600)
    await books.reserve(his)
    assert (await books.refused(hers)).code == "budget_exhausted"
    await books.unlimit("credential", key_scope(ana, key))
    await books.reserve(hers)
    assert (await books.refused(hers)).code == "budget_exhausted"


async def test_all_of_them_hold_together(books: Books) -> None:
    await books.limit("provider", "openai", "month", budget=900, max_requests=4)
    await books.limit("tier", "plus", "tier", budget=800)
    await books.tier("plus", anchor_day=21)
    key = await books.lent_key()
    await books.limit("credential", key_scope("", key), "grant", max_requests=3)
    lent = await books.lend(credential_id=key, **WIDE)
    for _ in range(3):
        await books.settle(await books.reserve(lent), ESTIMATED)
    assert (await books.refused(lent)).code == "requests_exhausted"
    keys = {CounterKey(*key) for row in await books.rows() for key in json.loads(row.charged)}
    day = books.clock() - books.clock() % DAY
    assert keys == {
        CounterKey("access", lent.access_id, "money", "grant", 0),
        CounterKey("access", lent.access_id, "requests", "grant", 0),
        CounterKey("credential", key_scope(books.user_id, key), "requests", "grant", 0),
        CounterKey("tier", books.user_id, "money", "tier", day),
        CounterKey("provider", "openai", "money", "month", MONTH),
        CounterKey("provider", "openai", "requests", "month", MONTH),
    }


@EACH
async def test_what_an_app_is_told_is_left_is_no_more_than_it_can_get(books: Books, kind: Kind) -> None:
    lent, _ = await kind(books, budget=1_000)
    await books.reserve(await books.lend(**WIDE, credential_id=await credential_of(books, lent)))
    await books.settle(await books.reserve(lent), ESTIMATED)
    grant = await books.db.read(lambda tx: tx.get_one(Grant, lent.grant_id))
    told: Any = await books.db.read(lambda tx: grant_object(tx, grant, books.clock()))
    assert told["access"][0]["budget"] == {
        "limit": 10**6,
        "settled": 200,
        "held": 0,
        "remaining": 600,
        "overrun": 0,
        "currency": "USD",
        "unit": "micro",
        "per": "grant",
        "resets_at": None,
    }
    token = await books.db.read(lambda tx: tx.get_one(AccessToken, lent.jti))
    worth = await books.db.read(lambda tx: worth_of(tx, token, books.clock()))
    assert worth is not None
    assert worth.usage == tuple(told["access"])


async def credential_of(books: Books, lent: Lent) -> str:
    return (await books.db.read(lambda tx: tx.get_one(Access, lent.access_id))).credential_id
