"""OpenAI's search of the web needs its action and a price, before a byte of it leaves; in the background it is counted, too."""

from typing import Any

import pytest

from tests.fake_provider import whole
from tests.metering.world import Case, saying
from tests.proxy.world import World

CASE = Case.read("openai_search")
ASK: dict[str, Any] = CASE.told["request"]
PATH = "/proxy/openai/v1/responses"


async def token(world: World, actions: str = '["chat", "web_search"]', **more: Any) -> str:
    return await world.token(models='["*"]', actions=actions, **more)


@pytest.mark.parametrize(
    "body",
    [ASK, ASK | {"tools": [{"type": "web_search_preview"}]}, ASK | {"tools": [], "input": [{"type": "web_search_call"}]}],
    ids=["a search", "as it was before", "an earlier one"],
)  # fmt: skip
async def test_a_search_needs_its_action(world: World, body: dict[str, Any]) -> None:
    refused = await world.call(await token(world, '["chat"]'), body, path=PATH)
    assert (refused.status, refused.code) == (403, "action_not_granted")
    assert world.provider.asked == []


async def test_what_the_money_does_not_afford_is_refused(world: World) -> None:
    refused = await world.call(await token(world, budget=100_000), ASK, path=PATH)
    assert (refused.status, refused.code) == (402, "budget_exhausted")
    # Five turns of 128,000 tokens at $0.15, 400 tokens at $0.60 a million and three searches at $0.01.
    assert refused.json()["error"]["required"] == 96_000 + 240 + 30_000
    assert world.provider.asked == []


async def test_an_answer_that_does_not_say_what_it_did_is_booked_at_the_bound(world: World) -> None:
    world.provider.script = saying(whole(CASE.told["answer"] | {"output": None}))
    await world.call(await token(world), ASK, path=PATH)
    (row,) = await world.at_rest()
    assert (row.cost, row.mark) == (row.hold, "estimated")


async def test_more_searches_than_were_allowed_are_an_overrun(world: World) -> None:
    call = {"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}}
    world.provider.script = saying(whole(CASE.told["answer"] | {"output": [call] * 50}))
    grant = await token(world)
    await world.call(grant, ASK, path=PATH)
    (row,) = await world.at_rest()
    # 50 searches at $0.01, and the tokens.
    assert (row.cost, row.cost + row.overrun) == (row.hold, 500_000 + 3_000 + 180)
    assert (await world.call(grant, ASK, path=PATH)).code == "grant_frozen"
