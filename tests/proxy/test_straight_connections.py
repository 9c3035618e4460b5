"""A call on the straight way that has to wait for a connection to its provider."""

import asyncio
from typing import Any

import pytest

from broker.core.grant import GrantEvent
from broker.providers.client import Waits
from broker.store import grants
from tests.fake_provider import DONE, LAST_CHUNK, Asked, chunk, completion, event, head, usage_event, whole
from tests.proxy.asked import AskedAtSight, begun, learn
from tests.proxy.world import ASK, GRANT_OF, World

STREAM: dict[str, Any] = ASK | {"stream": True}
SAID = event(usage_event()) + DONE


@pytest.fixture
def connections() -> int:
    return 1


@pytest.fixture
def patience() -> float:
    return 30.0


@pytest.fixture
def waits(patience: float) -> Waits:
    return Waits(connect=patience, first_byte=30, silence=30)


class Two:
    """The first call has the only connection until `gate` opens; the second waits for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.gate = asyncio.Event()
        self.token = ""

    async def begin(self, body: object) -> tuple[AskedAtSight, AskedAtSight]:
        self.token = await self.world.token()
        [first] = await learn(self.world, await self.world.token())
        [second] = await learn(self.world, self.token)
        await self.world.at_rest()
        before = len(self.world.provider.asked)
        self.world.provider.script = self._answer
        one, other = await begun(first), await begun(second, body)
        async with asyncio.timeout(10):
            while len(self.world.provider.asked) == before:  # noqa: ASYNC110 - it is another server, which tells nobody
                await asyncio.sleep(0.005)
        return one, other

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        await self.gate.wait()
        if asked.json().get("stream"):
            writer.write(head(200, "text/event-stream") + chunk(SAID) + LAST_CHUNK)
        else:
            writer.write(whole(completion()))


async def over(*asked: AskedAtSight) -> None:
    async with asyncio.timeout(10):
        for each in asked:
            await each.over.wait()


@pytest.mark.parametrize("body", [ASK, STREAM], ids=["whole", "stream"])
async def test_it_goes_on_when_there_is_one(world: World, body: object) -> None:
    two = Two(world)
    first, second = await two.begin(body)
    two.gate.set()
    await over(first, second)
    assert second.answered.status == 200
    assert (second.answered.body == DONE) == (body is STREAM)
    assert first.tasks == second.tasks == []
    assert {row.outcome for row in await world.at_rest()} == {"ok"}
    assert world.provider.connections == 1


async def test_it_is_cut_when_its_grant_is_paused(world: World) -> None:
    two = Two(world)
    first, second = await two.begin(STREAM)
    await world.change(lambda tx: grants.move(tx, GRANT_OF[two.token], GrantEvent.PAUSE, world.clock()))
    await over(second)
    assert second.answered.code == "grant_paused"
    two.gate.set()
    await over(first)
    assert sorted(row.mark for row in await world.at_rest()) == ["not_run", "reported", "reported", "reported"]


async def test_an_app_that_leaves_meanwhile_is_not_answered(world: World) -> None:
    two = Two(world)
    first, second = await two.begin(STREAM)
    second.hang_up()
    await over(second)
    assert second.answered.status == 0
    two.gate.set()
    await over(first)
    await world.at_rest()
    assert world.service.app.usual.calls == set()


@pytest.mark.parametrize("patience", [0.3])
async def test_without_any_it_was_not_run(world: World) -> None:
    two = Two(world)
    first, second = await two.begin(STREAM)
    await over(second)
    assert (second.answered.status, second.answered.code) == (502, "provider_error")
    two.gate.set()
    await over(first)
    assert sorted(row.mark for row in await world.at_rest()) == ["not_run", "reported", "reported", "reported"]
    assert len(world.provider.asked) == 3
