"""The consent pages on a database of their own: a person, an app, a key, and a clock that can be turned."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from broker.core.handle import new_id
from broker.core.secret import Secret
from broker.oauth.signing import Signer, load_or_make_signing_keys
from broker.prices.book import PriceBook
from broker.providers.check import Verdict
from broker.providers.registry import Provider, Registry
from broker.settings import Settings
from broker.store.database import Database
from broker.store.grant_tables import GrantRequest
from broker.store.tables import Client, Credential, User
from broker.vault.credentials import add_credential
from broker.vault.vault import Vault
from broker.web.consent import ConsentPages
from broker.web.context import Web, make_web
from broker.web.errors import Errors
from broker.web.receipts import ReceiptPages
from tests.browser import Browser
from tests.canary import CONSENT_KEY
from tests.html import Page
from tests.stores import Store
from tests.turned_clock import NOON, TurnedClock

CANARY = CONSENT_KEY
CALLBACK = "https://acme.example/callback"

ASKED: dict[str, Any] = {
    "type": "ai_model_access",
    "provider": "openai",
    "models": ["gpt-4.1-mini", "text-embedding-3-small"],
    "actions": ["chat", "embeddings"],
    "budget": {"amount": "5.00", "currency": "USD"},
    "max_requests": 1000,
    "rate_limit": {"requests_per_minute": 30},
    "expires_in": 604_800,
    "purpose": "Summarise your meeting notes once a day.",
}

Ask = Callable[..., Awaitable[str]]
SignIn = Callable[..., Awaitable[Browser]]


def asked(**changed: Any) -> dict[str, Any]:
    """The usual wish with some members changed; None takes one away."""
    wish = ASKED | changed
    return {name: value for name, value in wish.items() if value is not None}


class FakeCheck:
    """A provider that says of any key what it is told to say."""

    verdict: Verdict = "working"

    async def __call__(self, provider: Provider, key: Secret) -> Verdict:
        return self.verdict


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)  # away from a developer's own .env
    return Settings()


@pytest.fixture
async def db(page_store: Store) -> AsyncIterator[Database]:
    database = page_store.open()
    yield database
    await database.close()


@pytest.fixture
def web(db: Database, clock: TurnedClock, settings: Settings) -> Web:
    return make_web(db, clock, settings, Vault(b"m" * 32), Registry({}), PriceBook())


@pytest.fixture
def check() -> FakeCheck:
    return FakeCheck()


@pytest.fixture
async def ana(db: Database) -> User:
    return await add_user(db, "ana")


@pytest.fixture
async def key(db: Database, web: Web, ana: User) -> Credential:
    return await add_key(db, web, ana)


@pytest.fixture
async def acme(db: Database) -> Client:
    return await add_client(db, "Acme Notes")


@pytest.fixture
def ask(db: Database, clock: TurnedClock, acme: Client) -> Ask:
    """A request opened at the authorization endpoint; gives its id."""

    async def make(*wishes: dict[str, Any], client: Client = acme, redirect_uri: str = CALLBACK, **columns: Any) -> str:
        await _registered(db, client.id, redirect_uri)
        row = GrantRequest(
            id=new_id("req"),
            client_id=client.id,
            redirect_uri=redirect_uri,
            client_state="state-1",
            code_challenge="c" * 43,
            asked=json.dumps(wishes or [ASKED]),
            created_at=clock(),
            opened_at=clock(),
            ends_at=clock() + 600_000_000,
            **columns,
        )
        await _add(db, row)
        return row.id

    return make


async def _registered(db: Database, client_id: str, redirect_uri: str) -> None:
    async def work(tx: AsyncSession) -> None:
        row = await tx.get(Client, client_id)
        assert row is not None
        row.redirect_uris = json.dumps(sorted({*json.loads(row.redirect_uris), redirect_uri}))

    await db.write(work)


@pytest.fixture
async def signer(db: Database, web: Web, clock: TurnedClock, settings: Settings) -> Signer:
    return await db.write(lambda tx: load_or_make_signing_keys(tx, web.vault, clock(), settings))


@pytest.fixture
def app(web: Web, check: FakeCheck, signer: Signer) -> ASGIApp:
    pages, receipts = ConsentPages(web, check, signer), ReceiptPages(web)

    async def signed_in(request: Request) -> Response:
        response = PlainTextResponse("signed in")
        user = await web.db.read(lambda tx: tx.get(User, request.path_params["id"]))
        assert user is not None
        await web.sessions.start(request, response, user)
        return response

    async def sign_in_page(_: Request) -> Response:
        return PlainTextResponse("sign in")

    routes = [
        Route("/consent/{id}", pages.show, methods=["GET"]),
        Route("/consent/{id}", pages.answer, methods=["POST"]),
        Route("/consent/{id}/done", pages.done, methods=["GET"]),
        Route("/grants/{grant_id}/receipts/{receipt_id}", receipts.signed),
        Route("/grants/{grant_id}/receipts/{receipt_id}/shown", receipts.shown),
        Route("/static/{name}", web.static.file),
        Route("/signed-in/{id}", signed_in),
        Route("/sign-in", sign_in_page),
    ]
    return Starlette(routes=routes, exception_handlers=dict(Errors(web).handlers()))


@pytest.fixture
async def sign_in(app: ASGIApp, settings: Settings) -> AsyncIterator[SignIn]:
    opened = []

    async def make(user: User) -> Browser:
        browser = Browser.on(app, settings.public_url)
        opened.append(browser)
        await browser.go(f"/signed-in/{user.id}")
        return browser

    yield make
    for browser in opened:
        await browser.close()


@pytest.fixture
async def browser(sign_in: SignIn, ana: User) -> Browser:
    return await sign_in(ana)


Typed = dict[str, str | list[str]]


async def press(browser: Browser, button: str, typed: Typed) -> Page:
    """Fills in fields by name and presses the one button of that label."""
    (form,) = [form for form in browser.page.forms if any(each.label == button for each in form.buttons)]
    return await browser.submit(form, button, **typed)


async def add_user(db: Database, name: str, role: str = "user", zone: str = "UTC") -> User:
    user = User(
        id=f"usr_{name}",
        pseudonym=f"person_{name}",
        email=f"{name}@example.com",
        role=role,
        zone=zone,
        password_hash="-",
        created_at=NOON,
    )
    await _add(db, user)
    return user


async def add_client(
    db: Database, name: str, *, verified: bool = True, address: str = "https://acme.example"
) -> Client:
    client = Client(
        id=new_id("cli"),
        name=name,
        public=1,
        redirect_uris=json.dumps([CALLBACK]),
        address=address,
        verified=int(verified),
        created_at=NOON - 49 * 86_400_000_000,
    )
    await _add(db, client)
    return client


async def add_key(
    db: Database, web: Web, owner: User | None, *, provider: str = "openai", name: str = "Personal", key: str = CANARY
) -> Credential:
    async def work(tx: AsyncSession) -> Credential:
        return await add_credential(
            tx,
            web.vault,
            provider=provider,
            key=Secret(key),
            name=name,
            user_id=None if owner is None else owner.id,
            now=NOON,
            by="test",
            state="working",
        )

    return await db.write(work)


async def _add(db: Database, row: Any) -> None:
    async def work(tx: AsyncSession) -> None:
        tx.add(row)

    await db.write(work)
