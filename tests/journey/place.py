"""The whole program on loopback, with a clock that can be turned, a provider and an app that answer as told."""

import asyncio
import json
import shutil
import socket
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from hypercorn.config import Config
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.app import App, create_app
from broker.core.clock import DAY, from_seconds
from broker.core.handle import digest, new_id
from broker.demo.processes import hold_port
from broker.serve.http import serve_http
from broker.store import sessions
from broker.store.database import Database
from broker.store.grant_tables import Grant, GrantRequest
from broker.store.ledger_tables import Boot
from broker.store.tables import Client, User
from tests.chromium import needs_chromium
from tests.fake_provider import Asked, FakeProvider, answer_chat, fake_provider, head
from tests.plain_settings import settings_of
from tests.serve.running import PARSER
from tests.turned_clock import TurnedClock
from tests.web_grants.lending import Lending

IN_CHROMIUM = [needs_chromium, pytest.mark.asyncio(loop_scope="session")]

VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()

WINDOW = ViewportSize(width=1280, height=720)

WISH: dict[str, Any] = {
    "type": "ai_model_access",
    "provider": "openai",
    "models": ["gpt-4.1-mini", "text-embedding-3-small"],
    "actions": ["chat", "embeddings"],
    "budget": {"amount": "10.00", "currency": "USD"},
    "max_requests": 1000,
    "rate_limit": {"requests_per_minute": 30},
    "expires_in": 604_800,
    "purpose": "Summarise your meeting notes once a day.",
}


@dataclass
class Place:
    """The broker at `url`; the app's own server has every request of a browser that was sent to it."""

    app: App
    url: str
    clock: TurnedClock
    provider: FakeProvider
    elsewhere: FakeProvider
    chromium: Browser
    lending: Lending = field(init=False)
    _kept: dict[str, Page] = field(default_factory=dict)
    _lent: dict[bool, Page] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lending = Lending(self.db, self.app._parts.vault)

    @property
    def db(self) -> Database:
        return self.app._parts.db

    @property
    def callback(self) -> str:
        return f"{self.elsewhere.url}/callback"

    async def client(self, name: str = "Acme Notes", **changed: Any) -> Client:
        """A public app; its address is on another origin than ours."""
        return await self.lending.client(name, **({"redirect_uris": json.dumps([self.callback])} | changed))

    async def request(self, client: Client, *wishes: dict[str, Any], **changed: Any) -> str:
        """An open grant request; gives the address of its consent page."""
        row = GrantRequest(
            **{
                "id": new_id("req"),
                "client_id": client.id,
                "redirect_uri": json.loads(client.redirect_uris)[0],
                "client_state": "state-1",
                "code_challenge": CHALLENGE,
                "asked": json.dumps(wishes or [WISH]),
                "created_at": self.clock(),
                "opened_at": self.clock(),
                "ends_at": self.clock() + from_seconds(600),
                **changed,
            }
        )
        await self.lending.add(row)
        return f"{self.url}/consent/{row.id}"

    def authorize(self, client: Client, *wishes: dict[str, Any], **changed: str) -> str:
        """The address to which an app sends a browser."""
        fields = {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": self.callback,
            "state": "state-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "authorization_details": json.dumps(wishes or [WISH]),
        }
        return f"{self.url}/oauth/authorize?{urlencode(fields | changed)}"

    async def exchange(self, client: Client, code: str) -> dict[str, Any]:
        """The token answer, as the app gets it."""
        fields = {
            "grant_type": "authorization_code",
            "client_id": client.id,
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": self.callback,
        }
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            answer = await http.post(f"{self.url}/oauth/token", data=fields)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def call(self, token: str, provider: str = "openai", **changed: Any) -> httpx.Response:
        body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            address = f"{self.url}/proxy/{provider}/v1/chat/completions"
            return await http.post(address, json=body | changed, headers=headers)

    async def grants(self, client: Client) -> list[Grant]:
        async def work(tx: AsyncSession) -> list[Grant]:
            query = select(Grant).where(Grant.client_id == client.id).order_by(col(Grant.created_at))
            return list((await tx.exec(query)).all())

        return await self.db.read(work)

    def answers(self) -> list[dict[str, str]]:
        """What browsers brought to the app's callback."""
        targets = [urlsplit(asked.target) for asked in self.elsewhere.asked]
        return [dict(parse_qsl(target.query)) for target in targets if target.path == "/callback"]

    async def context(self, user: User | None, *, script: bool = True) -> BrowserContext:
        """A browser of its own, signed in as this person."""
        context = await self.chromium.new_context(java_script_enabled=script, viewport=WINDOW)
        if user is not None:
            await self._sign_in(context, user)
        return context

    async def _sign_in(self, context: BrowserContext, user: User) -> None:
        handle = new_id("ses")
        await self.db.write(lambda tx: sessions.add(tx, digest(handle), user.id, self.clock(), self.clock() + 7 * DAY))
        await context.add_cookies([{"name": "broker", "value": handle, "url": self.url}])

    async def page(self, user: User | None) -> Page:
        """The one tab of the one browser that this person keeps open."""
        name = "" if user is None else user.id
        if name not in self._kept:
            self._kept[name] = await (await self.context(user)).new_page()
        return self._kept[name]

    @asynccontextmanager
    async def lent_page(self, user: User, *, script: bool) -> AsyncIterator[Page]:
        """A tab that one person after the other uses: it forgets the one before, and who opens more has them closed."""
        if script not in self._lent:
            self._lent[script] = await (await self.context(None, script=script)).new_page()
        page = self._lent[script]
        await page.context.clear_cookies()
        await self._sign_in(page.context, user)
        await make_as_new(page)
        yield page
        for other in page.context.pages:
            if other is not page:
                await other.close()


