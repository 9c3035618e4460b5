"""Sound in a chat needs its action, and a price of its own, before a byte of it leaves."""

from typing import Any

import pytest

from tests.metering.world import Case
from tests.proxy.world import World

ASKED: dict[str, Any] = Case.read("openai_chat_sound").told["request"]
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    "body",
    [
        ASKED,
        ASKED | {"messages": HELLO},
        {"model": "gpt-audio", "messages": ASKED["messages"]},
        ASKED | {"model": "gpt-4o-mini"},
    ],
    ids=["both ways", "out", "in", "a model that cannot"],
)
async def test_sound_in_a_chat_needs_its_action(world: World, body: dict[str, Any]) -> None:
    refused = await world.call(await world.token(models='["*"]'), body)
    assert (refused.status, refused.code) == (403, "action_not_granted")
    assert world.provider.asked == []


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4o-audio-preview"])
async def test_a_model_whose_sound_has_no_bound_gets_none(world: World, model: str) -> None:
    token = await world.token(models='["*"]', actions='["chat", "audio"]')
    refused = await world.call(token, ASKED | {"model": model})
    assert (refused.status, refused.code) == (403, "not_boundable")
    assert world.provider.asked == []


async def test_what_was_said_before_is_not_named_by_its_id(world: World) -> None:
    token = await world.token(models='["*"]', actions='["chat", "audio"]')
    said = {"role": "assistant", "audio": {"id": "audio_1"}}
    refused = await world.call(token, ASKED | {"messages": [*ASKED["messages"], said]})
    assert (refused.status, refused.code) == (403, "not_boundable")
    assert "messages.audio" in refused.json()["error"]["message"]
    assert world.provider.asked == []
