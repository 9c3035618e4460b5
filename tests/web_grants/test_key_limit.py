"""The Keys page: what all apps of a person may come to on one key."""

from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.ledger.overall import key_scope
from broker.ledger.overall_limits import Terms, set_limit
from broker.store.database import Database
from broker.store.limit_tables import OverallLimit
from broker.store.tables import AuditEntry, Credential, User
from tests.browser import Browser
from tests.turned_clock import NOON
from tests.web_grants.conftest import BrowserOf
from tests.web_grants.lending import KEY, Lending, element

SAVE = "Save limit"


@pytest.fixture
async def key(lending: Lending, ana: User) -> Credential:
    return await lending.key(ana, NOON)


async def stored(db: Database) -> list[tuple[str, int | None, int | None, str]]:
    async def work(tx: AsyncSession) -> list[tuple[str, int | None, int | None, str]]:
        rows = (await tx.exec(select(OverallLimit))).all()
        return [(row.scope_id, row.budget, row.max_requests, row.per) for row in rows]

    return await db.read(work)


async def test_its_owner_sets_changes_and_removes_it(
    browser: Browser, db: Database, key: Credential, ana: User
) -> None:
    await browser.go("/keys")
    page = await browser.follow("Set a limit of Personal")
    assert page.h1 == "Change the limit of Personal"
    page = await browser.press(SAVE, limited="yes", budget="$20", requests="1,000", per="month")
    assert (
        "Saved. All apps together: at most $20.00 and 1,000 requests a month on Personal, from 13:05:00 UTC."
        in page.text
    )
    assert "All apps together: $0.00 of $20.00 this month." in page.text
    assert "All apps together: 0 of 1,000 requests this month. It begins again on 1 Dec 2026" in page.text
    scope = key_scope(ana.id, key.id)
    assert await stored(db) == [(scope, 20_000_000, 1_000, "month")]
    await browser.follow("Change limit of Personal")
    await browser.press(SAVE, limited="yes", budget="5.50", requests="", per="grant")
    assert await stored(db) == [(scope, 5_500_000, None, "grant")]
    await browser.follow("Change limit of Personal")
    page = await browser.press(SAVE, limited="no")
    assert "Saved. All apps together: no limit here on Personal" in page.text
    assert await stored(db) == []
    audited = await db.read(_audited)
    assert audited == [("credential.limited", ana.pseudonym)] * 2 + [("credential.unlimited", ana.pseudonym)]


async def _audited(tx: AsyncSession) -> list[tuple[str, str]]:
    rows = (await tx.exec(select(AuditEntry).where(AuditEntry.event != "credential.added"))).all()
    return [(row.event, row.actor) for row in rows]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"limited": "yes", "budget": "", "requests": ""}, "Enter a spending limit, a number of requests, or both"),
        ({"limited": "yes", "budget": "1.2.3"}, "Enter the spending limit as an amount, like 20 or 5.50"),
        ({"limited": "yes", "budget": "0"}, "Spending limit must be $0.01 or more. To allow nothing, pause your apps"),
        ({"limited": "yes", "budget": "5", "requests": "0"}, "Enter requests as a whole number, like 500"),
    ],
)
async def test_what_cannot_be_understood_changes_nothing(
    browser: Browser, db: Database, key: Credential, typed: dict[str, Any], says: str
) -> None:
    await browser.go(f"/keys/{key.id}/limit")
    page = await browser.press(SAVE, **typed)
    assert browser.status == 422
    assert says in page.text
    assert await stored(db) == []


async def test_a_key_of_somebody_else_has_no_such_page(
    browser_of: BrowserOf, lending: Lending, key: Credential
) -> None:
    theirs = await browser_of(await lending.user("bo", NOON))
    await theirs.go(f"/keys/{key.id}/limit")
    assert theirs.status == 404


async def test_what_the_operator_set_for_a_lent_key_is_shown_where_it_is_used(
    browser: Browser, lending: Lending, db: Database, ana: User
) -> None:
    lent = await lending.key(None, NOON)
    await lending.grant(ana, await lending.client(), NOON, (lent, element(NOON)))
    terms = Terms(2_000_000, None, "day")
    await db.write(lambda tx: set_limit(tx, "credential", key_scope("", lent.id), terms, NOON))
    page = await browser.go("/keys")
    assert "All your apps together: $0.00 of $2.00 today. It begins again on 22 Nov 2026" in page.text
    assert "Change limit" not in page.text


async def test_a_key_may_have_its_limit_from_the_first_moment(browser: Browser, db: Database) -> None:
    await browser.go("/keys/new")
    new: dict[str, Any] = {"provider": "openai", "key": KEY.reveal(), "name": "Home"}
    page = await browser.press("Check and add key", **new, limited="yes", budget="")
    assert "Enter a spending limit, a number of requests, or both" in page.text
    assert await stored(db) == []
    page = await browser.press("Check and add key", **new, limited="yes", budget="12")
    assert "Key added. Home works" in page.text
    assert "All apps together: $0.00 of $12.00 this month." in page.text


async def test_a_key_is_added_without_a_limit_if_none_is_wanted(browser: Browser, db: Database) -> None:
    await browser.go("/keys/new")
    await browser.press("Check and add key", provider="openai", key=KEY.reveal())
    assert await stored(db) == []
