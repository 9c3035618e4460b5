"""Service tiers and steps of context: held and booked at their own price, and never at less than what was run."""

import json
from math import ceil
from typing import Any

import pytest

from tests.fake_provider import LAST_CHUNK, chunk, head, whole
from tests.metering.world import saying
from tests.proxy.world import World

ASK: dict[str, Any] = {
    "model": "o4-mini",
    "messages": [{"role": "user", "content": "x" * 1_000}],
    "max_completion_tokens": 100,
}
USED: dict[str, Any] = {"prompt_tokens": 1_000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 0}}
CHOICE: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}


async def told(world: World, asked: dict[str, Any], tier: object, *, streamed: bool) -> Any:
    answer = {"id": "c", "object": "chat.completion", "choices": [CHOICE], "usage": USED, "service_tier": tier}
    if streamed:
        last = f"data: {json.dumps(answer | {'choices': []})}\n\ndata: [DONE]\n\n".encode()
        world.provider.script = saying(head(200, "text/event-stream"), chunk(last), LAST_CHUNK)
    else:
        world.provider.script = saying(whole(answer))
    token = await world.token(models='["o4-mini", "gpt-4.1-nano"]')
    answered = await world.call(token, asked | {"stream": streamed})
    assert answered.status == 200, answered.body
    (row,) = await world.at_rest()
    return row


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("tier", "answered", "cost"),
    [
        # Dollars a million tokens: the standard tier 1.10 and 4.40, flex 0.55 and 2.20, priority 2.00 and 8.00.
        ("flex", "flex", 550 + 110),
        ("priority", "priority", 2_000 + 400),
        ("priority", "default", 2_000 + 400),
    ],
)
async def test_a_tier_is_booked_at_its_price(world: World, tier: str, answered: str, cost: int, streamed: bool) -> None:
    row = await told(world, ASK | {"service_tier": tier}, answered, streamed=streamed)
    assert (row.cost, row.mark) == (cost, "reported")
    assert world.provider.asked[0].json()["service_tier"] == tier


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("tier", "answered"), [("flex", "default"), ("flex", None), ("priority", "scale"), ("flex", 5)]
)
async def test_a_tier_that_was_not_asked_for_is_booked_at_the_bound(
    world: World, tier: str, answered: object, streamed: bool
) -> None:
    row = await told(world, ASK | {"service_tier": tier}, answered, streamed=streamed)
    assert (row.cost, row.mark) == (row.hold, "estimated")


async def test_the_standard_tier_is_asked_for_where_the_app_says_nothing(world: World) -> None:
    row = await told(world, ASK, "default", streamed=False)
    assert (row.cost, row.mark) == (1_100 + 220, "reported")
    assert world.provider.asked[0].json()["service_tier"] == "default"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (ASK | {"model": "gpt-4.1-nano", "service_tier": "flex"}, "no_price"),
        (ASK | {"service_tier": "scale"}, "not_boundable"),
        (ASK | {"service_tier": "auto"}, "not_boundable"),
    ],
    ids=["no price", "unknown", "left to the account"],
)
async def test_a_tier_without_a_price_is_refused(world: World, asked: dict[str, Any], code: str) -> None:
    answered = await world.call(await world.token(models='["o4-mini", "gpt-4.1-nano"]'), asked)
    assert (answered.status, answered.code) == (403, code)
    assert world.provider.asked == []


async def test_a_long_context_is_booked_at_its_step(world: World) -> None:
    used = {"input_tokens": 200_001, "output_tokens": 10}
    answer = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": "end_turn",
        "usage": used,
    }
    world.provider.script = saying(whole(answer))
    token = await world.token(provider="anthropic", models='["claude-sonnet-4-5"]', budget=20_000_000)
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "x" * 200_000}]}
    answered = await world.call(token, asked, path="/proxy/anthropic/v1/messages")
    assert answered.status == 200, answered.body
    (row,) = await world.at_rest()
    # Above 200,000 tokens the whole call costs $6 and $22.50 a million.
    assert (row.cost, row.mark) == (200_001 * 6 + 225, "reported")


def details(**kinds: int) -> list[dict[str, Any]]:
    return [{"modality": kind, "tokenCount": count} for kind, count in kinds.items()]


@pytest.mark.parametrize(
    ("used", "cost"),
    [
        # To 200,000 tokens $1.25, $0.125 of the cache and $10 a million; above them the whole call at $2.50, $0.25 and $15.
        ({"promptTokenCount": 200_000, "candidatesTokenCount": 10}, 200_000 * 1.25 + 10 * 10),
        ({"promptTokenCount": 200_001, "candidatesTokenCount": 10}, 200_001 * 2.5 + 10 * 15),
        (
            {"promptTokenCount": 200_001, "cachedContentTokenCount": 100_000, "thoughtsTokenCount": 10},
            100_001 * 2.5 + 100_000 * 0.25 + 10 * 15,
        ),
        ({"promptTokenCount": 199_999, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 10}, 200_001 * 2.5 + 150),
        ({"promptTokenCount": 9, "promptTokensDetails": details(TEXT=200_001)}, 200_001 * 2.5),
    ],
    ids=["to the step", "above it", "with a cache", "with what a tool read", "by the details alone"],
)
async def test_a_long_prompt_of_geminis_is_booked_at_its_step(world: World, used: dict[str, Any], cost: float) -> None:
    candidate = {"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", "index": 0}
    world.provider.script = saying(whole({"candidates": [candidate], "usageMetadata": used}))
    token = await world.token(provider="google", models='["gemini-2.5-pro"]')
    asked = {"contents": [{"parts": [{"text": "x" * 20_000}]}], "generationConfig": {"maxOutputTokens": 100}}
    answered = await world.call(token, asked, path="/proxy/google/v1beta/models/gemini-2.5-pro:generateContent")
    assert answered.status == 200, answered.body
    (row,) = await world.at_rest()
    assert (row.cost, row.mark) == (ceil(cost), "reported")
    assert (await world.verified()).startswith("OK")
