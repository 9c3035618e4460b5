"""On the page of a grant: whether only requests that the app signs are accepted."""

from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import DAY
from broker.core.grant import GrantEvent
from broker.store import changes, grants
from broker.store.database import Database
from broker.store.grant_tables import AccessToken, Grant, TokenFamily
from broker.store.tables import User
from tests.browser import Browser
from tests.turned_clock import NOON
from tests.web_grants.lending import Lending, element


@pytest.fixture
async def grant(lending: Lending, ana: User) -> Grant:
    key = await lending.key(ana, NOON - DAY)
    return await lending.grant(ana, await lending.client(), NOON - DAY, (key, element(NOON - DAY)))


async def required(db: Database, grant: Grant) -> bool:
    row = await db.read(lambda tx: tx.get(Grant, grant.id))
    assert row is not None
    return bool(row.dpop_required)


async def test_one_press_requires_it_and_ends_tokens_that_are_not_bound(
    browser: Browser, db: Database, grant: Grant, lending: Lending
) -> None:
    own: dict[str, Any] = {"grant_id": grant.id, "client_id": grant.client_id, "created_at": 1, "ends_at": NOON + DAY}
    await lending.add(AccessToken(jti="tok_bearer", **own))
    before = await db.read(changes.count)
    page = await browser.go(f"/grants/{grant.id}")
    assert "Whoever steals a token of Acme Notes can use it" in page.text
    page = await browser.press("Only accept signed requests")
    assert "From 13:05:00 UTC only requests that Acme Notes signs with a key of its own are accepted." in page.text
    assert "Only requests that Acme Notes signs with a key of its own (DPoP) are accepted" in page.text
    assert "Only signed requests accepted by you" in page.text
    assert await required(db, grant)
    assert await db.read(changes.count) > before
    token = await db.read(lambda tx: tx.get(AccessToken, "tok_bearer"))
    assert token is not None
    assert token.revoked_at == NOON


@pytest.mark.parametrize(("public", "jkt", "ends"), [(1, "", True), (1, "k" * 43, False), (0, "", False)])
async def test_refresh_tokens_that_a_thief_could_bind_end_with_it(
    browser: Browser, db: Database, lending: Lending, ana: User, public: int, jkt: str, ends: bool
) -> None:
    key = await lending.key(ana, NOON - DAY)
    client = await lending.client(public=public)
    grant = await lending.grant(ana, client, NOON - DAY, (key, element(NOON - DAY)))
    await lending.add(TokenFamily(id="fam_1", grant_id=grant.id, client_id=client.id, created_at=1, dpop_jkt=jkt))
    await browser.go(f"/grants/{grant.id}")
    await browser.press("Only accept signed requests")
    family = await db.read(lambda tx: tx.get(TokenFamily, "fam_1"))
    assert family is not None
    assert (family.revoked_at == NOON) is ends


async def test_another_press_takes_it_back(browser: Browser, db: Database, grant: Grant) -> None:
    await browser.go(f"/grants/{grant.id}")
    await browser.press("Only accept signed requests")
    page = await browser.press("Accept unsigned requests too")
    assert "Requests that are not signed are accepted again." in page.text
    assert not await required(db, grant)


async def test_an_app_that_signs_anyway_has_no_button(browser: Browser, lending: Lending, ana: User) -> None:
    key = await lending.key(ana, NOON - DAY)
    client = await lending.client(dpop_bound=1)
    grant = await lending.grant(ana, client, NOON - DAY, (key, element(NOON - DAY)))
    page = await browser.go(f"/grants/{grant.id}")
    assert "Acme Notes signs each request with a key of its own (DPoP)" in page.text
    assert not [form for form in page.forms if form.action.endswith("/key")]


async def test_a_grant_that_has_ended_has_no_button_and_takes_no_press(
    browser: Browser, db: Database, grant: Grant
) -> None:
    page = await browser.go(f"/grants/{grant.id}")
    (form,) = [form for form in page.forms if form.action.endswith("/key")]

    async def end(tx: AsyncSession) -> None:
        assert await grants.move(tx, grant.id, GrantEvent.REVOKE, NOON, by="x")

    await db.write(end)
    page = await browser.submit(form, "Only accept signed requests")
    assert "Nothing was changed." in page.text
    assert not await required(db, grant)
    assert not [form for form in page.forms if form.action.endswith("/key")]
