"""Fifty calls at once under one Idempotency-Key: exactly one reaches the provider, whoever is asked."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.races.brokers import PATH, Provider, installed, kill, serving
from tests.serve.installation import ASK, Granted, Installation
from tests.serve.running import Running, eventually
from tests.stores import database

CALLS = 50
SEEDS = 3


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Installation]]:
    """Two workers on one file, or two brokers on one database."""
    if request.param == "sqlite":
        place = Installation(tmp_path, {"BROKER_WORKERS": "2", "BROKER_CALL_LEASE_SECONDS": "6"})
        place.furnish()
        yield [place]
        return
    with database(request.getfixturevalue("server")) as url:
        yield installed(tmp_path, url, "one", "two")


def _keyed(http: httpx.AsyncClient, granted: Granted, key: str, **more: Any) -> Any:
    headers = {"authorization": f"Bearer {granted.token}", "idempotency-key": key}
    return http.post(PATH, json=ASK | more, headers=headers)


async def test_one_of_fifty_runs(places: list[Installation]) -> None:
    script = Provider()
    async with serving(places, script) as (provider, _, https):
        granted = await asyncio.to_thread(places[0].grant)
        for seed in range(SEEDS):
            provider.asked.clear()
            script.go_on.clear()
            left = CALLS - 1

            async def one(number: int, key: str) -> httpx.Response:
                nonlocal left
                answered: httpx.Response = await _keyed(https[number % len(https)], granted, key)
                left -= answered.status_code == 409
                if left == 0:
                    script.go_on.set()
                return answered

            answers = await asyncio.gather(*(one(number, f"key-{seed}") for number in range(CALLS)))
            assert Counter(each.status_code for each in answers) == {200: 1, 409: CALLS - 1}
            assert {each.json()["error"]["code"] for each in answers if each.status_code == 409} == {"in_progress"}
            assert len(provider.asked) == 1
            assert (await _after(https[0], granted, f"key-{seed}"))["mark"] == "reported"
    assert (await asyncio.to_thread(places[0].broker, "ledger", "verify")).startswith(f"OK: {SEEDS} calls")


async def test_a_call_whose_process_died_has_run(tmp_path: Path) -> None:
    place = Installation(tmp_path, {"BROKER_WORKERS": "2", "BROKER_CALL_LEASE_SECONDS": "6"})
    await asyncio.to_thread(place.furnish)
    granted, script = await asyncio.to_thread(place.grant), Provider()
    async with serving([place], script) as (provider, (server,), (http,)):
        running = asyncio.create_task(_keyed(http, granted, "k"))
        await asyncio.to_thread(eventually, lambda: provider.asked, within=60)
        _end(server)
        with pytest.raises(httpx.HTTPError):
            await running
    async with serving([place], script) as (provider, _, (http,)):
        assert (await _after(http, granted, "k"))["mark"] == "unresolved"
        assert provider.asked == []
    with closing(sqlite3.connect(tmp_path / "data" / "broker.db")) as db:
        assert db.execute("SELECT mark FROM reservation").fetchall() == [("unresolved",)]


async def _after(http: httpx.AsyncClient, granted: Granted, key: str) -> dict[str, Any]:
    """What is said of the call once it is settled: its answer was not kept waiting for that."""
    error = (await _keyed(http, granted, key)).json()["error"]
    for _ in range(600):
        if error["code"] != "in_progress":
            break
        await asyncio.sleep(0.05)
        error = (await _keyed(http, granted, key)).json()["error"]
    assert error["code"] == "already_ran"
    return dict(error)


def _end(server: Running) -> None:
    kill(server)
    server.process.wait()
