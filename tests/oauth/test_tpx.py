"""The type llm-inference: read as chat with one provider's models on a sum of money, and answered in its own words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Access, Budget, narrow_all
from broker.core.details import BadDetails, parse_details
from broker.core.money import MAX_MONEY, MicroUSD
from broker.core.strict_json import JSONValue
from broker.ledger.keys import money_key
from broker.ledger.limits import load as load_counter
from broker.ledger.limits import open_access
from broker.oauth import tpx
from broker.store import tokens
from broker.store.grant_tables import Access as AccessRow
from broker.store.grant_tables import GrantRequest
from tests.oauth.world import CATALOGUE, World, ask, sent_back

ASKED_OF_TWO = ((0.01, "gpt-4o-mini"), (0.01, "gpt-4o"))
TWO_MODELS = {"type": "llm-inference", "budget": 0.1, "models": ["gpt-4o", "gpt-4o-mini"]}


def read(*elements: Any) -> tuple[Access, ...]:
    return tpx.read(list(elements), CATALOGUE.sellers)


def wanted(*elements: dict[str, Any]) -> str:
    return json.dumps(elements)


def test_a_budget_in_dollars_and_models_become_an_access() -> None:
    (access,) = read(TWO_MODELS)
    assert access == Access("openai", ("gpt-4o", "gpt-4o-mini"), ("chat",), Budget(MicroUSD(100_000)))


def test_without_models_every_model_of_the_api_that_it_speaks_is_meant() -> None:
    (access,) = read({"type": "llm-inference", "budget": 2})
    assert (access.provider, access.models, access.budget) == ("openai", ("*",), Budget(MicroUSD(2_000_000)))


def test_the_provider_follows_from_the_models() -> None:
    (access,) = read({"type": "llm-inference", "budget": 1, "models": ["claude-haiku-4-5"]})
    assert access.provider == "anthropic"


@pytest.mark.parametrize(("written", "provider"), [("mine/llama", "mine"), ("openai/llama", "openai")])
def test_a_model_that_several_sell_is_written_with_its_provider(written: str, provider: str) -> None:
    (access,) = read({"type": "llm-inference", "budget": 1, "models": [written]})
    assert (access.provider, access.models) == (provider, ("llama",))


def test_a_models_provider_may_follow_from_the_others() -> None:
    (access,) = read({"type": "llm-inference", "budget": 1, "models": ["llama", "gpt-4o"]})
    assert (access.provider, access.models) == ("openai", ("llama", "gpt-4o"))


@pytest.mark.parametrize(
    "element",
    [
        {"type": "llm-inference"},
        {"type": "llm-inference", "budget": 1, "actions": ["chat"]},
        {"type": "llm-inference", "budget": "1.00"},
        {"type": "llm-inference", "budget": True},
        {"type": "llm-inference", "budget": None},
        {"type": "llm-inference", "budget": 0},
        {"type": "llm-inference", "budget": -0.1},
        {"type": "llm-inference", "budget": 1e-7},
        {"type": "llm-inference", "budget": 1e300},
        {"type": "llm-inference", "budget": 10**30},
        {"type": "llm-inference", "budget": 1, "models": []},
        {"type": "llm-inference", "budget": 1, "models": None},
        {"type": "llm-inference", "budget": 1, "models": "gpt-4o"},
        {"type": "llm-inference", "budget": 1, "models": ["gpt-4o", "gpt-4o"]},
        {"type": "llm-inference", "budget": 1, "models": ["gpt-4o", "openai/gpt-4o"]},
        {"type": "llm-inference", "budget": 1, "models": ["gpt-*"]},
        {"type": "llm-inference", "budget": 1, "models": ["gpt-4o", 4]},
        {"type": "llm-inference", "budget": 1, "models": ["unheard-of"]},
        {"type": "llm-inference", "budget": 1, "models": ["llama"]},
        {"type": "llm-inference", "budget": 1, "models": ["gpt-4o", "claude-haiku-4-5"]},
        {"type": "llm-inference", "budget": 1, "models": ["gpt-4o"] * 65},
        "llm-inference",
    ],
)
def test_what_is_not_exactly_right_is_refused(element: object) -> None:
    with pytest.raises(BadDetails) as found:
        read(element)
    assert found.value.args[0].isascii()


def test_only_so_many_models_are_looked_up_for_one_request() -> None:
    asked: list[str] = []

    def sellers(model: str) -> tuple[str, ...]:
        asked.append(model)
        return ("openai",)

    many = [{"type": "llm-inference", "budget": 1, "models": [f"m{n}-{k}" for k in range(33)]} for n in range(2)]
    with pytest.raises(BadDetails):
        tpx.read(many, sellers)  # type: ignore[arg-type]
    assert len(asked) == 33


@given(st.integers(1, MAX_MONEY))
def test_money_is_said_so_that_it_reads_back_the_same(amount: int) -> None:
    access = Access("openai", ("*",), ("chat",), Budget(MicroUSD(amount)))
    (said,) = tpx.in_its_words([access])
    assert read(json.loads(json.dumps(said))) == (access,)


def test_what_the_type_cannot_say_is_not_said() -> None:
    budget = Budget(MicroUSD(5))
    chat = Access("openai", ("gpt-4o",), ("chat", "vision"), budget)
    images = Access("openai", ("dall-e",), ("images",), budget)
    daily = Access("mine", ("m",), ("chat",), Budget(MicroUSD(5), "day"))
    assert tpx.in_its_words([images, chat, daily]) == [{"type": "llm-inference", "budget": 5e-06, "models": ["gpt-4o"]}]


async def test_it_is_asked_granted_refreshed_and_narrowed_in_its_own_words(world: World) -> None:
    client = await world.register()
    request_id = await world.asked(client, authorization_details=wanted(TWO_MODELS))
    code, _ = await world.approve(request_id, budget=80_000)
    granted = [{"type": "llm-inference", "budget": 0.08, "models": ["gpt-4o-mini", "gpt-4o"]}]
    first = (await world.exchange(client, code)).json()
    assert first["authorization_details"] == granted

    less = wanted({"type": "llm-inference", "budget": 0.01, "models": ["openai/gpt-4o"]})
    narrow = (await world.refresh(client, first["refresh_token"], authorization_details=less)).json()
    assert narrow["authorization_details"] == [{"type": "llm-inference", "budget": 0.01, "models": ["gpt-4o"]}]
    (cap,) = await capped(world, narrow["access_token"])
    assert (cap.models, cap.actions, cap.budget) == (("gpt-4o",), ("chat",), Budget(MicroUSD(10_000)))

    again = (await world.refresh(client, narrow["refresh_token"])).json()
    assert again["authorization_details"] == granted
    back = await world.refresh(client, again["refresh_token"], authorization_details=json.dumps(granted))
    assert back.json()["authorization_details"] == granted


async def capped(world: World, access_token: str) -> tuple[Access, ...]:
    """What the row of a token says it is worth."""
    claims = world.signer.verify_access_token(access_token, world.clock())
    row = await world.db.read(lambda tx: tokens.load_access(tx, claims.jti))
    assert row is not None
    assert row.caps is not None
    return parse_details(list(json.loads(row.caps).values()), "token")


async def test_what_is_stored_is_what_it_means(world: World) -> None:
    client = await world.register()
    request_id = await world.asked(client, authorization_details=wanted(TWO_MODELS))

    async def stored(tx: AsyncSession) -> tuple[str, str]:
        request = await tx.get(GrantRequest, request_id)
        assert request is not None
        return request.details_type, request.asked

    details_type, asked = await world.db.read(stored)
    assert details_type == "llm-inference"
    assert parse_details(asked) == read(TWO_MODELS)


def test_each_object_finds_the_access_that_has_its_models_and_as_much_money() -> None:
    small = Access("openai", ("gpt-4o", "gpt-4o-mini"), ("chat",), Budget(MicroUSD(10_000)))
    large = Access("openai", ("gpt-4o-mini",), ("chat",), Budget(MicroUSD(90_000)))
    asked: list[JSONValue] = [
        {"type": "llm-inference", "budget": cost, "models": [model]} for cost, model in ASKED_OF_TWO
    ]
    found = tpx.read_narrowing(asked, [small, large])
    assert not isinstance(narrow_all(found, (small, large)), str)


@pytest.mark.parametrize(
    "more",
    [
        {"budget": 0.080001},
        {"budget": 0.01, "models": ["o1"]},
        {"budget": 0.01, "models": ["anthropic/gpt-4o"]},
        {"budget": 0.01, "actions": ["images"]},
    ],
)
async def test_more_than_was_granted_is_refused_in_its_words_too(world: World, more: dict[str, Any]) -> None:
    client = await world.register()
    given = await world.tokens(client, budget=80_000)
    asked = wanted({"type": "llm-inference", **more})
    refused = await world.refresh(client, given["refresh_token"], authorization_details=asked)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_authorization_details")
    assert (await world.refresh(client, given["refresh_token"])).status_code == 200


async def test_two_objects_narrow_two_accesses_or_none(world: World) -> None:
    client = await world.register()
    given = await world.tokens(client)
    twice = wanted({"type": "llm-inference", "budget": 0.01}, {"type": "llm-inference", "budget": 0.01})
    refused = await world.refresh(client, given["refresh_token"], authorization_details=twice)
    assert refused.json()["error"] == "invalid_authorization_details"


async def test_the_two_types_do_not_stand_in_one_request(world: World) -> None:
    client = await world.register()
    mixed = wanted(TWO_MODELS, {"type": "ai_model_access", "provider": "openai", "models": ["*"], "actions": ["chat"]})
    answer = await world.http.get("/oauth/authorize", params=ask(client, authorization_details=mixed))
    assert sent_back(answer)["error"] == "invalid_authorization_details"


async def test_introspection_says_how_much_was_used_and_of_nobody_who_they_are(world: World) -> None:
    client = await world.register(public=False)
    request_id = await world.asked(client, authorization_details=wanted(TWO_MODELS))
    code, _ = await world.approve(request_id, budget=80_000)
    token = (await world.exchange(client, code)).json()["access_token"]
    await spend(world, 12_345)
    told = (await world.http.post("/oauth/introspect", data={"token": token, **client.fields()})).json()
    assert told["budget_used"] == 0.012345
    assert told["authorization_details"][0]["budget"] == 0.08
    assert "sub" not in told


async def spend(world: World, amount: int) -> None:
    """As if a call had been settled."""

    async def work(tx: AsyncSession) -> None:
        access = (await tx.exec(select(AccessRow))).one()
        await open_access(tx, access, world.clock())
        counter = await load_counter(tx, money_key(access.id, "grant", world.clock()))
        assert counter is not None
        counter.settled = amount

    await world.db.write(work)
