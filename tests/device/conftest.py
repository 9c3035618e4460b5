"""The whole app: a device that asks, people with browsers, and a clock that can be turned."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.app import App, create_app
from broker.core.clock import DAY
from broker.core.handle import digest, new_id
from broker.core.secret import Secret
from broker.oauth.grant_types import DEVICE_CODE
from broker.settings import Settings
from broker.store import sessions
from broker.store.grant_tables import Grant
from broker.store.tables import Client, Credential, User
from tests.browser import Browser
from tests.stores import Store
from tests.turned_clock import NOON, TurnedClock
from tests.web_grants.lending import Lending

ISSUER = "http://127.0.0.1:8080"
WISH: dict[str, Any] = {
    "type": "ai_model_access",
    "provider": "openai",
    "models": ["gpt-4.1-mini"],
    "actions": ["chat"],
    "budget": {"amount": "5.00", "currency": "USD"},
    "expires_in": 86_400,
}


@dataclass
class House:
    app: App
    settings: Settings
    clock: TurnedClock
    http: httpx.AsyncClient
    lending: Lending
    opened: list[Browser] = field(default_factory=list)

    async def person(self, name: str, address: str = "127.0.0.1") -> Browser:
        """A user with a browser of their own, signed in."""
        user = await self.lending.user(name, NOON)
        browser = self.browser(address)
        handle, now = new_id("ses"), self.clock()
        await self.lending.db.write(lambda tx: sessions.add(tx, digest(handle), user.id, now, now + DAY))
        browser.client.cookies.set("__Host-broker" if self.settings.secure else "broker", handle)
        return browser

    def browser(self, address: str = "127.0.0.1") -> Browser:
        """Nobody has signed in with it."""
        self.opened.append(Browser.on(self.app, self.settings.public_url, address=address))
        return self.opened[-1]

    async def ask(self, client: Client, **changed: str) -> dict[str, Any]:
        """The codes of a device of this client that waits."""
        fields = {"client_id": client.id, "authorization_details": json.dumps([WISH]), **changed}
        answer = await self.http.post("/oauth/device_authorization", data=fields)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def poll(self, client: Client, device_code: str) -> dict[str, Any]:
        fields = {"grant_type": DEVICE_CODE, "client_id": client.id, "device_code": device_code}
        body: dict[str, Any] = (await self.http.post("/oauth/token", data=fields)).json()
        return body

    async def grants(self) -> list[Grant]:
        async def work(tx: AsyncSession) -> list[Grant]:
            return list((await tx.exec(select(Grant))).all())

        return await self.lending.db.read(work)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, issuer=ISSUER, sqlite_synchronous="normal")


@pytest.fixture
async def house(settings: Settings, page_store: Store) -> AsyncIterator[House]:
    if page_store.is_postgresql:
        settings = settings.model_copy(update={"database_url": Secret(page_store.url)})
    clock = TurnedClock()
    app = await create_app(settings, clock=clock, environ={})
    await app.start()
    transport = httpx.ASGITransport(app, client=("203.0.113.7", 40_000))
    async with httpx.AsyncClient(transport=transport, base_url=settings.public_url) as http:
        made = House(app, settings, clock, http, Lending(app._parts.db, app._parts.vault))
        yield made
        for browser in made.opened:
            await browser.close()
    await app.stop()


@pytest.fixture
async def cli(house: House) -> Client:
    return await house.lending.client("Draft CLI", redirect_uris="[]", address="https://draft.example")


@pytest.fixture
async def ana(house: House) -> Browser:
    return await house.person("ana")


@pytest.fixture
async def key(house: House, ana: Browser) -> Credential:
    async def find(tx: AsyncSession) -> User:
        return (await tx.exec(select(User).where(User.email == "ana@example.com"))).one()

    return await house.lending.key(await house.lending.db.read(find), NOON)
