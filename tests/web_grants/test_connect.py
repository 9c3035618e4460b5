"""A person connects an account: there with a challenge, back with a code, in one browser and once."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.applications import Starlette
from starlette.routing import Route

from broker.core.secret import Secret
from broker.providers.client import Waits
from broker.providers.pooled import PooledClient
from broker.store import credentials, oauth_tokens
from broker.store.database import Database
from broker.store.tables import Credential, User
from broker.store.token_tables import OAuthToken, ProviderOAuth
from broker.vault.credentials import open_credential, open_sealed
from broker.vault.oauth_tokens import unpack
from broker.vault.places import client_secret_place
from broker.vault.vault import Vault
from broker.web.connect import ConnectPages
from broker.web.context import Web
from tests.browser import Browser
from tests.fake_authorization_server import CLIENT_ID, CLIENT_SECRET, AuthorizationServer
from tests.fake_provider import fake_provider
from tests.turned_clock import NOON, TurnedClock
from tests.web_grants.conftest import BrowserOf
from tests.web_grants.lending import Lending


@pytest.fixture
async def accounts(app: Starlette, web: Web, db: Database, vault: Vault) -> AsyncIterator[AuthorizationServer]:
    made, client = AuthorizationServer(), PooledClient(Waits(5, 5, 5))
    connect = ConnectPages(web, client)
    app.router.routes.insert(0, Route("/keys/connected", connect.come_back, methods=["GET"]))
    app.router.routes.insert(0, Route("/keys/connect", connect.leave, methods=["POST"]))
    async with fake_provider(made) as place:
        row = ProviderOAuth(
            provider="openai", authorize_url=f"{place.url}/authorize?prompt=consent", token_url=f"{place.url}/token",
            client_id=CLIENT_ID, sealed_secret=vault.seal(Secret(CLIENT_SECRET), client_secret_place("openai")),
            scopes="api offline", changed_at=NOON,
        )  # fmt: skip

        async def work(tx: AsyncSession) -> None:
            tx.add(row)

        await db.write(work)
        yield made
    await client.close()


async def leave(browser: Browser, accounts: AuthorizationServer, code: str = "the-code") -> str:
    """The way to the provider; gives the state that it comes back with."""
    await browser.go("/keys")
    await browser.press("Connect OpenAI")
    (href,) = {href for text, href in browser.page.links if text == "Continue to OpenAI"}
    asked = {name: values[0] for name, values in parse_qs(urlsplit(href).query).items()}
    assert asked["redirect_uri"] == "http://127.0.0.1:8080/keys/connected"
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT_ID, "api offline")
    assert (asked["code_challenge_method"], asked["prompt"]) == ("S256", "consent")
    accounts.challenges[code] = asked["code_challenge"]
    return asked["state"]


async def own(db: Database, user: User) -> list[Credential]:
    return await db.read(lambda tx: credentials.of_user(tx, user.id))


async def test_an_account_is_connected_and_its_tokens_are_sealed(
    browser: Browser, accounts: AuthorizationServer, db: Database, vault: Vault, ana: User
) -> None:
    state = await leave(browser, accounts)
    page = await browser.go(f"/keys/connected?code=the-code&state={state}")
    assert "Your OpenAI account is connected." in page.text
    (row,) = await own(db, ana)
    tokens = unpack(open_sealed(vault, row))
    assert tokens is not None
    assert tokens.refresh == Secret(accounts.refresh)
    assert open_credential(vault, row, lambda _: None) == Secret(accounts.good)
    token: OAuthToken | None = await db.read(lambda tx: oauth_tokens.token_of(tx, row.id))
    assert token is not None
    assert token.expires_at == tokens.expires_at == NOON + 3600 * 1_000_000
    for answer in browser.seen:
        assert accounts.good not in answer.text
        assert accounts.refresh not in answer.text


async def test_an_answer_counts_once(browser: Browser, accounts: AuthorizationServer, db: Database, ana: User) -> None:
    state = await leave(browser, accounts)
    await browser.go(f"/keys/connected?code=the-code&state={state}")
    await browser.go(f"/keys/connected?code=the-code&state={state}")
    assert browser.status == 400
    assert "This answer cannot be used" in browser.page.text
    assert len(await own(db, ana)) == 1


async def test_an_answer_in_another_browser_counts_for_nothing(
    browser: Browser, browser_of: BrowserOf, accounts: AuthorizationServer, db: Database, lending: Lending, ana: User
) -> None:
    """Who sends somebody their own answer would have them pay into an account of theirs."""
    bo = await lending.user("bo", NOON)
    other, state = await browser_of(bo), await leave(browser, accounts)
    await other.go(f"/keys/connected?code=the-code&state={state}")
    assert other.status == 400
    assert await own(db, bo) == await own(db, ana) == []


async def test_an_answer_that_is_late_counts_for_nothing(
    browser: Browser, accounts: AuthorizationServer, db: Database, ana: User, clock: TurnedClock
) -> None:
    state = await leave(browser, accounts)
    clock.now += 10 * 60 * 1_000_000
    await browser.go(f"/keys/connected?code=the-code&state={state}")
    assert browser.status == 400
    assert await own(db, ana) == []


@pytest.mark.parametrize("answer", ["error=access_denied", "code=of-somebody-else", ""])
async def test_what_the_provider_does_not_give_is_not_connected(
    browser: Browser, accounts: AuthorizationServer, db: Database, ana: User, answer: str
) -> None:
    state = await leave(browser, accounts)
    page = await browser.go(f"/keys/connected?{answer}&state={state}".replace("?&", "?"))
    assert "OpenAI gave no access, so nothing was connected." in page.text
    assert await own(db, ana) == []
