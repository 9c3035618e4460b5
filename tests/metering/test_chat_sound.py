"""Sound in a chat needs its action, and a price of its own, before a byte of it leaves."""

from typing import Any

import pytest

from broker.providers.openai_request import MESSAGE_TOKENS
from broker.providers.openai_sound import AROUND
from tests.metering.world import LAST_CHUNK, STREAM, Case, saying
from tests.proxy.world import World

CASE = Case.read("openai_chat_sound")
ASKED: dict[str, Any] = CASE.told["request"]
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


def going_on(*said: str, **more: Any) -> dict[str, Any]:
    before = [{"role": "assistant", "audio": {"id": each}} for each in said]
    return ASKED | {"messages": [*HELLO, *before, *HELLO]} | more


async def speak(world: World, *, streamed: bool, **more: Any) -> str:
    """A token whose grant was told something aloud, by the id `audio_1`."""
    token = await world.token(models='["*"]', actions='["chat", "audio"]')
    script = saying(STREAM, *CASE.pieces(), LAST_CHUNK) if streamed else saying(CASE.answer())
    world.provider.script = script
    answered = await world.call(token, ASKED | {"stream": streamed} | more)
    assert (answered.status, b"audio_1" in answered.body) == (200, True)
    await world.at_rest()
    return token


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_what_was_said_before_is_heard_again_at_what_it_came_to(world: World, streamed: bool) -> None:
    token = await speak(world, streamed=streamed)
    world.provider.script = saying(CASE.answer())
    for said in ((), ("audio_1",), ("audio_1", "audio_1")):
        assert (await world.call(token, going_on(*said))).status == 200
    *_, none, once, twice = await world.at_rest()
    # 150 tokens were written and said; each time, a message of {"role":"assistant","audio":{"id":"audio_1"}}, and what stands around it.
    bytes_of = len(b'{"role":"assistant","audio":{"id":"audio_1"}},')
    more = 150 + 2 * AROUND + bytes_of + MESSAGE_TOKENS
    assert (once.input_bound - none.input_bound, twice.input_bound - none.input_bound) == (more, 2 * more)
    # At $32 a million what was said, at $2.50 what stands for it.
    assert once.hold - none.hold == (150 + 2 * AROUND) * 32 + (bytes_of + MESSAGE_TOKENS) * 2.5
    assert world.provider.asked[-1].json()["messages"][1]["audio"] == {"id": "audio_1"}
    assert (await world.verified()).startswith("OK")


async def test_what_was_said_to_another_grant_is_not_there(world: World) -> None:
    await speak(world, streamed=False)
    other = await world.token(models='["*"]', actions='["chat", "audio"]')
    arrived = len(world.provider.asked)
    refused = await world.call(other, going_on("audio_1"))
    assert (refused.status, refused.code) == (404, "not_found")
    assert len(world.provider.asked) == arrived


async def test_what_another_model_said_or_nobody_counted_has_no_bound(world: World) -> None:
    token = await speak(world, streamed=False)
    refused = await world.call(token, going_on("audio_1", model="gpt-audio-mini"))
    assert (refused.status, refused.code) == (403, "not_boundable")
    world.provider.script = saying(CASE.answer(with_usage=False).replace(b"audio_1", b"audio_2"))
    assert (await world.call(token, ASKED)).status == 200
    refused = await world.call(token, going_on("audio_2"))
    assert (refused.status, refused.code) == (403, "not_boundable")
