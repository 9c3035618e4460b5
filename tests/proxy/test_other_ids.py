"""Calls with ids of models that the price list has by another id: forwarded, bounded and booked as any other."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fake_mistral import answer_mistral
from tests.proxy.dialects import CHAT, GENERATE, MESSAGE, MISTRAL, RESPONSES, Speech, answer_any
from tests.proxy.world import World

PICTURE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def by(speech: Speech, model: str, **changes: Any) -> Speech:
    ask = {name: value for name, value in (speech.ask | changes).items() if value is not None}
    path = speech.path.replace(speech.model, model)
    return replace(speech, model=model, path=path, ask=ask | {"model": model} if "model" in ask else ask)


CALLS = [
    by(MESSAGE, "claude-sonnet-4-20250514"),
    by(MESSAGE, "claude-opus-4-20250514"),
    by(MESSAGE, "claude-3-7-sonnet-20250219"),
    by(MESSAGE, "claude-3-5-sonnet-latest"),
    by(MESSAGE, "claude-3-5-haiku-20241022"),
    by(MESSAGE, "claude-3-opus-20240229"),
    by(CHAT, "gpt-4-0613"),
    by(CHAT, "gpt-3.5-turbo-0125"),
    by(CHAT, "gpt-5-chat-latest"),
    by(RESPONSES, "gpt-5-codex"),
    by(GENERATE, "gemini-2.0-flash-001"),
    by(GENERATE, "gemini-2.0-flash-lite-001"),
    by(MISTRAL, "mistral-large-2411"),
]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("speech", CALLS, ids=[each.model for each in CALLS])
async def test_it_is_answered_and_booked_by_its_usage(world: World, speech: Speech, streamed: bool) -> None:
    world.provider.script = answer_mistral if speech.provider == "mistral" else answer_any
    if streamed and speech.stream_path:
        speech = replace(speech, path=speech.stream_path.replace(GENERATE.model, speech.model))
    answered = await world.call(
        await speech.token(world),
        path=speech.path,
        body=speech.ask | dict(speech.wants_stream) if streamed else speech.ask,
    )
    assert answered.status == 200
    [row] = await world.at_rest()
    assert (row.model, row.mark, row.overrun) == (speech.model, "reported", 0)
    assert row.cost > 0


@pytest.mark.parametrize(
    ("model", "most"), [("gpt-4-1106-preview", 4_096), ("gpt-5-chat-latest", 16_384), ("gpt-3.5-turbo-1106", 4_096)]
)
async def test_without_a_maximum_of_its_own_it_asks_for_what_the_model_can_give(
    world: World, model: str, most: int
) -> None:
    speech = by(CHAT, model, max_tokens=None)
    assert (await speech.call(world, await speech.token(world, budget=50_000_000))).status == 200
    assert world.provider.asked[0].json()["max_completion_tokens"] == most


async def test_an_input_and_a_maximum_are_not_more_than_a_context_that_is_all_there_is(world: World) -> None:
    speech = by(CHAT, "gpt-4-0613", max_tokens=None)
    assert (await speech.call(world, await speech.token(world, budget=50_000_000))).status == 200
    asked = world.provider.asked[0].json()["max_completion_tokens"]
    assert 4_096 < asked < 8_192


async def test_pictures_go_to_it_where_its_provider_says_what_they_cost(world: World) -> None:
    world.provider.script = answer_any
    content = [{"type": "image", "source": PICTURE}]
    speech = by(MESSAGE, "claude-sonnet-4-20250514", messages=[{"role": "user", "content": content}])
    token = await speech.token(world, actions='["chat", "vision"]')
    assert (await speech.call(world, token)).status == 200
