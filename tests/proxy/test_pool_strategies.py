"""By which of its keys an access goes on, decided by what stands in the books."""

import asyncio
from collections import Counter

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND
from broker.store import spare_keys
from broker.store.grant_tables import Access
from tests.fake_provider import whole
from tests.proxy.asked import begun, learn
from tests.proxy.pool import KEYS, LIMITED, Open
from tests.proxy.world import ASK, World


async def test_round_robin_takes_turns_by_the_books(world: World, pool: Open) -> None:
    made = await pool(strategy="round_robin")
    for _ in range(6):
        assert (await made.call()).status == 200
        await world.at_rest()
    assert made.used() == ["a", "b", "c", "a", "b", "c"]


async def test_the_least_used_key_of_the_last_minute_goes_first(world: World, pool: Open) -> None:
    made = await pool(strategy="least_used")
    for _ in range(6):
        assert (await made.call()).status == 200
    assert Counter(made.used()) == {"a": 2, "b": 2, "c": 2}
    together = await asyncio.gather(*(made.call() for _ in range(9)))
    assert {each.status for each in together} == {200}
    assert Counter(made.used()) == {"a": 5, "b": 5, "c": 5}


async def test_a_conversation_stays_with_its_key_and_comes_back_to_it(world: World, pool: Open) -> None:
    made = await pool(strategy="affinity")
    for who in range(30):
        for _ in range(2):
            await made.call(prompt_cache_key=f"chat-{who}")
    used = made.used()
    pinned = used[::2]
    assert pinned == used[1::2]
    assert set(pinned) == {"a", "b", "c"}

    made.answers[KEYS[0]] = whole(LIMITED, 429, "retry-after: 5")
    world.provider.asked.clear()
    for who in range(30):
        assert (await made.call(prompt_cache_key=f"chat-{who}")).status == 200
    moved = [key for key in made.used() if key != "a"]
    assert [new for new, old in zip(moved, pinned, strict=True) if old != "a"] == [old for old in pinned if old != "a"]
    made.answers.clear()
    world.clock.now += 6 * SECOND
    world.provider.asked.clear()
    for who in range(30):
        await made.call(prompt_cache_key=f"chat-{who}")
    assert made.used() == pinned


async def test_keys_that_come_later_share_the_conversations_of_a_head_that_is_known(world: World, pool: Open) -> None:
    made = await pool(strategy="affinity")

    async def lend(keys: list[str]) -> None:
        async def work(tx: AsyncSession) -> None:
            await spare_keys.lend(tx, (await tx.exec(select(Access))).one(), keys, "affinity")

        await world.db.write(work)
        await world.service._look()

    await lend(made.ids[:1])
    [begin] = await learn(world, made.token)
    await world.at_rest()
    await (await begun(begin)).over.wait()
    await lend(made.ids)
    world.provider.asked.clear()
    for who in range(30):
        await (await begun(begin, ASK | {"prompt_cache_key": f"chat-{who}"})).over.wait()
    assert set(made.used()) == {"a", "b", "c"}
