"""PostgreSQL has no connection to give for a while: every door says so in its own shape, and opens again by itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.secret import Secret
from broker.start import asked
from broker.store import changes, migrate, postgresql
from broker.store.database import READERS, Database
from tests.browser import Browser
from tests.oauth.world import Registered
from tests.patience import promised
from tests.postgresql_server import Cluster
from tests.rights.place import Place, code_of, open_place
from tests.stores import Store

PATIENCE_MS = 2_000
"""For a connection of the pool, instead of five seconds."""
BACK_WITHIN = promised(10.0, beside_others=40.0)
MOST = 30
"""Connections that the server gives to all."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster.begun(max_connections=str(MOST)) as made:
        asked(migrate.upgrade_postgresql(made.url))
        yield made


@asynccontextmanager
async def opened(folder: Path, migrated: Path, url: str) -> AsyncIterator["Doors"]:
    async with open_place(folder, migrated, database_url=Secret(url)) as place:
        browser, client = await place.browser(await place.person()), await place.client()
        doors = Doors(place, browser, client, await place.granted(browser, client))
        await doors.open()
        yield doors


@dataclass
class Doors:
    """One of each kind: a page, an answer to an app, a list at the proxy, a call, and what a balancer asks."""

    place: Place
    browser: Browser
    client: Registered
    tokens: dict[str, Any]

    async def page(self) -> httpx.Response:
        return await self.browser.client.get("/grants")

    async def refresh(self) -> httpx.Response:
        fields = {"grant_type": "refresh_token", "refresh_token": self.tokens["refresh_token"]}
        answered = await self.place.post("/oauth/token", self.client, **fields)
        if answered.status_code == 200:
            self.tokens = answered.json()
        return answered

    async def models(self) -> httpx.Response:
        head = {"authorization": f"Bearer {self.tokens['access_token']}"}
        return await self.place.https[0].get("/proxy/first/v1/models", headers=head)

    async def call(self) -> httpx.Response:
        return await self.place.call(self.tokens["access_token"])

    async def ready(self) -> httpx.Response:
        return await self.place.https[0].get("/health/ready")

    async def answers(self) -> tuple[httpx.Response, ...]:
        return await asyncio.gather(self.page(), self.refresh(), self.models(), self.call(), self.ready())

    async def open(self) -> None:
        """Waits until each answers as it does on every day."""
        async with asyncio.timeout(BACK_WITHIN):
            while {answered.status_code for answered in await self.answers()} != {200}:  # noqa: ASYNC110 - nobody says it
                await asyncio.sleep(0.05)


def are_refused_in_their_shape(page: httpx.Response, refresh: httpx.Response, models: httpx.Response) -> None:
    assert (page.status_code, page.headers["retry-after"]) == (503, "1")
    assert "<h1>Broker does not answer</h1>" in page.text
    assert (refresh.status_code, refresh.json()["error"]) == (503, "temporarily_unavailable")
    assert (models.status_code, code_of(models), models.headers["retry-after"]) == (503, "unavailable", "1")


@asynccontextmanager
async def pool_taken(db: Database) -> AsyncIterator[None]:
    """By pages that take their time, and by a change that does."""
    go_on, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(tx: AsyncSession) -> None:
        await changes.count(tx)
        begun.release()
        await go_on.wait()

    taking = [asyncio.create_task(work(slow)) for work in (*[db.read] * READERS, db.write)]
    try:
        for _ in taking:
            await asyncio.wait_for(begun.acquire(), BACK_WITHIN)
        yield
    finally:
        go_on.set()
        await asyncio.gather(*taking)


async def test_while_all_of_its_pool_is_taken_pages_are_refused_and_calls_go_on(
    tmp_path: Path, migrated: Path, fresh_postgresql: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The books have a connection of their own."""
    monkeypatch.setattr("broker.start.Database", partial(Database, busy_ms=PATIENCE_MS))
    async with opened(tmp_path, migrated, fresh_postgresql.url) as doors:
        async with pool_taken(doors.place.db):
            page, refresh, models, call, ready = await doors.answers()
        are_refused_in_their_shape(page, refresh, models)
        assert call.status_code == 200
        assert ready.json()["status"] == "unavailable"
        await doors.open()


@asynccontextmanager
async def server_full(url: str) -> AsyncIterator[None]:
    """Somebody else has every connection; those that the broker had have ended."""
    taken: list[postgresql.Connection] = []
    try:
        async with asyncio.timeout(BACK_WITHIN):
            while len(taken) < MOST:
                with suppress(asyncpg.TooManyConnectionsError):
                    taken.append(await asyncpg.connect(postgresql.dsn(url)))
                    continue
                await taken[0].execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'broker'"
                )
        yield
    finally:
        for connection in taken:
            connection.terminate()


async def test_while_the_server_is_full_nothing_is_forwarded_and_then_all_goes_on(
    tmp_path: Path, migrated: Path, cluster: Cluster
) -> None:
    async with opened(tmp_path, migrated, cluster.url) as doors:
        before = len(doors.place.provider.asked)
        async with server_full(cluster.url):
            page, refresh, models, call, ready = await doors.answers()
        are_refused_in_their_shape(page, refresh, models)
        assert (call.status_code, code_of(call), call.headers["retry-after"]) == (503, "unavailable", "1")
        assert len(doors.place.provider.asked) == before
        assert ready.json()["status"] == "unavailable"
        await doors.open()
