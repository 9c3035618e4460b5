"""A proof of possession is taken once: over all processes of a server, and by the server that is started after it."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.oauth.prover import Prover
from tests.serve.installation import DETAILS, Installation

AT_ONCE = 40
PROVER = Prover()


async def at_once(
    http: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], **sent: Any
) -> Counter[int]:
    """How often each status came to one request on many connections."""
    asked = (http.request(method, path, headers=headers, **sent) for _ in range(AT_ONCE))
    return Counter(answer.status_code for answer in await asyncio.gather(*asked))


@contextmanager
def serving(place: Installation) -> Iterator[httpx.AsyncClient]:
    with place.serving() as server:
        limits = httpx.Limits(max_connections=AT_ONCE)
        yield httpx.AsyncClient(base_url=server.address, trust_env=False, limits=limits, timeout=60)


def proof(place: Installation, path: str, method: str = "POST", token: str | None = None) -> str:
    issuer = f"http://127.0.0.1:{place.settings['BROKER_PORT']}"
    return PROVER.proof(int(time.time() * 1_000_000), issuer + path, method, token=token)


def service(place: Installation) -> dict[str, str]:
    """The fields by which a client, that the operator gave a grant, asks for a token."""
    added = place.json("client", "add", "Nightly Report")
    who = ("--user", "ana@example.com", "--client", added["client_id"])
    place.json("grant", "add", *who, "--details", "-", stdin=json.dumps([DETAILS]))
    return {"grant_type": "client_credentials", **added}


async def test_x01_a_proof_is_taken_once_by_all_processes_and_after_a_restart(tmp_path: Path) -> None:
    place = Installation(
        tmp_path, {"BROKER_WORKERS": "2", "BROKER_SQLITE_SYNCHRONOUS": "normal", "BROKER_DPOP_WINDOW_SECONDS": "600"}
    )
    await asyncio.to_thread(place.furnish)
    form = await asyncio.to_thread(service, place)
    with serving(place) as client:
        async with client as http:
            asked = proof(place, "/oauth/token")
            told = await at_once(http, "POST", "/oauth/token", {"dpop": asked}, data=form)
            assert told == {200: 1, 400: AT_ONCE - 1}

            fresh = {"dpop": proof(place, "/oauth/token")}
            token = (await http.post("/oauth/token", data=form, headers=fresh)).json()["access_token"]
            headers = {"authorization": f"DPoP {token}", "dpop": proof(place, "/proxy/status", "GET", token)}
            assert await at_once(http, "GET", "/proxy/status", headers) == {200: 1, 401: AT_ONCE - 1}

    with serving(place) as client:
        async with client as http:
            assert await at_once(http, "GET", "/proxy/status", headers) == {401: AT_ONCE}
            assert await at_once(http, "POST", "/oauth/token", {"dpop": asked}, data=form) == {400: AT_ONCE}
            headers |= {"dpop": proof(place, "/proxy/status", "GET", token)}
            assert await at_once(http, "GET", "/proxy/status", headers) == {200: 1, 401: AT_ONCE - 1}