async def make_as_new(page: Page) -> None:
    """As a new tab would be, which is a process of its own: all that runs in it is compiled once more."""
    await page.set_viewport_size(WINDOW)
    await page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    await page.mouse.move(-1, -1)  # where it was clicked last, the next page may have something that changes beneath it


async def _answer_browser(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """A page at /callback; to anything else 204, upon which a browser stays where it is."""
    if asked.target.startswith("/callback"):
        body = b"<!doctype html><title>Acme Notes</title><h1>Back in the app</h1>"
        writer.write(head(200, "text/html", len(body)) + body)
    else:
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    await writer.drain()


@asynccontextmanager
async def open_place(folder: Path, migrated: Path, chromium: Browser) -> AsyncIterator[Place]:
    port, clock, stop = hold_port(0), TurnedClock(), asyncio.Event()
    url = f"http://127.0.0.1:{port.number}"
    shutil.copy(migrated, folder / "broker.db")
    settings = settings_of(
        data_dir=folder,
        issuer=url,
        sqlite_synchronous="normal",
        sign_in_tries=2,
        user_servers=True,
        user_servers_inside=("127.0.0.1",),
    )
    async with fake_provider(answer_chat) as provider, fake_provider(_answer_browser) as elsewhere:
        app = await create_app(settings, clock=clock, environ={"BROKER_PROVIDER_OPENAI_BASE_URL": provider.url})
        config = Config()
        port.give_up()
        listening = socket.create_server(("127.0.0.1", port.number))
        config.bind, config.errorlog, config.graceful_timeout = [f"fd://{listening.detach()}"], None, 0.1
        server = asyncio.create_task(serve_http(app, config, PARSER, stop.wait))
        place = Place(app, url, clock, provider, elsewhere, chromium)
        # The process whose calls the tests write down lives on; else they would be settled while they are looked at.
        await place.lending.add(Boot(id="boot", started_at=1, lease_ends_at=clock() + 365 * DAY))
        await _until_up(url)
        yield place
        for page in (*place._kept.values(), *place._lent.values()):
            await page.context.close()
        stop.set()
        await server


async def _until_up(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        for _ in range(200):
            try:
                await http.get(f"{url}/health/live")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
    raise AssertionError("the broker does not answer")
