"""Signing in and out, and what keeps strangers from it."""

import httpx
import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.handle import digest
from broker.store.database import Database
from broker.store.tables import AuditEntry, Session
from broker.web import messages
from broker.web.context import Web
from tests.browser import Browser
from tests.web.conftest import PASSWORD, MakeUser, OpenBrowser, sign_in


async def _sessions(db: Database) -> list[Session]:
    async def work(tx: AsyncSession) -> list[Session]:
        return list((await tx.exec(select(Session))).all())

    return await db.read(work)


async def _events(db: Database) -> list[tuple[str, str]]:
    async def work(tx: AsyncSession) -> list[tuple[str, str]]:
        return [(entry.event, entry.actor) for entry in (await tx.exec(select(AuditEntry))).all()]

    return await db.read(work)


def _cookie(response: httpx.Response, name: str) -> str:
    (line,) = [line for line in response.headers.get_list("set-cookie") if line.startswith(f"{name}=")]
    return line.removeprefix(f"{name}=")


async def test_the_right_password_signs_in(browser: Browser, make_user: MakeUser) -> None:
    await make_user()
    await browser.go("/grants")
    assert browser.page.h1 == "Sign in"
    await sign_in(browser)
    assert (browser.path, "For ana@example.com." in browser.page.text) == ("/grants", True)


async def test_the_home_page_leads_in_or_to_sign_in(browser: Browser, make_user: MakeUser) -> None:
    await make_user()
    await browser.go("/")
    assert browser.path == "/sign-in"
    await sign_in(browser)
    await browser.go("/")
    assert browser.path == "/grants"


async def test_the_cookie_is_for_this_host_and_no_script(browser: Browser, make_user: MakeUser) -> None:
    await make_user()
    await browser.go("/sign-in")
    await sign_in(browser)
    _, *rules = _cookie(browser.seen[1], "broker").split("; ")
    assert set(rules) == {"HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=604800"}


@pytest.mark.parametrize("settings", ["https://broker.test"], indirect=True)
async def test_over_https_the_cookie_is_bound_by_its_name(browser: Browser, make_user: MakeUser) -> None:
    await make_user()
    await browser.go("/sign-in")
    await sign_in(browser)
    _, *rules = _cookie(browser.seen[1], "__Host-broker").split("; ")
    assert {"secure", "path=/"} <= {rule.lower() for rule in rules}
    assert not any(rule.lower().startswith("domain") for rule in rules)
    assert browser.path == "/grants"


async def test_the_store_knows_only_the_digest_of_the_handle(browser: Browser, make_user: MakeUser, web: Web) -> None:
    await make_user()
    await browser.go("/sign-in")
    await sign_in(browser)
    handle = _cookie(browser.seen[1], "broker").partition(";")[0]
    (row,) = await _sessions(web.db)
    assert row.digest == digest(handle)
    assert handle not in repr(row)


async def test_a_cookie_set_before_signing_in_is_worth_nothing(browser: Browser, make_user: MakeUser) -> None:
    """Session fixation: the handle that is signed in is always a new one."""
    await make_user()
    browser.client.cookies.set("broker", "ses_planted", domain="127.0.0.1", path="/")
    await browser.go("/sign-in")
    await sign_in(browser)
    assert [cookie.value for cookie in browser.client.cookies.jar if cookie.name == "broker"] != ["ses_planted"]
    assert browser.page.h1 == "Inside"


async def test_signing_in_again_ends_the_session_before(browser: Browser, ana: object, web: Web) -> None:
    before = await _sessions(web.db)
    await browser.go("/sign-in?other=1")
    await sign_in(browser)
    after = await _sessions(web.db)
    assert (len(before), len(after), before[0].digest == after[0].digest) == (1, 1, False)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ana@example.com", "wrong-wrong-wrong"),
        ("nobody@example.com", PASSWORD),
        ("ana@example.com", PASSWORD + " "),
        ("ana@example.com", PASSWORD.upper()),
        ("ana@example.com", PASSWORD + "x" * 2000),
        ("' OR 1=1 --", PASSWORD),
        ("a" * 100_000, PASSWORD),
    ],
)
async def test_wrong_in_any_way_is_one_answer(browser: Browser, make_user: MakeUser, email: str, password: str) -> None:
    await make_user()
    await browser.go("/sign-in")
    await sign_in(browser, email, password)
    said = browser.page.text.replace(email, "")
    assert browser.status == 422
    assert said.count(messages.NOT_RIGHT) == 2
    assert browser.page.title == "Error: Sign in – Broker"
    assert browser.page.field("email").value == email
    assert PASSWORD not in browser.response.text


async def test_a_wrong_password_and_an_unknown_person_get_the_same_page(
    browser: Browser, open_browser: OpenBrowser, make_user: MakeUser
) -> None:
    await make_user()
    texts = []
    for window, email in ((browser, "ana@example.com"), (open_browser(), "eve@example.com")):
        await window.go("/sign-in")
        await sign_in(window, email, "wrong-wrong-wrong")
        texts.append((window.status, window.page.text))
    assert texts[0] == texts[1]


async def test_what_is_missing_is_said_at_its_field(browser: Browser) -> None:
    await browser.go("/sign-in")
    await browser.press("Sign in", email=" ", password="")
    page = browser.page
    assert (messages.ENTER_EMAIL, "#email") in page.links
    assert (messages.ENTER_PASSWORD, "#password") in page.links
    assert page.field("email").attributes["aria-describedby"] == "email-e"
    assert page.field("password").attributes["aria-invalid"] == "true"


async def test_browsers_know_how_to_fill_the_fields(browser: Browser) -> None:
    await browser.go("/sign-in")
    assert browser.page.field("email").attributes["autocomplete"] == "username webauthn"
    assert browser.page.field("password").attributes["autocomplete"] == "current-password"


async def test_signing_in_and_failing_leave_a_trail(browser: Browser, make_user: MakeUser, web: Web) -> None:
    user = await make_user()
    await browser.go("/sign-in")
    await sign_in(browser, password="wrong-wrong-wrong")
    await sign_in(browser)
    assert (await _events(web.db))[1:] == [("sign_in.failed", user.pseudonym), ("session.started", user.pseudonym)]


async def test_a_form_of_another_browser_does_not_sign_in(
    browser: Browser, open_browser: OpenBrowser, make_user: MakeUser
) -> None:
    """Login forgery: a page elsewhere cannot sign someone in as its author."""
    await make_user()
    await open_browser().go("/sign-in")
    await browser.go("/sign-in")
    browser.client.cookies.clear()
    await browser.press("Sign in", email="ana@example.com", password=PASSWORD)
    assert (browser.status, browser.page.h1) == (403, "This page is out of date")
    assert ("Load it again", "/sign-in") in browser.page.links
