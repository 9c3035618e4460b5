"""Three brokers and one PostgreSQL: the same limits, the same endings, nobody waits for anybody."""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.patience import promised
from tests.races.brokers import (
    CALLS,
    Provider,
    at_rest,
    call,
    ending,
    hold_of_one,
    installed,
    kill,
    money,
    serving,
    stream,
)
from tests.races.watch import marks, watching
from tests.serve.installation import Granted, Installation, dollars
from tests.serve.running import eventually
from tests.stores import database

SEEDS = int(os.environ.get("PROOF_SEEDS", "2"))
CUT_WITHIN = promised(2.0, beside_others=20.0)
LEASE = 6.0
SWEPT_WITHIN = LEASE + 5.0 + promised(3.0, beside_others=30.0)
"""A lease, the time to the next sweep, and what a busy machine takes."""


@pytest.fixture(scope="module")
def url(server: str) -> Iterator[str]:
    with database(server) as made:
        yield made


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, url: str) -> list[Installation]:
    shared = tmp_path_factory.mktemp("brokers")
    return installed(shared, url, "one", "two", "three", BROKER_CALL_LEASE_SECONDS=f"{LEASE:.0f}")


async def test_three_of_128_calls_are_let_through_and_what_is_revoked_ends_at_all(
    places: list[Installation], url: str
) -> None:
    script = Provider()
    async with serving(places, script) as (provider, _, https), watching(url) as watch:
        hold = await hold_of_one(places[0], https[0])
        for seed in range(SEEDS):
            granted = await asyncio.to_thread(lambda: places[0].grant(budget=dollars(3 * hold)))
            provider.asked.clear()
            statuses = await _burst(https, script, granted, seed)
            assert (statuses.count(200), statuses.count(402)) == (3, CALLS - 3), seed
            assert len(provider.asked) == 3, seed
            rest = await _rest(places[seed % 3], granted, within=60)
            assert (rest["settled"], rest["limit"]) == (3 * 5, 3 * hold), seed
        script.go_on.clear()
        await _revoke_while_streaming(places, https)
        assert watch.commits > SEEDS
        assert watch.faults == 0
    assert (await asyncio.to_thread(places[2].broker, "ledger", "verify")).startswith(f"OK: {3 * SEEDS + 3} calls")


async def _rest(place: Installation, granted: Granted, *, within: float) -> Any:
    return await asyncio.to_thread(eventually, lambda: at_rest(place, granted), within=within)


async def _burst(https: list[httpx.AsyncClient], script: Provider, granted: Granted, seed: int) -> list[int]:
    """The provider answers once every call that it did not get has been refused."""
    chance, left = random.Random(seed), CALLS - 3
    script.go_on.clear()

    async def one(http: httpx.AsyncClient) -> int:
        nonlocal left
        await asyncio.sleep(chance.random() * 0.05)
        answered = await call(http, granted)
        left -= answered.status_code != 200
        if left <= 0:
            script.go_on.set()
        return answered.status_code

    return list(await asyncio.gather(*(one(https[number % 3]) for number in range(CALLS))))


async def _revoke_while_streaming(places: list[Installation], https: list[httpx.AsyncClient]) -> None:
    granted = await asyncio.to_thread(places[0].grant)
    async with AsyncExitStack() as streams:
        open_ones = [await streams.enter_async_context(stream(http, granted)) for http in https]
        endings = [asyncio.create_task(ending(each)) for each in open_ones]
        await asyncio.to_thread(places[1].broker, "grant", "revoke", granted.grant_id)
        said = await asyncio.wait_for(asyncio.gather(*endings), CUT_WITHIN)
    assert all(b"error" in each for each in said)
    assert [(await call(http, granted)).status_code for http in https] == [401] * 3


async def test_a_new_broker_ends_no_call_of_another_and_settles_those_of_a_dead_one(
    places: list[Installation], url: str
) -> None:
    script = Provider()
    async with serving(places[:1], script) as (_, (first,), (http,)):
        granted = await asyncio.to_thread(places[0].grant)
        async with stream(http, granted), stream(http, granted):
            held = await asyncio.to_thread(money, places[0], granted)
            assert held["held"] > 0
            async with serving(places[1:], script) as (_, _, others):
                assert await asyncio.to_thread(money, places[1], granted) == held
                kill(first)
                died = time.monotonic()
                settled = await _rest(places[1], granted, within=SWEPT_WITHIN)
                assert time.monotonic() - died > LEASE / 2
                assert (settled["settled"], settled["overrun"]) == (held["held"], 0)
                assert await marks(url, granted.grant_id) == ["unresolved"] * 2
                script.go_on.set()
                assert [(await call(other, granted)).status_code for other in others] == [200] * 2
    assert (await asyncio.to_thread(places[1].broker, "ledger", "verify")).startswith("OK: ")
