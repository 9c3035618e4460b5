"""A person wants each request signed by the app: on the page, in the grant, and for the tokens that are out."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store import changes
from broker.store.database import Database
from broker.store.grant_tables import AccessToken, Grant
from broker.store.tables import Client, Credential
from tests.browser import Browser
from tests.consent.conftest import Ask, press
from tests.consent.stored import audited, stored
from tests.turned_clock import NOON, TurnedClock

LABEL = "Only accept requests signed with the app’s own key (DPoP)"
LINE = "must sign each request with a key of its own"


async def approved(browser: Browser, db: Database, clock: TurnedClock, request_id: str, ticked: list[str]) -> Grant:
    await browser.go(f"/consent/{request_id}")
    button = "Reconnect" if browser.page.h1.startswith("Reconnect") else "Approve"
    await press(browser, button, {"key-wanted": ticked})
    return (await stored(db, request_id, clock)).grants[0]


async def add_tokens(db: Database, grant: Grant) -> None:
    async def work(tx: AsyncSession) -> None:
        for jti, jkt in (("tok_bearer", ""), ("tok_bound", "k" * 43)):
            own: dict[str, Any] = {
                "grant_id": grant.id,
                "client_id": grant.client_id,
                "created_at": NOON,
                "ends_at": NOON * 2,
            }
            tx.add(AccessToken(jti=jti, dpop_jkt=jkt, **own))

    await db.write(work)


async def live(db: Database, jti: str) -> bool:
    row = await db.read(lambda tx: tx.get(AccessToken, jti))
    assert row is not None
    return row.revoked_at is None


async def test_it_is_offered_unticked_with_what_it_may_break(browser: Browser, ask: Ask, key: Credential) -> None:
    page = await browser.go(f"/consent/{await ask()}")
    assert not page.field("key-wanted").checked
    assert LABEL in page.text
    assert "An app that cannot sign its requests stops working." in page.text
    assert LINE not in page.text


async def test_ticked_it_stands_in_the_summary_and_in_the_grant(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    page = await press(browser, "Update summary", {"key-wanted": ["1"]})
    assert page.field("key-wanted").checked
    assert LINE in page.text
    grant = await approved(browser, db, clock, request_id, ["1"])
    assert grant.dpop_required == 1
    assert await audited(db, "grant.key_wanted") == [("person_ana", grant.id, {"ended": 0})]


async def test_unticked_nothing_is_required_and_nothing_is_recorded(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    grant = await approved(browser, db, clock, await ask(), [])
    assert grant.dpop_required == 0
    assert await audited(db, "grant.key_wanted") == await audited(db, "grant.key_not_wanted") == []


async def test_tokens_that_are_out_and_are_not_bound_end_with_the_approval(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    grant = await approved(browser, db, clock, await ask(), [])
    await add_tokens(db, grant)
    before = await db.read(changes.count)
    await approved(browser, db, clock, await ask(), ["1"])
    assert [await live(db, "tok_bearer"), await live(db, "tok_bound")] == [False, True]
    assert await db.read(changes.count) > before


async def test_it_stays_until_it_is_unticked(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    await approved(browser, db, clock, await ask(), ["1"])
    page = await browser.go(f"/consent/{await ask()}")
    assert page.field("key-wanted").checked
    assert LINE in page.text
    assert (await approved(browser, db, clock, await ask(), [])).dpop_required == 0


async def test_an_app_that_signs_anyway_is_said_to_and_cannot_be_asked_for_more(
    browser: Browser, ask: Ask, key: Credential, acme: Client, db: Database, clock: TurnedClock
) -> None:
    async def bind(tx: AsyncSession) -> None:
        row = await tx.get(Client, acme.id)
        assert row is not None
        row.dpop_bound = 1

    await db.write(bind)
    request_id = await ask()
    page = await browser.go(f"/consent/{request_id}")
    assert "Acme Notes signs each request with a key of its own (DPoP)" in page.text
    assert LABEL not in page.text
    await browser.press("Approve")
    assert (await stored(db, request_id, clock)).grants[0].dpop_required == 0
