"""The master key is rotated while calls run: a worker follows by itself, and no value is out of reach for a moment."""

import asyncio
from pathlib import Path

import httpx

from tests.fake_provider import answer_chat, fake_provider
from tests.serve.installation import ASK, Installation

ANEW = httpx.Limits(max_keepalive_connections=0)
"""A connection for each request, so that both workers are asked."""
CALLS_AFTER = 16


async def test_two_workers_answer_calls_before_during_and_after_each_rotation(tmp_path: Path) -> None:
    async with fake_provider(answer_chat) as provider:
        place = Installation(tmp_path, {"BROKER_PROVIDER_OPENAI_BASE_URL": provider.url, "BROKER_WORKERS": "2"})
        await asyncio.to_thread(place.furnish)
        granted = await asyncio.to_thread(place.grant)
        first = (tmp_path / "data" / "master.key").read_bytes()
        with (
            place.serving() as server,
            httpx.Client(base_url=server.address, trust_env=False, timeout=30, limits=ANEW) as http,
        ):
            assert await asyncio.to_thread(_ask, http, granted.token) == 200
            for words in ((), ("--add",), ("--keep-old",), ("--drop",)):
                rotating = asyncio.create_task(asyncio.to_thread(place.json, "vault", "rotate", *words))
                seen: list[int] = []
                while not rotating.done():
                    seen.append(await asyncio.to_thread(_ask, http, granted.token))
                await rotating
                seen += [await asyncio.to_thread(_ask, http, granted.token) for _ in range(CALLS_AFTER)]
                assert set(seen) == {200}, words
            assert (await asyncio.to_thread(server.get, "/health/ready")).status_code == 200
        assert (tmp_path / "data" / "master.key").read_bytes() != first
        with place.serving() as server, httpx.Client(base_url=server.address, trust_env=False, timeout=30) as http:
            assert await asyncio.to_thread(_ask, http, granted.token) == 200


def _ask(http: httpx.Client, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return http.post("/proxy/openai/v1/chat/completions", json=ASK, headers=headers).status_code
