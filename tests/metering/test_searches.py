"""Anthropic's search of the web: held at the most searches and the most that can be read, booked by what was counted."""

from typing import Any

import pytest

from broker.core.extras import Extras
from broker.core.strict_json import JSONValue
from broker.prices.book import PriceBook
from broker.providers.anthropic_batches import read_batch
from broker.providers.dialect import at_once
from broker.providers.registry import Provider
from tests.fake_provider import whole
from tests.metering.world import saying
from tests.proxy.world import World
from tests.turned_clock import NOON

SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
ASK: dict[str, Any] = {
    "model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}], "tools": [SEARCH],
}  # fmt: skip
USED: dict[str, Any] = {"input_tokens": 10_000, "output_tokens": 200, "server_tool_use": {"web_search_requests": 2}}
PATH = "/proxy/anthropic/v1/messages"


async def token(world: World, actions: str = '["chat", "web_search"]') -> str:
    given: dict[str, Any] = {"provider": "anthropic", "models": '["claude-*"]', "budget": 5_000_000}
    return await world.token(actions=actions, **given)


def answer(used: dict[str, Any]) -> bytes:
    return whole(
        {"id": "m", "type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn", "usage": used}
    )


async def test_searches_are_booked_by_their_number(world: World) -> None:
    world.provider.script = saying(answer(USED))
    answered = await world.call(await token(world), ASK, path=PATH)
    assert answered.status == 200, answered.body
    (row,) = await world.at_rest()
    # $1 and $5 a million tokens, $10 a thousand searches.
    assert (row.cost, row.mark, row.extras) == (10_000 + 1_000 + 2 * 10_000, "reported", '{"searches":2}')
    # Ten turns of a context of 200,000 at what is kept at $1.25, ten answers of 100, three searches.
    assert row.hold == 10 * 200_000 * 5 // 4 + 10 * 100 * 5 + 3 * 10_000
    assert (await world.verified()).startswith("OK")


@pytest.mark.parametrize("told", [-1, "2", 1.5, True, 2**31], ids=str)
async def test_a_number_of_searches_that_cannot_be_is_booked_at_the_bound(world: World, told: object) -> None:
    world.provider.script = saying(answer(USED | {"server_tool_use": {"web_search_requests": told}}))
    await world.call(await token(world), ASK, path=PATH)
    (row,) = await world.at_rest()
    assert (row.cost, row.mark) == (row.hold, "estimated")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "not_boundable"),
        ({"tools": [SEARCH | {"max_uses": 0}]}, "not_boundable"),
        ({"tools": [SEARCH | {"max_uses": 10**6}]}, "not_boundable"),
        ({"tools": [SEARCH | {"something": 1}]}, "not_boundable"),
        ({"tools": [SEARCH | {"type": "web_search_20990101"}]}, "not_boundable"),
        ({"model": "claude-fable-5-2"}, "not_boundable"),
        ({"model": "claude-3-haiku-20240307"}, "no_price"),
    ],
    ids=["no maximum", "none", "too many", "a member unknown", "another", "context not known", "no price of a search"],
)
async def test_a_search_without_a_bound_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    answered = await world.call(
        await token(world, '["chat", "web_search", "code_execution"]'), ASK | changes, path=PATH
    )
    assert (answered.status, answered.code) == (403, code)
    assert world.provider.asked == []


async def test_a_search_needs_its_action(world: World) -> None:
    answered = await world.call(await token(world, '["chat"]'), ASK, path=PATH)
    assert (answered.status, answered.code) == (403, "action_not_granted")
    assert world.provider.asked == []


async def test_what_a_search_left_in_a_conversation_may_be_sent_again(world: World) -> None:
    world.provider.script = saying(answer({"input_tokens": 100, "output_tokens": 10}))
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "encrypted_content": "x"}]}  # fmt: skip
    used = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    messages = [*ASK["messages"], {"role": "assistant", "content": [used, found]}, {"role": "user", "content": "More"}]
    asked = {name: value for name, value in ASK.items() if name != "tools"} | {"messages": messages}
    assert (await world.call(await token(world), asked, path=PATH)).status == 200
    (row,) = await world.at_rest()
    assert row.cost == 100 + 50
    assert (await world.call(await token(world, '["chat"]'), asked, path=PATH)).code == "action_not_granted"


async def test_running_code_has_no_price_and_is_refused(world: World) -> None:
    asked = ASK | {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}
    answered = await world.call(await token(world, '["chat", "code_execution"]'), asked, path=PATH)
    assert (answered.status, answered.code) == (403, "not_boundable")


def test_a_batch_is_held_at_the_searches_of_all_its_requests() -> None:
    provider = Provider("anthropic", "anthropic", "https://api.anthropic.com")
    asked: list[JSONValue] = [{"custom_id": str(n), "params": ASK if n else ASK | {"tools": []}} for n in range(3)]
    reading = at_once(read_batch({"requests": asked}, provider))
    assert (reading.most, reading.unbounded) == (Extras(searches=6), "")
    price = PriceBook().find_batch("anthropic", reading.model, NOON)
    assert price is not None
    held = price.using(reading.most)
    assert held is not None
    assert held.worst_case(0, 0) == price.worst_case(0, 0) + 6 * 10_000
