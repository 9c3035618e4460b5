from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from broker.core.clock import DAY
from broker.core.handle import digest
from broker.core.secret import Secret
from broker.prices.book import PriceBook
from broker.providers.check import Verdict
from broker.providers.registry import Provider, Registry
from broker.store import sessions
from broker.store.database import Database
from broker.store.tables import User
from broker.vault.vault import Vault
from broker.web.agents import AgentMoves
from broker.web.context import Web, make_web
from broker.web.errors import Errors
from broker.web.grant import GrantPages
from broker.web.grant_keys import GrantKeysPages
from broker.web.grant_moves import GrantMoves
from broker.web.grants import GrantsPages
from broker.web.key_limit import KeyLimitPages
from broker.web.keys import KeyPages
from broker.web.limits import LimitsPages
from tests.browser import Browser
from tests.plain_settings import settings_of
from tests.stores import Store
from tests.turned_clock import TurnedClock
from tests.web_grants.lending import Lending

BrowserOf = Callable[[User], Awaitable[Browser]]


class ProviderThatSays:
    """Answers each check of a key with the verdict set, and remembers what it was asked."""

    def __init__(self) -> None:
        self.verdict: Verdict = "working"
        self.asked: list[tuple[str, Secret]] = []

    async def __call__(self, provider: Provider, key: Secret) -> Verdict:
        self.asked.append((provider.name, key))
        return self.verdict


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def db(page_store: Store) -> AsyncIterator[Database]:
    database = page_store.open()
    yield database
    await database.close()


@pytest.fixture
def vault() -> Vault:
    return Vault(b"m" * 32)


@pytest.fixture
def web(db: Database, clock: TurnedClock, vault: Vault) -> Web:
    settings = settings_of(issuer="http://127.0.0.1:8080")
    return make_web(db, clock, settings, vault, Registry({}), PriceBook())


@pytest.fixture
def provider() -> ProviderThatSays:
    return ProviderThatSays()


@pytest.fixture
def lending(db: Database, vault: Vault) -> Lending:
    return Lending(db, vault)


@pytest.fixture
def app(web: Web, provider: ProviderThatSays) -> Starlette:
    every, one, moves, limits = GrantsPages(web), GrantPages(web), GrantMoves(web), LimitsPages(web)
    keys, key_limit, grant_keys = KeyPages(web, provider), KeyLimitPages(web), GrantKeysPages(web)
    routes = [
        Route("/static/{name}", web.static.file),
        Route("/grants", every.list, methods=["GET"]),
        Route("/grants/pause-all", every.confirm_pause_all, methods=["GET"]),
        Route("/grants/pause-all", every.pause_all, methods=["POST"]),
        Route("/grants/{grant_id}", one.show, methods=["GET"]),
        Route("/grants/{grant_id}/agents", AgentMoves(web).revoke, methods=["POST"]),
        Route("/grants/{grant_id}/key", moves.want_key, methods=["POST"]),
        Route("/grants/{grant_id}/pause", moves.pause, methods=["POST"]),
        Route("/grants/{grant_id}/resume", moves.resume, methods=["POST"]),
        Route("/grants/{grant_id}/revoke", moves.confirm_revoke, methods=["GET"]),
        Route("/grants/{grant_id}/revoke", moves.revoke, methods=["POST"]),
        Route("/grants/{grant_id}/limits", limits.show, methods=["GET"]),
        Route("/grants/{grant_id}/limits", limits.save, methods=["POST"]),
        Route("/grants/{grant_id}/keys", grant_keys.show, methods=["GET"]),
        Route("/grants/{grant_id}/keys", grant_keys.save, methods=["POST"]),
        Route("/keys", keys.list, methods=["GET"]),
        Route("/keys/new", keys.show_new, methods=["GET"]),
        Route("/keys/new", keys.add, methods=["POST"]),
        Route("/keys/{credential_id}/limit", key_limit.show, methods=["GET"]),
        Route("/keys/{credential_id}/limit", key_limit.save, methods=["POST"]),
        Route("/keys/{credential_id}/replace", keys.show_replace, methods=["GET"]),
        Route("/keys/{credential_id}/replace", keys.replace, methods=["POST"]),
        Route("/keys/{credential_id}/remove", keys.show_remove, methods=["GET"]),
        Route("/keys/{credential_id}/remove", keys.remove, methods=["POST"]),
        Route("/keys/{credential_id}/check", keys.check, methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers=dict(Errors(web).handlers()))


@pytest.fixture
async def browser_of(app: Starlette, db: Database, clock: TurnedClock) -> AsyncIterator[BrowserOf]:
    opened: list[Browser] = []

    async def make(user: User) -> Browser:
        handle = f"ses_{user.id}"
        await db.write(lambda tx: sessions.add(tx, digest(handle), user.id, clock(), clock() + DAY))
        browser = Browser.on(app, "http://127.0.0.1:8080")
        browser.client.cookies.set("broker", handle)
        opened.append(browser)
        return browser

    yield make
    for browser in opened:
        await browser.close()


@pytest.fixture
async def ana(lending: Lending, clock: TurnedClock) -> User:
    return await lending.user("ana", clock())


@pytest.fixture
async def browser(browser_of: BrowserOf, ana: User) -> Browser:
    return await browser_of(ana)
