"""Calls that end in every way while the broker itself is killed: each is settled once, within its bound."""

import asyncio
import os
import random
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fake_provider import (
    DONE,
    LAST_CHUNK,
    Asked,
    FakeProvider,
    chunk,
    completion,
    delta,
    event,
    fake_provider,
    head,
    usage,
    usage_event,
    whole,
)
from tests.serve.installation import ASK, Granted, Installation, dollars
from tests.serve.running import Running, eventually

ROUNDS = int(os.environ.get("PROOF_ROUNDS", "4"))
CALLS = 50
KINDS = ("whole", "stream", "429", "500", "cut", "garbage", "no usage", "negative usage", "slow", "slow stream")
ERROR = {"error": {"message": "no", "type": "x", "param": None, "code": None}}


async def misbehave(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Does what the request names."""
    kind = asked.json()["user"]
    if kind in ("429", "500"):
        writer.write(whole(ERROR, int(kind)))
    elif kind == "cut":
        writer.write(head(200, "text/event-stream") + chunk(event(delta("half"))))
        writer.close()
    elif kind == "garbage":
        writer.write(head(200, "text/html", 6) + b"<html>")
    elif "stream" in kind:
        await _stream(writer, pause=0.3 if kind == "slow stream" else 0)
    else:
        await asyncio.sleep(0.5 if kind == "slow" else 0)
        used = {"no usage": "none", "negative usage": usage(-5, 5)}.get(kind, usage())
        writer.write(whole(completion(used=used)))
    if not writer.is_closing():
        await writer.drain()


async def _stream(writer: asyncio.StreamWriter, pause: float) -> None:
    writer.write(head(200, "text/event-stream"))
    for _ in range(5):
        writer.write(chunk(event(delta("word"))))
        await writer.drain()
        await asyncio.sleep(pause)
    writer.write(chunk(event(usage_event())) + chunk(DONE) + LAST_CHUNK)


async def _call(http: httpx.AsyncClient, granted: Granted, chance: random.Random) -> None:
    """One call whose app may hang up; that the broker dies meanwhile is no fault of the test."""
    kind = chance.choice(KINDS)
    body = ASK | {"user": kind, "stream": "stream" in kind or kind == "cut"}
    await asyncio.sleep(chance.random() * 0.6)
    try:
        async with asyncio.timeout(chance.choice([0.05, 0.4, 20, 20])):
            await http.post(
                "/proxy/openai/v1/chat/completions", json=body, headers={"authorization": f"Bearer {granted.token}"}
            )
    except (httpx.TransportError, TimeoutError):
        pass


def _kill(server: Running, chance: random.Random) -> None:
    """Either a worker, which its parent replaces, or all of it."""
    if chance.random() < 0.5:
        os.kill(chance.choice(server.workers()), signal.SIGKILL)
    else:
        server.process.kill()


async def _round(place: Installation, provider: FakeProvider, granted: Granted, seed: int) -> None:
    chance = random.Random(seed)
    with place.serving() as server:
        limits = httpx.Limits(max_connections=CALLS)
        async with httpx.AsyncClient(base_url=server.address, trust_env=False, limits=limits, timeout=30) as http:
            before = len(provider.asked)
            calls = asyncio.gather(*(_call(http, granted, chance) for _ in range(CALLS)))
            while len(provider.asked) < before + 5 and not calls.done():  # noqa: ASYNC110 - the fake says it by a list
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.random() / 2)
            _kill(server, chance)
            await calls


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_call_is_settled_once_though_the_broker_is_killed(tmp_path: Path, workers: str) -> None:
    asyncio.run(_prove(Installation(tmp_path, {"BROKER_CALL_LEASE_SECONDS": "2", "BROKER_WORKERS": workers})))


async def _prove(place: Installation) -> None:
    async with fake_provider(misbehave) as provider:
        place.settings["BROKER_PROVIDER_OPENAI_BASE_URL"] = provider.url
        await asyncio.to_thread(place.furnish)
        granted = await asyncio.to_thread(lambda: place.grant(budget=dollars(5_000_000), max_requests=10_000))
        for seed in range(ROUNDS):
            await _round(place, provider, granted, seed)
        with place.serving():
            access = await asyncio.to_thread(eventually, lambda: _at_rest(place, granted), within=60)
        verdict = await asyncio.to_thread(place.broker, "ledger", "verify")
    assert access["budget"]["settled"] <= access["budget"]["limit"]
    assert access["budget"]["overrun"] == 0
    assert verdict.startswith("OK: ")
    assert int(verdict.split()[1]) >= len(provider.asked) > 0


def _at_rest(place: Installation, granted: Granted) -> Any:
    access = place.show(granted.grant_id)["access"][0]
    return access if access["budget"]["held"] == 0 else None
