"""A stream that breaks, or is cut, ends with its dialect's own error event, and never in the middle of another."""

import asyncio
import json

import pytest

from broker.core.grant import GrantEvent
from broker.providers.sse import EventSplitter, data_of
from broker.store import grants
from tests.fake_provider import Asked, chunk, head
from tests.proxy.dialects import SPEECHES, Speech, begun
from tests.proxy.world import GRANT_OF, Answered, World

TORN = b'data: {"half of an ev'

EACH = pytest.mark.parametrize("speech", list(SPEECHES.values()), ids=list(SPEECHES))


def last_event(answered: Answered) -> tuple[bytes, object]:
    """The bytes of the last event and what it says; nothing comes after it."""
    splitter = EventSplitter()
    *before, last = splitter.feed(answered.body)
    assert splitter.rest() == b""
    assert all(b"half of an ev" not in event for event in before)
    return last, json.loads(data_of(last))


def check(speech: Speech, name: str, answered: Answered, code: str) -> None:
    raw, said = last_event(answered)
    assert answered.status == 200
    assert answered.body == speech.first + raw
    assert isinstance(said, dict)
    if name == "cohere":
        assert raw.startswith(b"event: message-end\n")
        delta = said["delta"]
        assert (said["type"], delta["finish_reason"], delta["code"]) == ("message-end", "ERROR", code)
        assert delta["error"]
        return
    error = said if name == "mistral" else said["error"]
    assert (error["details"][0]["reason"] if name == "generateContent" else error["code"]) == code
    if name == "responses":
        assert raw.startswith(b"event: error\n")
        assert (said["type"], said["code"], said["sequence_number"]) == ("error", code, 1)
        assert said["message"] == error["message"]
    elif name == "messages":
        assert raw.startswith(b"event: error\n")
        assert said["type"] == "error"
        assert said.keys() == {"type", "error"}
    elif name == "mistral":
        assert said["object"] == "error"
    else:
        assert said.keys() == {"error"}


@EACH
async def test_a_provider_that_breaks_off(world: World, speech: Speech) -> None:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream") + chunk(speech.first + TORN))
        await writer.drain()
        writer.close()

    world.provider.script = script
    answered = await speech.call(world, await speech.token(world), streamed=True)
    check(speech, _name(speech), answered, "provider_error")


@EACH
async def test_a_provider_that_falls_silent(world: World, speech: Speech) -> None:
    world.provider.script = begun(speech, torn=TORN)
    world.loses_patience()
    answered = await speech.call(world, await speech.token(world), streamed=True)
    check(speech, _name(speech), answered, "provider_timeout")


@EACH
async def test_an_owner_who_pauses(world: World, speech: Speech) -> None:
    world.provider.script = begun(speech, torn=TORN)
    token = await speech.token(world)
    running = asyncio.create_task(speech.call(world, token, streamed=True))
    while not world.provider.asked:  # noqa: ASYNC110 - the fake says it by a list
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    await world.change(lambda tx: grants.move(tx, GRANT_OF[token], GrantEvent.PAUSE, world.clock()))
    check(speech, _name(speech), await running, "grant_paused")


@EACH
async def test_an_error_of_the_providers_own_passes_without_its_account(world: World, speech: Speech) -> None:
    own = speech.own_error("Not for org-abc123def456 today", 500)
    if _name(speech) == "responses":
        own = {"type": "error", "sequence_number": 1, "code": "x", "message": own["error"]["message"], "param": None}
    if _name(speech) == "cohere":
        own = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": own["message"]}}
    event = b"event: error\ndata: " + json.dumps(own).encode() + b"\n\n"

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream") + chunk(speech.first) + chunk(event) + b"0\r\n\r\n")
        await writer.drain()

    world.provider.script = script
    answered = await speech.call(world, await speech.token(world), streamed=True)
    assert answered.body == speech.first + event.replace(b"org-abc123def456", b"[removed]")
    [row] = await world.at_rest()
    assert (row.mark, row.outcome) == ("estimated", "provider_failed")


def _name(speech: Speech) -> str:
    return next(name for name, each in SPEECHES.items() if each is speech)
