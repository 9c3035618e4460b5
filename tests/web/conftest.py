"""The pages of this part on a database of their own, with a clock that can be turned."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from broker.core.secret import Secret
from broker.identity.passwords import Passwords
from broker.identity.sign_in import SignIn
from broker.identity.throttle import Throttle
from broker.identity.users import add_user
from broker.oauth.origins import Origins
from broker.oauth.request import UntrustedRequest
from broker.prices.book import PriceBook
from broker.providers.registry import Registry
from broker.settings import Settings
from broker.store.database import Database
from broker.store.tables import User
from broker.vault.vault import Vault
from broker.web.address import Addresses
from broker.web.context import Web, make_web
from broker.web.cors import Cors
from broker.web.errors import Errors
from broker.web.forms import read_form
from broker.web.help import HelpPages
from broker.web.middleware import Edge
from broker.web.setup import SetupPages
from broker.web.sign_in import SignInPages
from tests.browser import Browser
from tests.stores import Store
from tests.turned_clock import TurnedClock

PASSWORD = "violet-kettle-orbit-47"

MakeUser = Callable[..., Awaitable[User]]
OpenBrowser = Callable[..., Browser]


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(params=["http://127.0.0.1:8080"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)  # away from a developer's own .env
    return Settings(issuer=request.param, trusted_proxies=("10.0.0.0/8",), allowed_hosts=("inner",))


@pytest.fixture
async def db(page_store: Store) -> AsyncIterator[Database]:
    database = page_store.open(busy_ms=1_000 if page_store.is_postgresql else 100)
    yield database
    await database.close()


@pytest.fixture
def web(db: Database, clock: TurnedClock, settings: Settings) -> Web:
    return make_web(db, clock, settings, Vault(b"m" * 32), Registry({}), PriceBook())


@pytest.fixture
async def passwords() -> Passwords:
    return Passwords.cheap()


@pytest.fixture
async def make_user(db: Database, clock: TurnedClock, passwords: Passwords) -> MakeUser:
    async def make(email: str = "ana@example.com", role: str = "user") -> User:
        hashed = await passwords.hash(Secret(PASSWORD))
        return await db.write(lambda tx: add_user(tx, clock(), email, hashed, role))

    return make


@pytest.fixture
def app(web: Web, settings: Settings, passwords: Passwords) -> ASGIApp:
    addresses = Addresses(settings.trusted_proxies)
    throttle = Throttle(b"t" * 32, settings.sign_in_tries, settings.sign_in_tries_address)
    sign_in = SignInPages(web, SignIn(web.db, web.clock, passwords, throttle), addresses)
    setup = SetupPages(web, passwords, throttle, addresses)
    routes = [
        Route("/", sign_in.home),
        Route("/sign-in", sign_in.form, methods=["GET"]),
        Route("/sign-in", sign_in.submit, methods=["POST"]),
        Route("/sign-out", sign_in.sign_out, methods=["POST"]),
        Route("/setup/1", setup.code_form, methods=["GET"]),
        Route("/setup/1", setup.take_code, methods=["POST"]),
        Route("/setup/2", setup.account_form, methods=["GET"]),
        Route("/setup/2", setup.make_account, methods=["POST"]),
        Route("/help/what-apps-see", HelpPages(web).what_apps_see),
        Route("/static/{name}", web.static.file),
        *_pages_for_tests(web),
    ]
    app = Starlette(routes=routes, exception_handlers=dict(Errors(web).handlers()))
    return Edge(app, app, settings, Cors(Origins(web.db, web.clock).clients_at, lambda _scope: None))


@pytest.fixture
async def open_browser(app: ASGIApp, settings: Settings) -> AsyncIterator[OpenBrowser]:
    opened: list[Browser] = []

    def make(address: str = "127.0.0.1") -> Browser:
        opened.append(Browser.on(app, settings.public_url, address=address))
        return opened[-1]

    yield make
    for browser in opened:
        await browser.close()


@pytest.fixture
def browser(open_browser: OpenBrowser) -> Browser:
    return open_browser()


@pytest.fixture
async def ana(browser: Browser, make_user: MakeUser) -> User:
    """Signed in, in `browser`."""
    user = await make_user()
    await sign_in(browser)
    return user


async def sign_in(browser: Browser, email: str = "ana@example.com", password: str = PASSWORD) -> None:
    if not browser.path.startswith("/sign-in"):
        await browser.go("/sign-in")
    await browser.press("Sign in", email=email, password=password)


def _pages_for_tests(web: Web) -> list[Route]:
    """What other parts own, as far as these tests are led there."""

    async def inside(request: Request) -> Response:
        signed_in = await web.sessions.require(request)
        return web.pages.render(
            request,
            "error.html",
            signed_in=signed_in,
            title="Inside",
            what=f"For {signed_in.user.email}.",
            did_not="",
            for_developer={},
            label="On",
            href="/",
            request_id="",
        )

    async def change(request: Request) -> Response:
        signed_in = await web.sessions.require(request)
        web.sessions.check(request, signed_in, await read_form(request), "change")
        response = RedirectResponse("/grants", 303)
        web.sessions.flash(response, "Changed. <b>")
        return response

    async def broken(request: Request) -> Response:
        raise RuntimeError("sk-canary-0123456789")

    async def untrusted(request: Request) -> Response:
        raise UntrustedRequest("redirect_uri is not registered", client_id="cli_1", address="https://evil.test/<b>")

    async def echo(request: Request) -> Response:
        return PlainTextResponse(str(request.headers.get("host")))

    return [
        Route("/grants", inside),
        Route("/keys", inside),
        Route("/consent/{id}", inside, methods=["GET", "POST"]),
        Route("/change", change, methods=["POST"]),
        Route("/broken", broken, methods=["GET", "POST"]),
        Route("/oauth/authorize", untrusted),
        Route("/oauth/token", broken, methods=["POST"]),
        Route("/proxy/{rest:path}", echo),
    ]
