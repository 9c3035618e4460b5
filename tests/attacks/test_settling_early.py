"""A server that counts along must not let an app pay for the first words of a long answer and leave."""

import asyncio
from typing import Any

from tests.fake_provider import DONE, LAST_CHUNK, Asked, chunk, delta, event, head, usage
from tests.proxy.world import ASK, World

STREAM = ASK | {"stream": True}


def counting(words: int, *, finished: bool = False) -> dict[str, Any]:
    said = delta("word") | {"usage": usage(10, words)}
    if finished:
        said["choices"][0]["finish_reason"] = "stop"
    return said


async def test_a_stream_cut_amid_counting_takes_the_bound(world: World) -> None:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream") + chunk(event(counting(1))))
        await writer.drain()
        writer.close()

    world.provider.script = script
    await world.call(await world.token(), STREAM)
    [row] = await world.at_rest()
    assert (row.mark, row.cost, row.outcome) == ("estimated", row.hold, "broken")


async def test_the_count_of_the_last_word_is_the_usage(world: World) -> None:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        said = [event(counting(1)), event(counting(2)), event(counting(3, finished=True)), DONE]
        writer.write(head(200, "text/event-stream") + chunk(b"".join(said)) + LAST_CHUNK)

    world.provider.script = script
    await world.call(await world.token(), STREAM)
    [row] = await world.at_rest()
    assert (row.mark, row.output_tokens) == ("reported", 3)
