"""Signing keys rotate while two workers serve calls: every worker follows by itself, and no call notices."""

import asyncio
from functools import partial
from pathlib import Path

import httpx

from tests.fake_provider import answer_chat, fake_provider
from tests.serve.installation import ASK, Installation
from tests.serve.running import Running, eventually

LOOKS = 16
"""As many new connections as it takes to have asked both workers, whichever takes which."""


ANEW = httpx.Limits(max_keepalive_connections=0)
"""A connection for each request."""


def ask(http: httpx.Client, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return http.post("/proxy/openai/v1/chat/completions", json=ASK, headers=headers).status_code


def kids(http: httpx.Client) -> set[str]:
    return {key["kid"] for key in http.get("/.well-known/jwks.json").json()["keys"]}


def everywhere(http: httpx.Client, kid: str) -> bool:
    return all(kid in kids(http) for _ in range(LOOKS))


async def test_two_workers_follow_a_rotation_and_drop_a_leaked_key_at_once(tmp_path: Path) -> None:
    async with fake_provider(answer_chat) as provider:
        settings = {"BROKER_PROVIDER_OPENAI_BASE_URL": provider.url, "BROKER_WORKERS": "2"}
        place = Installation(tmp_path, settings)
        await asyncio.to_thread(place.furnish)
        token = (await asyncio.to_thread(place.grant)).token
        with place.serving() as server, _calling(server) as http:
            rotating = asyncio.create_task(asyncio.to_thread(_rotate, place, http))
            seen: list[int] = []
            while not rotating.done() or len(seen) < LOOKS:
                seen.append(await asyncio.to_thread(ask, http, token))
            await rotating
            assert set(seen) == {200}
            kid = (await asyncio.to_thread(place.json, "signing", "rotate", "--at-once"))["kid"]
            assert await asyncio.to_thread(everywhere, http, kid)
            refused = [await asyncio.to_thread(ask, http, token) for _ in range(LOOKS)]
            assert set(refused) == {401}
            again = (await asyncio.to_thread(place.grant)).token
            taken = [await asyncio.to_thread(ask, http, again) for _ in range(LOOKS)]
            assert set(taken) == {200}
    assert (await asyncio.to_thread(place.broker, "ledger", "verify")).startswith("OK")


def _calling(server: Running) -> httpx.Client:
    return httpx.Client(base_url=server.address, trust_env=False, timeout=30, limits=ANEW)


def _rotate(place: Installation, http: httpx.Client) -> None:
    """Twice, with each key seen by all workers before the next is made."""
    for _ in range(2):
        kid = place.json("signing", "rotate")["kid"]
        eventually(partial(everywhere, http, kid), within=60)
