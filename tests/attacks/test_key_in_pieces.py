"""A key said back in pieces is still a key."""

import asyncio
import os

import pytest

from broker.core.secret import Secret
from broker.proxy.answer import KeyGuard, scrub
from tests.canary import KEY
from tests.fake_provider import DONE, Asked, chunk, delta, event, head
from tests.proxy.world import ASK, World


@pytest.mark.parametrize("asked", [True, False], ids=["bytes pass", "events pass"])
async def test_a_stream_that_says_the_key_in_two_pieces_is_cut_before_it(world: World, asked: bool) -> None:
    said = event(delta(f"the key is {KEY}"))
    half = said.index(KEY.encode()) + len(KEY) // 2

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        for piece in (head(200, "text/event-stream") + chunk(said[:half]), chunk(said[half:]) + chunk(DONE)):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.1)

    world.provider.script = script
    body = ASK | {"stream": True} | ({"stream_options": {"include_usage": True}} if asked else {})
    answered = await world.call(await world.token(), body)
    assert KEY[:8].encode() not in answered.body
    assert b'"code":"provider_error"' in answered.body


def test_what_is_no_key_passes_whole_and_at_once() -> None:
    text = b'data: {"a": "' + KEY.encode()[:-1] + b'!"}\n\n' + os.urandom(2000) + b"\n"
    for size in (1, 7, 64, 4096):
        guard = KeyGuard(Secret(KEY))
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        passed = [guard.feed(piece) for piece in pieces]
        assert b"".join(passed) + guard.rest() == text
        assert not guard.found
    assert KeyGuard(Secret(KEY)).feed(b"data: x\n\n") == b"data: x\n\n"


def test_a_key_at_any_cut_is_found() -> None:
    text = b"x" + KEY.encode() + b"y"
    for cut in range(1, len(text)):
        guard = KeyGuard(Secret(KEY))
        passed = guard.feed(text[:cut]) + guard.feed(text[cut:])
        assert guard.found
        assert passed in (b"", b"x")


def test_a_key_as_the_name_of_a_member_is_removed() -> None:
    assert b"plainhexkey0123" not in scrub({"error": {"plainhexkey0123": 1}}, Secret("plainhexkey0123"))
