"""No money is spent twice: two workers, one file, 128 calls at once, and a budget for three."""

import asyncio
import os
import random
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fake_provider import Asked, FakeProvider, completion, fake_provider, whole
from tests.serve.installation import ASK, Granted, Installation, dollars
from tests.serve.running import eventually

CALLS = 128
SEEDS = int(os.environ.get("PROOF_SEEDS", "5"))
"""`make prove` asks for 50."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("overspend"), {"BROKER_WORKERS": "2"})


class Gate:
    """A provider that holds every answer until all calls are judged."""

    def __init__(self) -> None:
        self.judged = asyncio.Event()

    async def __call__(self, _asked: Asked, writer: asyncio.StreamWriter) -> None:
        await self.judged.wait()
        writer.write(whole(completion()))
        await writer.drain()


async def _burst(http: httpx.AsyncClient, gate: Gate, provider: FakeProvider, granted: Granted, seed: int) -> list[int]:
    """The statuses of all calls; the provider answers once every call it did not get has been refused."""
    chance = random.Random(seed)
    provider.asked.clear()
    gate.judged.clear()
    left = CALLS - 3

    async def one(pause: float) -> int:
        nonlocal left
        await asyncio.sleep(pause)
        answered = await http.post("/proxy/openai/v1/chat/completions", json=ASK, headers=_bearer(granted))
        if answered.status_code != 200:
            left -= 1
        if left <= 0:
            gate.judged.set()
        return answered.status_code

    return list(await asyncio.gather(*(one(chance.random() * 0.05) for _ in range(CALLS))))


def _bearer(granted: Granted) -> dict[str, str]:
    return {"authorization": f"Bearer {granted.token}"}


def test_exactly_three_of_128_calls_at_once_reach_the_provider(place: Installation) -> None:
    asyncio.run(_prove(place))


async def _prove(place: Installation) -> None:
    gate = Gate()
    async with fake_provider(gate) as provider:
        place.settings["BROKER_PROVIDER_OPENAI_BASE_URL"] = provider.url
        await asyncio.to_thread(place.furnish)
        with place.serving() as server:
            limits = httpx.Limits(max_connections=CALLS)
            async with httpx.AsyncClient(base_url=server.address, trust_env=False, limits=limits, timeout=60) as http:
                hold = await _hold_of_one(place, http)
                for seed in range(SEEDS):
                    granted = await asyncio.to_thread(lambda: place.grant(budget=dollars(3 * hold)))
                    statuses = await _burst(http, gate, provider, granted, seed)
                    assert (statuses.count(200), statuses.count(402)) == (3, CALLS - 3), seed
                    assert len(provider.asked) == 3, seed
                    await asyncio.to_thread(_check_books, place, granted)
        verdict = await asyncio.to_thread(place.broker, "ledger", "verify")
    assert verdict.startswith(f"OK: {3 * SEEDS} calls")


async def _hold_of_one(place: Installation, http: httpx.AsyncClient) -> int:
    poor = await asyncio.to_thread(lambda: place.grant(budget=dollars(1)))
    answered = await http.post("/proxy/openai/v1/chat/completions", json=ASK, headers=_bearer(poor))
    assert answered.status_code == 402
    return int(answered.json()["error"]["required"])


def _check_books(place: Installation, granted: Granted) -> None:
    def at_rest() -> Any:
        budget = place.show(granted.grant_id)["access"][0]["budget"]
        return budget if budget["held"] == 0 else None

    budget = eventually(at_rest, within=60)
    assert budget["settled"] + budget["held"] <= budget["limit"]
    assert budget["settled"] == 3 * 5
    assert _over(place.folder / "data" / "broker.db") == 0


def _over(database: Path) -> int:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        query = 'SELECT count(*) FROM counter WHERE settled + held > "limit"'
        (count,) = connection.execute(query).fetchone()
    connection.close()
    return int(count)
