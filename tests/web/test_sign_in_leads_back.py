"""Signing in leads back to what waits, and to nowhere else."""

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.database import Database
from broker.store.grant_tables import GrantRequest
from broker.store.tables import Client
from tests.browser import Browser
from tests.web.conftest import MakeUser, sign_in

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


async def test_an_answer_given_after_the_session_ended_does_not_lose_the_request(
    browser: Browser, make_user: MakeUser
) -> None:
    await make_user()
    await browser.post(f"/consent/{REQUEST}", [("action", "approve")])
    assert browser.path == f"/sign-in?request={REQUEST}"
    await sign_in(browser)
    assert browser.path == f"/consent/{REQUEST}"
