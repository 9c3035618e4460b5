"""The whole program twice on one database, a provider behind it, and in front of it people and apps."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.app import App, create_app
from broker.core.clock import DAY
from broker.core.handle import digest, new_id
from broker.core.secret import Secret
from broker.identity.passwords import Passwords
from broker.identity.users import add_user
from broker.oauth.clients import register_client
from broker.providers.fetch import Fetch
from broker.store import own_prices, providers, sessions
from broker.store.database import Database
from broker.store.ledger_tables import Reservation
from broker.store.tables import OwnPrice, Provider, User
from broker.vault.credentials import add_credential
from tests.browser import Browser
from tests.canary import KEY
from tests.fake_provider import Asked, FakeProvider, completion, fake_provider, usage, whole
from tests.html import Page
from tests.oauth.world import CALLBACK, CHALLENGE, VERIFIER, Registered, present
from tests.plain_settings import settings_of
from tests.turned_clock import TurnedClock

ISSUER = "http://127.0.0.1:8080"
PASSWORD = "violet-kettle-orbit-47"
PROVIDERS = ("first", "second")
MODELS = ("alpha", "beta", "gamma")
USED = usage(100, 50)
"""The tokens of each call; what is written costs twice what is read does."""

WISH: dict[str, Any] = {
    "type": "ai_model_access",
    "provider": "first",
    "models": ["alpha"],
    "actions": ["chat"],
    "budget": {"amount": "5.00", "currency": "USD"},
    "expires_in": 86_400,
}


@dataclass
class Place:
    """`workers` share nothing but the database; whatever is asked for goes to the first unless another is named."""

    workers: list[App]
    clock: TurnedClock
    provider: FakeProvider
    https: list[httpx.AsyncClient]
    browsers: list[Browser] = field(default_factory=list)

    @property
    def db(self) -> Database:
        return self.workers[0]._parts.db

    async def prepare(self, price: int) -> None:
        async def work(tx: AsyncSession) -> None:
            for name in PROVIDERS:
                row = Provider(name=name, dialect="openai", base_url=self.provider.url, created_at=self.clock())
                await providers.save(tx, row)
                for model in MODELS:
                    own = OwnPrice(provider=name, model=model, created_at=1, input=price, output=2 * price)
                    await own_prices.add(tx, own)

        await self.db.write(work)

    async def person(self, name: str = "ana") -> User:
        """Someone with a password, and a key for each provider."""
        hashed = await Passwords.cheap().hash(Secret(PASSWORD))

        async def work(tx: AsyncSession) -> User:
            user = await add_user(tx, self.clock(), f"{name}@example.com", hashed)
            for provider in PROVIDERS:
                await add_credential(
                    tx,
                    self.workers[0]._parts.vault,
                    provider=provider,
                    key=Secret(KEY),
                    name="Personal",
                    user_id=user.id,
                    now=self.clock(),
                    by="x",
                )
            return user

        return await self.db.write(work)

    async def browser(self, user: User | None = None) -> Browser:
        """A window of its own, signed in as this person."""
        browser = Browser.on(self.workers[0], ISSUER)
        self.browsers.append(browser)
        if user is not None:
            handle, now = new_id("ses"), self.clock()
            await self.db.write(lambda tx: sessions.add(tx, digest(handle), user.id, now, now + 30 * DAY))
            browser.client.cookies.set("broker", handle)
        return browser

    async def client(self, *, public: bool = True) -> Registered:
        row, secret = await self.db.write(
            lambda tx: register_client(tx, self.clock(), "Acme Notes", public=public, redirect_uris=(CALLBACK,))
        )
        return Registered(row.id, None if secret is None else secret.reveal())

    async def ask(self, browser: Browser, client: Registered, *wishes: dict[str, Any], **asked: str) -> None:
        """The app sends the browser, which shows the consent page."""
        fields = {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "authorization_details": json.dumps(wishes or [WISH]),
        }
        await browser.go(f"/oauth/authorize?{urlencode(fields | asked)}")

    async def exchange(self, browser: Browser, client: Registered, **asked: str) -> dict[str, Any]:
        """The tokens of an approval that was just given, whose page leads back to the app."""
        (back,) = {href for _, href in browser.page.links if href.startswith(CALLBACK)}
        fields = {
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(back).query)["code"][0],
            "code_verifier": VERIFIER,
        }
        answer = await self.post("/oauth/token", client, **(fields | asked))
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def granted(self, browser: Browser, client: Registered, *wishes: dict[str, Any]) -> dict[str, Any]:
        await self.ask(browser, client, *wishes)
        await browser.press("Approve")
        return await self.exchange(browser, client)

    async def post(self, path: str, client: Registered, /, **fields: str | None) -> httpx.Response:
        return await self.https[0].post(path, data=present({**fields, **client.fields()}))

    async def call(
        self, token: str, model: str = "alpha", *, provider: str = "first", worker: int = 0
    ) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 60}
        headers = {"authorization": f"Bearer {token}"}
        return await self.https[worker].post(f"/proxy/{provider}/v1/chat/completions", json=body, headers=headers)

    async def runs(self) -> int:
        """How many calls are held."""
        return await self.db.read(_held)


async def _held(tx: AsyncSession) -> int:
    return (await tx.exec(select(func.count()).where(Reservation.state == "held"))).one()


async def _answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(whole(completion(used=USED)))
    await writer.drain()


@asynccontextmanager
async def open_place(
    folder: Path, migrated: Path, fetch: Fetch | None = None, *, price: int = 1_000_000, **chosen: Any
) -> AsyncIterator[Place]:
    """`price` in micro-dollars a million tokens read; `chosen` are settings."""
    clock = TurnedClock()
    shutil.copy(migrated, folder / "broker.db")
    settings = settings_of(data_dir=folder, issuer=ISSUER, sqlite_synchronous="normal", **chosen)
    async with fake_provider(_answer) as provider:
        workers = [await create_app(settings, clock=clock, environ={}, fetch=fetch) for _ in range(2)]
        https = [httpx.AsyncClient(transport=httpx.ASGITransport(worker), base_url=ISSUER) for worker in workers]
        place = Place(workers, clock, provider, https)
        await place.prepare(price)
        for worker in workers:
            await worker.start()
        yield place
        for browser in place.browsers:
            await browser.close()
        for worker in workers:
            await worker.stop()


async def press(browser: Browser, button: str, typed: dict[str, str | list[str]]) -> Page:
    """Fills in fields by name and presses the one button of that label."""
    (form,) = [form for form in browser.page.forms if any(each.label == button for each in form.buttons)]
    return await browser.submit(form, button, **typed)


def code_of(answer: httpx.Response) -> str:
    """Why a call was refused; empty for one that was not."""
    found = re.search(r'"code"\s*:\s*"([a-z_]+)"', answer.text)
    return found[1] if found and answer.status_code != 200 else ""
