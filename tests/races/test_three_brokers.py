"""Three brokers, as on three machines, and one PostgreSQL: the same limits, the same endings, nobody waits for anybody."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fake_provider import Asked, FakeProvider, chunk, completion, delta, event, fake_provider, head, whole
from tests.serve.installation import ASK, Granted, Installation, dollars
from tests.serve.running import Running, eventually
from tests.stores import database

CALLS = 128
SEEDS = int(os.environ.get("PROOF_SEEDS", "3"))
CUT_WITHIN = 2.0
PATH = "/proxy/openai/v1/chat/completions"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, server: str) -> Iterator[list[Installation]]:
    """Folders of their own; what they share is the database, the issuer and the master key."""
    shared = tmp_path_factory.mktemp("brokers")
    with database(server) as url:
        settings = {
            "BROKER_DATABASE_URL": url,
            "BROKER_ISSUER": "http://127.0.0.1:65000",
            "BROKER_MASTER_KEY_FILE": str(shared / "master.key"),
            "BROKER_CALL_LEASE_SECONDS": "8",
        }
        made = [Installation(_folder(shared / name), dict(settings)) for name in ("one", "two", "three")]
        made[0].furnish()
        made[1].client_id = made[2].client_id = made[0].client_id
        yield made


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


class Provider:
    """Holds every answer until it is told to go on; a stream has begun before that."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.json().get("stream"):
            writer.write(head(200, "text/event-stream") + chunk(event(delta("Hello"))))
            await writer.drain()
        await self.go_on.wait()
        writer.write(whole(completion()))
        await writer.drain()


@asynccontextmanager
async def serving(
    places: list[Installation], script: Provider
) -> AsyncIterator[tuple[FakeProvider, list[Running], list[httpx.AsyncClient]]]:
    with ExitStack() as servers:
        async with fake_provider(script) as provider, AsyncExitStack() as clients:
            for place in places:
                place.settings["BROKER_PROVIDER_OPENAI_BASE_URL"] = provider.url
            running = [await asyncio.to_thread(servers.enter_context, place.serving()) for place in places]
            limits = httpx.Limits(max_connections=CALLS)
            https = [
                # What it prints is the issuer; where it listens is its port.
                httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{place.settings['BROKER_PORT']}",
                    trust_env=False,
                    limits=limits,
                    timeout=60,
                )
                for place in places
            ]
            for http in https:
                await clients.enter_async_context(http)
            yield provider, running, https


async def test_three_of_128_calls_are_let_through_and_what_is_revoked_ends_at_all(places: list[Installation]) -> None:
    script = Provider()
    async with serving(places, script) as (provider, _, https):
        hold = await _hold_of_one(places[0], https[0])
        for seed in range(SEEDS):
            granted = await asyncio.to_thread(lambda: places[0].grant(budget=dollars(3 * hold)))
            provider.asked.clear()
            statuses = await _burst(https, script, granted, seed)
            assert (statuses.count(200), statuses.count(402)) == (3, CALLS - 3), seed
            assert len(provider.asked) == 3, seed
        script.go_on.clear()
        await _revoke_while_streaming(places, https)
    assert (await asyncio.to_thread(places[2].broker, "ledger", "verify")).startswith("OK: ")


async def _revoke_while_streaming(places: list[Installation], https: list[httpx.AsyncClient]) -> None:
    granted = await asyncio.to_thread(places[0].grant)
    async with AsyncExitStack() as streams:
        open_ones = [await streams.enter_async_context(_stream(http, granted)) for http in https]
        endings = [asyncio.create_task(_ending(stream)) for stream in open_ones]
        await asyncio.to_thread(places[1].broker, "grant", "revoke", granted.grant_id)
        said = await asyncio.wait_for(asyncio.gather(*endings), CUT_WITHIN)
    assert all(b"error" in each for each in said)
    refused = [await http.post(PATH, json=ASK, headers=_bearer(granted)) for http in https]
    assert [each.status_code for each in refused] == [401] * 3


async def _burst(https: list[httpx.AsyncClient], script: Provider, granted: Granted, seed: int) -> list[int]:
    """The provider answers once every call that it did not get has been refused."""
    chance, left = random.Random(seed), CALLS - 3
    script.go_on.clear()

    async def one(http: httpx.AsyncClient) -> int:
        nonlocal left
        await asyncio.sleep(chance.random() * 0.05)
        answered = await http.post(PATH, json=ASK, headers=_bearer(granted))
        left -= answered.status_code != 200
        if left <= 0:
            script.go_on.set()
        return answered.status_code

    return list(await asyncio.gather(*(one(https[number % 3]) for number in range(CALLS))))


async def test_a_new_broker_ends_no_call_of_another_and_settles_those_of_a_dead_one(places: list[Installation]) -> None:
    script = Provider()
    async with serving(places[:1], script) as (_, (first,), (http,)):
        granted = await asyncio.to_thread(places[0].grant)
        async with _stream(http, granted):
            held = await asyncio.to_thread(_money, places[0], granted)
            assert held["held"] > 0
            async with serving(places[1:2], script) as (_, _, (other,)):
                assert await asyncio.to_thread(_money, places[1], granted) == held
                first.process.send_signal(signal.SIGKILL)
                settled = await asyncio.to_thread(eventually, lambda: _at_rest(places[1], granted), within=45)
                assert (settled["settled"], settled["overrun"]) == (held["held"], 0)
                script.go_on.set()
                assert (await other.post(PATH, json=ASK, headers=_bearer(granted))).status_code == 200
    assert (await asyncio.to_thread(places[1].broker, "ledger", "verify")).startswith("OK: ")


async def _hold_of_one(place: Installation, http: httpx.AsyncClient) -> int:
    poor = await asyncio.to_thread(lambda: place.grant(budget=dollars(1)))
    return int((await http.post(PATH, json=ASK, headers=_bearer(poor))).json()["error"]["required"])


@asynccontextmanager
async def _stream(http: httpx.AsyncClient, granted: Granted) -> AsyncIterator[httpx.Response]:
    """One that has begun."""
    async with http.stream("POST", PATH, json=ASK | {"stream": True}, headers=_bearer(granted)) as answered:
        assert answered.status_code == 200
        yield answered


async def _ending(answered: httpx.Response) -> bytes:
    return b"".join([piece async for piece in answered.aiter_bytes()])


def _bearer(granted: Granted) -> dict[str, str]:
    return {"authorization": f"Bearer {granted.token}"}


def _money(place: Installation, granted: Granted) -> Any:
    return place.show(granted.grant_id)["access"][0]["budget"]


def _at_rest(place: Installation, granted: Granted) -> Any:
    budget = _money(place, granted)
    return budget if budget["held"] == 0 else None
