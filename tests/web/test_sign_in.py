"""Signing in and out, and what keeps strangers from it."""

import httpx
import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.handle import digest
from broker.store.database import Database
from broker.store.grant_tables import GrantRequest
from broker.store.tables import Attempt, AuditEntry, Client, Session
from broker.web import messages
from broker.web.context import Web
from tests.browser import Browser
from tests.turned_clock import TurnedClock
from tests.web.conftest import PASSWORD, MakeUser, OpenBrowser, sign_in

REQUEST = "grq_AAAAAAAAAAAAAAAAAAAAAA"


async def _request_waits(db: Database, name: str = "Acme Notes") -> None:
    async def work(tx: AsyncSession) -> None:
        tx.add(Client(id="cli_1", name=name, public=1, redirect_uris="[]", verified=1, created_at=1))
        await tx.flush()
        tx.add(
            GrantRequest(
                id=REQUEST,
                client_id="cli_1",
                redirect_uri="https://acme.example/cb",
                code_challenge="x",
                asked="[]",
                created_at=1,
                ends_at=10**17,
            )
        )

    await db.write(work)


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
    assert {rule.lower() for rule in rules} == {"httponly", "path=/", "samesite=lax", "max-age=604800"}


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


async def test_ten_wrong_tries_stop_a_person_for_a_quarter_of_an_hour(
    browser: Browser, make_user: MakeUser, clock: TurnedClock
) -> None:
    await make_user()
    await browser.go("/sign-in")
    for _ in range(10):
        await sign_in(browser, password="wrong-wrong-wrong")
        clock.turn(6)
    await sign_in(browser)
    assert browser.status == 429
    assert "Too many tries. Wait 14 minutes, until 13:20 UTC" in browser.page.text
    assert browser.response.headers["retry-after"] == "840"
    clock.turn(841)
    await sign_in(browser)
    assert browser.path == "/grants"


async def test_a_try_while_stopped_does_not_stop_longer(
    browser: Browser, make_user: MakeUser, clock: TurnedClock
) -> None:
    await make_user()
    await browser.go("/sign-in")
    for _ in range(30):
        await sign_in(browser, password="wrong-wrong-wrong")
    clock.turn(900)
    await sign_in(browser)
    assert browser.path == "/grants"


async def test_others_are_not_stopped_with_a_person(browser: Browser, make_user: MakeUser) -> None:
    await make_user()
    await make_user("ben@example.com")
    await browser.go("/sign-in")
    for _ in range(11):
        await sign_in(browser, password="wrong-wrong-wrong")
    await sign_in(browser, "ben@example.com")
    assert browser.path == "/grants"


async def test_a_right_password_does_not_count_as_a_try(browser: Browser, make_user: MakeUser, web: Web) -> None:
    await make_user()
    for _ in range(12):
        await browser.go("/sign-in?other=1")
        await sign_in(browser)
    assert browser.path == "/grants"


async def test_a_hundred_wrong_tries_stop_an_address(open_browser: OpenBrowser, make_user: MakeUser) -> None:
    await make_user()
    attacker = open_browser("203.0.113.7")
    await attacker.go("/sign-in")
    for number in range(100):
        await sign_in(attacker, f"user{number}@example.com", "wrong-wrong-wrong")
    await sign_in(attacker, "one-more@example.com", "wrong-wrong-wrong")
    assert attacker.status == 429
    owner = open_browser("198.51.100.1")
    await owner.go("/sign-in")
    await sign_in(owner)
    assert owner.path == "/grants"


async def test_tries_are_kept_without_the_address_or_the_name(browser: Browser, web: Web) -> None:
    await browser.go("/sign-in")
    await sign_in(browser, password="wrong-wrong-wrong")

    async def keys(tx: AsyncSession) -> list[str]:
        return list((await tx.exec(select(Attempt.key))).all())

    kept = await web.db.read(keys)
    assert sorted(key.partition(":")[0] for key in kept) == ["address", "person"]
    assert not any("127.0.0.1" in key or "ana" in key for key in kept)


async def test_signing_in_and_failing_leave_a_trail(browser: Browser, make_user: MakeUser, web: Web) -> None:
    user = await make_user()
    await browser.go("/sign-in")
    await sign_in(browser, password="wrong-wrong-wrong")
    await sign_in(browser)
    assert (await _events(web.db))[1:] == [("sign_in.failed", user.pseudonym), ("session.started", user.pseudonym)]


async def test_the_page_names_the_app_that_waits(browser: Browser, make_user: MakeUser, db: Database) -> None:
    await make_user()
    await _request_waits(db)
    await browser.go(f"/consent/{REQUEST}")
    assert browser.path == f"/sign-in?request={REQUEST}"
    assert "Sign in to answer Acme Notes' request to use your AI keys." in browser.page.text
    await sign_in(browser, password="wrong-wrong-wrong")
    assert "Acme Notes" in browser.page.text
    await sign_in(browser)
    assert browser.path == f"/consent/{REQUEST}"


async def test_a_name_that_would_be_markup_is_text(browser: Browser, db: Database) -> None:
    await _request_waits(db, '"><img src=x onerror=alert(1)>\u202e{{ 7*7 }}')
    await browser.go(f"/sign-in?request={REQUEST}")
    assert "\"><img src=x onerror=alert(1)>{{ 7*7 }}'s request" in browser.page.text
    assert not [tag for tag, _ in browser.page.tags if tag == "img"]
    assert "\u202e" not in browser.response.text


@pytest.mark.parametrize(
    "next_page",
    ["//evil.test", "\\\\evil.test", "https:evil.test", "%2f%2fevil.test", "/%09/evil.test", "/broken", "/sign-out"],
)
async def test_only_our_own_pages_are_led_to(browser: Browser, make_user: MakeUser, next_page: str) -> None:
    await make_user()
    await browser.go(f"/sign-in?next={next_page}")
    await sign_in(browser)
    assert (browser.path, browser.elsewhere) == ("/grants", "")


async def test_a_page_of_ours_is_led_back_to(browser: Browser, make_user: MakeUser) -> None:
    await make_user()
    await browser.go("/keys")
    assert browser.path == "/sign-in?next=/keys"
    await sign_in(browser)
    assert browser.path == "/keys"


async def test_not_you_lets_someone_else_answer_the_same_request(
    browser: Browser, ana: object, make_user: MakeUser, db: Database
) -> None:
    await make_user("ben@example.com")
    await _request_waits(db)
    await browser.go(f"/consent/{REQUEST}")
    await browser.follow("Not you?")
    assert browser.page.h1 == "Sign in"
    await sign_in(browser, "ben@example.com")
    assert browser.path == f"/consent/{REQUEST}"
    assert "Signed in as ben@example.com" in browser.page.text


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
