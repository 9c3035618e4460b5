"""What is told of calls to whoever watches is what the books say, before and after the sums are folded."""

import asyncio

from broker.ledger.rollup import roll_up
from broker.store.measures import Done, measure
from tests.fake_provider import Asked, answer_chat, whole
from tests.proxy.world import ASK, World


async def test_calls_are_counted_once_they_have_ended_and_only_if_they_ran(world: World) -> None:
    token = await world.token()
    for _ in range(3):
        await world.call(token)

    async def refuse(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(whole({"error": {"message": "no", "type": "x", "param": None, "code": None}}, 429))

    world.provider.script = refuse
    await world.call(token)
    await world.at_rest()
    expected = (Done("openai", "gpt-4o-mini", 3, 30, 15, 15),)
    assert (await world.db.read_core(measure)).done == expected
    await roll_up(world.db)
    measured = await world.db.read_core(measure)
    assert measured.done == expected
    assert (measured.grants, measured.running, measured.held) == ({"active": 1}, 0, 0)


async def test_what_runs_is_told_with_what_is_held_for_it(world: World) -> None:
    seen = []

    async def look(asked: Asked, writer: asyncio.StreamWriter) -> None:
        seen.append(await world.db.read_core(measure))
        await answer_chat(asked, writer)

    world.provider.script = look
    await world.call(await world.token(), ASK)
    [row] = await world.at_rest()
    assert [(measured.running, measured.held, measured.done) for measured in seen] == [(1, row.hold, ())]
