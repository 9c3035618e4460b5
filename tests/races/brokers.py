"""Several brokers, as on several machines: folders and ports of their own, one database, one issuer, one master key."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.fake_provider import Asked, FakeProvider, chunk, completion, delta, event, fake_provider, head, whole
from tests.serve.installation import ASK, Granted, Installation, dollars
from tests.serve.running import Running

CALLS = 128
PATH = "/proxy/openai/v1/chat/completions"


def installed(shared: Path, url: str, *names: str, **settings: str) -> list[Installation]:
    """One for each name; a person, their key and an app are in the database."""
    common = {
        "BROKER_DATABASE_URL": url,
        "BROKER_ISSUER": "http://127.0.0.1:65000",
        "BROKER_MASTER_KEY_FILE": str(shared / "master.key"),
        **settings,
    }
    made = [Installation(_folder(shared / name), dict(common)) for name in names]
    made[0].furnish()
    for other in made[1:]:
        other.client_id = made[0].client_id
    return made


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
            yield provider, running, [await clients.enter_async_context(_client(place)) for place in places]


def _client(place: Installation) -> httpx.AsyncClient:
    # What it prints is the issuer; where it listens is its port.
    address = f"http://127.0.0.1:{place.settings['BROKER_PORT']}"
    return httpx.AsyncClient(base_url=address, trust_env=False, limits=httpx.Limits(max_connections=CALLS), timeout=60)


async def call(http: httpx.AsyncClient, granted: Granted) -> httpx.Response:
    return await http.post(PATH, json=ASK, headers=_bearer(granted))


@asynccontextmanager
async def stream(http: httpx.AsyncClient, granted: Granted) -> AsyncIterator[httpx.Response]:
    """One that has begun."""
    async with http.stream("POST", PATH, json=ASK | {"stream": True}, headers=_bearer(granted)) as answered:
        assert answered.status_code == 200
        yield answered


async def ending(answered: httpx.Response) -> bytes:
    return b"".join([piece async for piece in answered.aiter_bytes()])


def _bearer(granted: Granted) -> dict[str, str]:
    return {"authorization": f"Bearer {granted.token}"}


async def hold_of_one(place: Installation, http: httpx.AsyncClient) -> int:
    poor = await asyncio.to_thread(lambda: place.grant(budget=dollars(1)))
    return int((await call(http, poor)).json()["error"]["required"])


def kill(server: Running) -> None:
    """All of its processes at once, as when its machine loses power."""
    for pid in (server.process.pid, *server.workers()):
        os.kill(pid, signal.SIGKILL)


def money(place: Installation, granted: Granted) -> Any:
    return place.show(granted.grant_id)["access"][0]["budget"]


def at_rest(place: Installation, granted: Granted) -> Any:
    budget = money(place, granted)
    return budget if budget["held"] == 0 else None
