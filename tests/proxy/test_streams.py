"""A stream passes as it came, at once; only what the app did not ask for is taken out."""

import asyncio

import pytest

from tests.canary import KEY
from tests.fake_provider import DONE, LAST_CHUNK, Asked, chunk, delta, event, head, usage, usage_event
from tests.proxy.world import ASK, World

STREAM = ASK | {"stream": True}
WORDS = event(delta("Hello")) + event(delta(" there")) + event(delta("."))


def saying(*pieces: bytes, last: bytes = LAST_CHUNK) -> object:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream"))
        for piece in pieces:
            writer.write(chunk(piece))
            await writer.drain()
        writer.write(last)
        await writer.drain()
        if not last:
            writer.close()

    return script


async def test_the_usage_event_is_put_in_and_taken_out_again(world: World) -> None:
    answered = await world.call(await world.token(), STREAM)
    assert world.provider.asked[0].json()["stream_options"] == {"include_usage": True}
    assert answered.body == WORDS + DONE
    [row] = await world.at_rest()
    assert (row.mark, row.cost, row.streamed) == ("reported", 5, 1)


async def test_an_app_that_asked_for_usage_gets_every_byte(world: World) -> None:
    answered = await world.call(await world.token(), STREAM | {"stream_options": {"include_usage": True}})
    assert answered.body == WORDS + event(usage_event()) + DONE


@pytest.mark.parametrize("asked", [False, True], ids=["not asked", "asked"])
async def test_a_stream_cut_at_every_byte_says_the_same(world: World, asked: bool) -> None:
    whole = b": hello\r\n\r\n" + 'data: {"a":"é"}\r\r'.encode() + event(usage_event()) + DONE
    world.provider.script = saying(*(whole[at : at + 1] for at in range(len(whole))))  # type: ignore[assignment]
    options = {"stream_options": {"include_usage": True}} if asked else {}
    answered = await world.call(await world.token(), STREAM | options)
    assert answered.body == (whole if asked else whole.replace(event(usage_event()), b""))
    [row] = await world.at_rest()
    assert (row.mark, row.cost) == ("reported", 5)


async def test_each_event_is_there_before_the_next_is_sent(world: World) -> None:
    gate = asyncio.Event()

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream") + chunk(event(delta("one"))))
        asyncio.get_running_loop().call_later(0.1, gate.set)
        await gate.wait()
        writer.write(chunk(event(usage_event()) + DONE) + LAST_CHUNK)

    world.provider.script = script
    answered = await world.call(await world.token(), STREAM)
    assert answered.pieces[0] == event(delta("one"))
    assert answered.times[0] < answered.times[-1] - 0.05


@pytest.mark.parametrize(
    "used",
    [None, usage(-1, 5), usage(10, -5), usage(0, 0), {"prompt_tokens": "10"}, {"prompt_tokens": 2**31, "completion_tokens": 1}, []],
    ids=["missing", "negative input", "negative output", "zero", "text", "absurd", "no object"],
)  # fmt: skip
async def test_a_complete_stream_without_a_true_usage_takes_the_bound(world: World, used: object) -> None:
    pieces = [event(delta("hi"))] + ([] if used is None else [event({**usage_event(), "usage": used})])
    world.provider.script = saying(*pieces, DONE)  # type: ignore[assignment]
    await world.call(await world.token(), STREAM)
    [row] = await world.at_rest()
    assert (row.mark, row.cost) == ("estimated", row.hold)


async def test_the_last_usage_before_the_end_counts(world: World) -> None:
    late = event({**usage_event(), "usage": usage(10, 900)})
    world.provider.script = saying(event(usage_event(usage(10, 1))), event(usage_event(usage(10, 7))), DONE, late)  # type: ignore[assignment]
    await world.call(await world.token(), STREAM)
    [row] = await world.at_rest()
    assert row.output_tokens == 7


async def test_a_stream_that_breaks_ends_with_an_error_event(world: World) -> None:
    world.provider.script = saying(event(delta("half")), last=b"")  # type: ignore[assignment]
    answered = await world.call(await world.token(), STREAM)
    assert answered.body.startswith(event(delta("half")))
    assert b'"code":"provider_error"' in answered.body
    [row] = await world.at_rest()
    assert (row.mark, row.cost) == ("estimated", row.hold)


async def test_a_stream_without_its_closing_event_is_broken(world: World) -> None:
    world.provider.script = saying(event(delta("half")))  # type: ignore[assignment]
    answered = await world.call(await world.token(), STREAM)
    assert b'"code":"provider_error"' in answered.body


async def test_a_stream_that_falls_silent_is_ended(world: World) -> None:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream") + chunk(event(delta("half"))))
        await asyncio.sleep(30)

    world.provider.script = script
    world.loses_patience()
    answered = await world.call(await world.token(), STREAM)
    assert b'"code":"provider_timeout"' in answered.body


async def test_a_provider_that_repeats_the_key_is_cut_off(world: World) -> None:
    world.provider.script = saying(event(delta(KEY)), DONE)  # type: ignore[assignment]
    answered = await world.call(await world.token(), STREAM)
    assert KEY.encode() not in answered.body
    assert b'"code":"provider_error"' in answered.body


async def test_an_endless_event_is_bounded(world: World) -> None:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream"))
        for _ in range(100):
            writer.write(chunk(b"x" * 65_536))
            await writer.drain()

    world.provider.script = script
    answered = await world.call(await world.token(), STREAM)
    assert b'"code":"provider_error"' in answered.body
