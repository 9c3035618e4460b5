"""Searches in what OpenAI keeps: each turn reads all of it, and what was found is left there."""

from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.object_tables import ProviderObject
from tests.fake_openai import response
from tests.fake_provider import whole
from tests.fake_state import KeepingOpenAI
from tests.metering.world import saying
from tests.proxy.world import World

CONVERSATIONS, RESPONSES = "/proxy/openai/v1/conversations", "/proxy/openai/v1/responses"
ASK: dict[str, Any] = {"model": "gpt-4.1-nano", "input": "Hello", "max_output_tokens": 100}
SEARCH: dict[str, Any] = {"tools": [{"type": "web_search"}], "max_tool_calls": 1}
MAY = '["chat", "files", "web_search"]'


@pytest.fixture
async def keeping(world: World) -> KeepingOpenAI:
    world.provider.script = made = KeepingOpenAI()
    return made


async def begin(world: World, token: str) -> str:
    return str((await world.call(token, {}, path=CONVERSATIONS)).json()["id"])


async def last_bound(world: World) -> int:
    """Of the input of the last call to a model."""
    return [call.input_bound for call in await world.at_rest() if call.model][-1]


async def tokens_in(world: World) -> int | None:
    async def work(tx: AsyncSession) -> int | None:
        return (await tx.exec(select(ProviderObject).where(ProviderObject.kind == "conversation"))).one().tokens

    return await world.db.read(work)


async def holding(world: World, conversation_id: str, tokens: int) -> None:
    """As if so much had been said in it."""

    async def work(tx: AsyncSession) -> None:
        found = (await tx.exec(select(ProviderObject).where(ProviderObject.kind == "conversation"))).one()
        found.tokens, found.model = tokens, "gpt-4.1-nano"

    await world.db.write(work)


async def test_each_turn_of_a_search_reads_all_of_the_conversation(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY, models='["*"]')
    conversation_id = await begin(world, token)
    asked = ASK | SEARCH | {"conversation": conversation_id}
    for held, turn in ((100_000, 128_000), (200_000, 1_047_576)):
        await holding(world, conversation_id, held)
        assert (await world.call(token, asked, path=RESPONSES)).status == 200
        # Before the search, after it, and after one that is ignored: as if what is kept stood in the request itself.
        assert await last_bound(world) == 3 * turn


async def test_each_turn_of_a_search_reads_all_of_what_it_follows(world: World, keeping: KeepingOpenAI) -> None:
    token = await world.token(actions=MAY, models='["*"]')
    made = await world.call(token, ASK | {"store": True}, path=RESPONSES)

    async def work(tx: AsyncSession) -> None:
        (await tx.exec(select(ProviderObject))).one().tokens = 200_000

    await world.db.write(work)
    asked = ASK | SEARCH | {"previous_response_id": made.json()["id"]}
    assert (await world.call(token, asked, path=RESPONSES)).status == 200
    assert await last_bound(world) == 3 * 1_047_576


async def test_of_a_search_that_broke_off_the_most_of_what_it_found_is_taken(
    world: World, keeping: KeepingOpenAI
) -> None:
    token = await world.token(actions=MAY, models='["*"]')
    conversation_id = await begin(world, token)
    world.provider.script = saying(whole(response())[:-9], then="hangs up")
    assert (await world.call(token, ASK | SEARCH | {"conversation": conversation_id}, path=RESPONSES)).status == 502
    await world.at_rest()
    assert await tokens_in(world) == len(b'{"input":"Hello"}') + 16 + 128_000 + 100
