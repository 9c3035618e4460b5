"""A request is answered once, by the person who opened it, while it lasts."""

import asyncio
from urllib.parse import parse_qs, urlsplit

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import MINUTE
from broker.core.handle import digest
from broker.store import codes
from broker.store.database import Database
from broker.store.grant_tables import TokenFamily
from broker.store.tables import Client, Credential, User
from tests.browser import Browser
from tests.consent.conftest import Ask, SignIn, add_user
from tests.consent.stored import Stored, audited, stored
from tests.turned_clock import TurnedClock


async def test_a_reload_leaves_the_form_of_the_first_look_good(browser: Browser, ask: Ask, key: Credential) -> None:
    request_id = await ask()
    first = await browser.go(f"/consent/{request_id}")
    await browser.go(f"/consent/{request_id}")
    page = await browser.submit(first.forms[0], "Approve")
    assert page.h1 == "Approved"


async def test_a_form_sent_twice_makes_one_grant_and_the_same_page(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    form = (await browser.go(f"/consent/{request_id}")).forms[0]
    first = await browser.submit(form, "Approve")
    clock.turn(59)
    second = await browser.submit(form, "Approve")
    assert (browser.status, second.text, second.links) == (200, first.text, first.links)
    assert len((await stored(db, request_id, clock)).grants) == 1
    assert len(await audited(db, "consent.approved")) == 1


async def test_answers_sent_at_once_make_one_grant(
    sign_in: SignIn, ana: User, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    windows = [await sign_in(ana) for _ in range(6)]
    pages = [await window.go(f"/consent/{request_id}") for window in windows]
    await asyncio.gather(
        *(window.submit(page.forms[0], "Approve") for window, page in zip(windows, pages, strict=True))
    )
    assert {window.page.h1 for window in windows} == {"Approved"}
    assert len((await stored(db, request_id, clock)).grants) == 1


async def test_the_other_answer_afterwards_changes_nothing(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    form = (await browser.go(f"/consent/{request_id}")).forms[0]
    await browser.submit(form, "Deny")
    page = await browser.submit(form, "Approve")
    assert page.h1 == "Denied"
    assert (await stored(db, request_id, clock)).grants == []


async def test_after_a_minute_the_code_is_shown_no_more(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    form = (await browser.go(f"/consent/{request_id}")).forms[0]
    await browser.submit(form, "Approve")
    clock.turn(60)
    for again in (
        browser.go(f"/consent/{request_id}/done"),
        browser.go(f"/consent/{request_id}"),
        browser.submit(form, "Approve"),
    ):
        page = await again
        assert (browser.status, page.h1) == (409, "You already answered this")
        assert "You approved it at 13:05 UTC." in page.text
        assert not page.forms
    seen = await stored(db, request_id, clock)
    assert ("Manage this access", f"/grants/{seen.grants[0].id}") in browser.page.links
    assert (len(seen.grants), seen.request.sealed_code) == (1, "")


async def test_a_code_that_was_exchanged_is_shown_no_more(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    page = await browser.press("Approve")
    (link,) = [href for text, href in page.links if text == "Continue to Acme Notes"]
    (code,) = parse_qs(urlsplit(link).query)["code"]
    await _exchange(db, await stored(db, request_id, clock), code, clock)
    page = await browser.go(f"/consent/{request_id}/done")
    assert (browser.status, page.h1) == (409, "You already answered this")
    assert code not in browser.response.text


async def test_a_denial_is_told_for_a_minute(browser: Browser, ask: Ask, key: Credential, clock: TurnedClock) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    await browser.press("Deny")
    clock.turn(61)
    page = await browser.go(f"/consent/{request_id}/done")
    assert (browser.status, "You denied it at 13:05 UTC." in page.text) == (409, True)


async def test_a_request_that_has_ended_approves_nothing_and_leads_back(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    form = (await browser.go(f"/consent/{request_id}")).forms[0]
    clock.turn(601)
    for again in (browser.submit(form, "Approve"), browser.submit(form, "Deny"), browser.go(f"/consent/{request_id}")):
        page = await again
        assert (browser.status, page.h1) == (410, "This request has ended")
        assert "Nothing was approved." in page.text
        assert page.forms == []
    (back,) = [href for text, href in browser.page.links if text == "Return to Acme Notes"]
    answer = parse_qs(urlsplit(back).query)
    assert answer["error"] == ["access_denied"]
    assert (answer["error_description"], answer["state"]) == (["request_expired"], ["state-1"])
    seen = await stored(db, request_id, clock)
    assert (seen.request.state, seen.grants) == ("pending", [])


async def test_each_look_keeps_the_request_open_but_for_an_hour_at_most(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    opened = clock()
    for _ in range(6):
        clock.turn(590)
        await browser.go(f"/consent/{request_id}")
    assert browser.status == 200
    assert (await stored(db, request_id, clock)).request.ends_at == opened + 60 * MINUTE
    clock.turn(60)
    await browser.go(f"/consent/{request_id}")
    assert browser.status == 410


async def test_signed_out_one_is_led_to_sign_in_and_back(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    form = (await browser.go(f"/consent/{request_id}")).forms[0]
    browser.client.cookies.clear()
    await browser.go(f"/consent/{request_id}")
    assert browser.path == f"/sign-in?request={request_id}"
    await browser.submit(form, "Approve")
    assert browser.path == f"/sign-in?request={request_id}"
    assert (await stored(db, request_id, clock)).request.state == "pending"


async def test_who_looked_last_is_who_decides(
    browser: Browser, sign_in: SignIn, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    mine = (await browser.go(f"/consent/{request_id}")).forms[0]
    ben = await sign_in(await add_user(db, "ben"))
    await ben.go(f"/consent/{request_id}")
    page = await browser.submit(mine, "Approve")
    # Nothing is decided: the page is shown anew, and the request is the first person's again.
    assert (browser.path, page.h1) == (f"/consent/{request_id}", "Acme Notes wants to use your OpenAI key")
    seen = await stored(db, request_id, clock)
    assert (seen.grants, seen.request.user_id) == ([], "usr_ana")


async def test_what_one_person_answered_another_does_not_see(
    browser: Browser, sign_in: SignIn, ask: Ask, key: Credential, db: Database
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    await browser.press("Approve")
    ben = await sign_in(await add_user(db, "ben"))
    for path in (f"/consent/{request_id}", f"/consent/{request_id}/done"):
        page = await ben.go(path)
        assert (ben.status, "Acme" in page.text) == (404, False)


async def test_an_unknown_request_is_not_found(browser: Browser) -> None:
    for path in ("/consent/req_0000000000000000000000", "/consent/x/done", "/consent/%2e%2e"):
        await browser.go(path)
        assert browser.status == 404


async def test_looking_and_heads_decide_nothing(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}?action=approve")
    await browser.client.head(f"/consent/{request_id}?action=approve")
    await browser.go(f"/consent/{request_id}/done")
    assert browser.path == f"/consent/{request_id}"
    assert (await stored(db, request_id, clock)).request.state == "pending"


async def _exchange(db: Database, seen: Stored, code: str, clock: TurnedClock) -> None:
    """As the token endpoint does."""
    grant = seen.grants[0]

    async def work(tx: AsyncSession) -> bool:
        tx.add(TokenFamily(id="fam_1", grant_id=grant.id, client_id=grant.client_id, created_at=clock()))
        await tx.flush()
        return await codes.use(tx, digest(code), clock(), "fam_1")

    assert await db.write(work)


async def test_nobody_is_sent_to_an_address_that_the_app_has_taken_back(
    browser: Browser, ask: Ask, acme: Client, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    form = (await browser.go(f"/consent/{request_id}")).forms[0]

    async def move(tx: AsyncSession) -> None:
        row = await tx.get(Client, acme.id)
        assert row is not None
        row.redirect_uris = '["https://acme.example/elsewhere"]'

    await db.write(move)
    for page in (await browser.submit(form, "Approve"), await browser.go(f"/consent/{request_id}")):
        assert (browser.status, page.h1) == (410, "This request has ended")
        assert "https://acme.example" not in browser.response.text
    assert (await stored(db, request_id, clock)).grants == []
