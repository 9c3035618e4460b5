"""What may be used once is used once, however many ask at once, in whichever process they arrive."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from broker.oauth.grant_types import DEVICE_CODE
from tests.browser import Browser
from tests.serve.installation import DETAILS, Installation
from tests.stores import database

CALLBACK = "http://127.0.0.1/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(params=["sqlite", "postgresql"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation of two workers, each a process of its own."""
    settings = {"BROKER_WORKERS": "2", "BROKER_SQLITE_SYNCHRONOUS": "normal"}
    if request.param == "sqlite":
        made = Installation(tmp_path, settings)
        await asyncio.to_thread(made.furnish)
        yield made
        return
    with database(request.getfixturevalue("server")) as url:
        made = Installation(tmp_path, settings | {"BROKER_DATABASE_URL": url})
        await asyncio.to_thread(made.furnish)
        yield made


@asynccontextmanager
async def everywhere(address: str, most: int) -> AsyncIterator[list[httpx.AsyncClient]]:
    """So many connections, open before anybody asks."""
    clients = [httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) for _ in range(most)]
    await asyncio.gather(*(client.get("/health/live") for client in clients))
    yield clients
    for client in clients:
        await client.aclose()


def request_for(place: Installation) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": place.client_id,
        "redirect_uri": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "authorization_details": json.dumps([DETAILS]),
    }


async def at_consent(place: Installation, browser: Browser) -> str:
    """A pushed request, opened by a person who is signed in then; gives its request_uri."""
    pushed = (await browser.client.post("/oauth/par", data=request_for(place))).json()["request_uri"]
    await browser.go(str(httpx.URL("/oauth/authorize", params={"client_id": place.client_id, "request_uri": pushed})))
    await browser.press("Sign in", email="ana@example.com", password="violet-kettle-orbit-47")
    return str(pushed)


def code_in(browser: Browser) -> str:
    links = [href for text, href in browser.page.links if text.startswith("Continue to")]
    return parse_qs(urlsplit(links[0]).query)["code"][0]


async def test_a_request_uri_a_code_and_a_refresh_token_are_each_used_once(place: Installation) -> None:
    with place.serving() as server:
        async with everywhere(server.address, 50) as clients:
            browser = Browser(clients[0], server.address)
            pushed = await at_consent(place, browser)
            await approve_twenty_times(place, browser, clients[:20], pushed)
            code = code_in(browser)

            fields = {"client_id": place.client_id}
            exchange = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER} | fields
            answers = await asyncio.gather(*(client.post("/oauth/token", data=exchange) for client in clients))
            assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 49}
            assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}

            # The first family ended with the replay of its code (RFC 6749 §4.1.2), so another is made.
            await at_once_refreshed(place, server.address, clients)


async def test_a_device_is_answered_once_and_its_polls_are_timed_over_all_workers(place: Installation) -> None:
    with place.serving() as server:
        async with everywhere(server.address, 20) as clients:
            asked = {"client_id": place.client_id, "authorization_details": json.dumps([DETAILS])}
            codes = (await clients[0].post("/oauth/device_authorization", data=asked)).json()
            fields = {"grant_type": DEVICE_CODE, "client_id": place.client_id, "device_code": codes["device_code"]}
            early = await asyncio.gather(*(client.post("/oauth/token", data=fields) for client in clients))
            assert Counter(answer.json()["error"] for answer in early) == {"authorization_pending": 1, "slow_down": 19}

            browser = Browser(clients[0], server.address)
            await browser.go(codes["verification_uri_complete"].removeprefix(server.address))
            await browser.press("Sign in", email="ana@example.com", password="violet-kettle-orbit-47")
            await browser.press("Continue")
            await browser.press("Approve")
            assert browser.page.h1 == "Your device is connected"

            answers = await asyncio.gather(*(client.post("/oauth/token", data=fields) for client in clients))
            assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 19}
            assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
            (won,) = (answer.json() for answer in answers if answer.status_code == 200)
            headers = {"authorization": f"Bearer {won['access_token']}"}
            status = await asyncio.gather(*(client.get("/proxy/status", headers=headers) for client in clients))
            assert {answer.status_code for answer in status} == {200}


async def approve_twenty_times(
    place: Installation, browser: Browser, clients: list[httpx.AsyncClient], pushed: str
) -> None:
    """The request opened and approved by twenty at once makes one grant and one code."""
    cookies = browser.client.cookies
    opened = {"client_id": place.client_id, "request_uri": pushed}
    for client in clients:
        client.cookies = cookies
    seen = await asyncio.gather(*(client.get("/oauth/authorize", params=opened) for client in clients))
    assert {answer.headers["location"] for answer in seen} == {browser.path}
    pairs = browser._form_with("Approve").filled("Approve", {})
    headers = {"sec-fetch-site": "same-origin", "origin": browser.url}
    approved = await asyncio.gather(
        *(client.post(browser.path, data=dict(pairs), headers=headers) for client in clients)
    )
    assert all(answer.status_code < 500 for answer in approved)
    assert len(await asyncio.to_thread(place.json, "grant", "list")) == 1
    await browser.go(f"{browser.path}/done")


async def at_once_refreshed(place: Installation, address: str, clients: list[httpx.AsyncClient]) -> None:
    browser = Browser(clients[0], address)
    await browser.go(str(httpx.URL("/oauth/authorize", params=request_for(place))))
    await browser.press("Reconnect")
    fields = {"client_id": place.client_id}
    exchange = {"grant_type": "authorization_code", "code": code_in(browser), "code_verifier": VERIFIER} | fields
    first = (await clients[0].post("/oauth/token", data=exchange)).json()["refresh_token"]
    refresh = {"grant_type": "refresh_token", "refresh_token": first} | fields
    answers = await asyncio.gather(*(client.post("/oauth/token", data=refresh) for client in clients))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 49}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
