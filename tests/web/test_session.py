"""A session ends when it should, and a form is only good in the browser that was shown it."""

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.handle import digest
from broker.identity.users import disable_user
from broker.store import sessions
from broker.store.database import Database
from broker.store.tables import Session, User
from broker.web.context import Web
from broker.web.form_token import FIELD
from tests.browser import Browser
from tests.turned_clock import TurnedClock
from tests.web.conftest import MakeUser, OpenBrowser, sign_in

HOUR = 3600


async def _is_signed_in(browser: Browser) -> bool:
    return (await browser.go("/grants")).h1 == "Inside"


async def test_a_session_ends_after_twelve_idle_hours(browser: Browser, ana: User, clock: TurnedClock) -> None:
    clock.turn(12 * HOUR - 1)
    assert await _is_signed_in(browser)
    clock.turn(12 * HOUR)
    assert not await _is_signed_in(browser)
    assert "You were signed out." in browser.page.text


async def test_a_session_ends_after_a_week_however_busy(browser: Browser, ana: User, clock: TurnedClock) -> None:
    for _ in range(27):
        clock.turn(6 * HOUR)
        assert await _is_signed_in(browser)
    clock.turn(6 * HOUR)
    assert not await _is_signed_in(browser)


async def test_the_clock_set_back_gives_no_session_more_time(browser: Browser, ana: User, clock: TurnedClock) -> None:
    clock.turn(-HOUR)
    assert await _is_signed_in(browser)
    clock.turn(8 * 24 * HOUR)
    assert not await _is_signed_in(browser)


async def test_a_session_that_is_used_is_written_once_a_minute(
    browser: Browser, ana: User, clock: TurnedClock, db: Database
) -> None:
    started = clock.now
    seen = []
    for _ in range(3):
        clock.turn(25)
        await browser.go("/grants")

        async def work(tx: AsyncSession) -> int:
            (row,) = [await sessions.find(tx, key, clock.now, 10**12) for key in await _digests(tx)]
            return row[0].seen_at if row is not None else 0

        seen.append((await db.read(work) - started) // 1_000_000)
    assert seen == [0, 0, 75]


async def _digests(tx: AsyncSession) -> list[str]:
    return list((await tx.exec(select(Session.digest))).all())


async def test_a_disabled_user_is_signed_out_at_once(
    browser: Browser, ana: User, db: Database, clock: TurnedClock
) -> None:
    await db.write(lambda tx: disable_user(tx, clock(), ana, "operator"))
    assert not await _is_signed_in(browser)
    await sign_in(browser)
    assert browser.status == 422


async def test_signing_out_ends_the_session_in_the_store(browser: Browser, ana: User) -> None:
    stolen = dict(browser.client.cookies)
    await browser.go("/help/what-apps-see")
    await browser.press("Sign out")
    assert "You are signed out." in browser.page.text
    out = browser.seen[-2]
    assert out.headers["clear-site-data"] == '"cache", "storage"'
    browser.client.cookies.update(stolen)
    assert not await _is_signed_in(browser)


async def test_signing_out_for_someone_else_keeps_the_request(browser: Browser, ana: User, web: Web) -> None:
    request_id = "grq_AAAAAAAAAAAAAAAAAAAAAA"
    await browser.go("/help/what-apps-see")
    token = browser.page.forms[0].value(FIELD)
    await browser.post("/sign-out", [(FIELD, token), ("request", request_id)])
    assert browser.path == f"/sign-in?request={request_id}"


async def test_a_page_cannot_sign_out_by_being_opened(browser: Browser, ana: User) -> None:
    await browser.go("/sign-out")
    assert (browser.status, await _is_signed_in(browser)) == (405, True)


async def _token(browser: Browser, web: Web, purpose: str) -> str:
    handle = browser.client.cookies["broker"]
    return web.tokens.make(digest(handle), purpose)


async def test_a_form_of_ours_is_taken_and_says_so_once(browser: Browser, ana: User, web: Web) -> None:
    await browser.post("/change", [(FIELD, await _token(browser, web, "change"))])
    assert (browser.path, "Changed. <b>" in browser.page.text) == ("/grants", True)
    await browser.go("/grants")
    assert "Changed." not in browser.page.text


@pytest.mark.parametrize(
    ("site", "origin", "status"),
    [
        ("same-origin", None, 303),
        ("cross-site", None, 403),
        ("same-site", "http://127.0.0.1:8080", 403),
        ("none", None, 403),
        (None, "http://127.0.0.1:8080", 303),
        (None, "http://127.0.0.1:9999", 403),
        (None, "null", 403),
        (None, None, 303),
    ],
)
async def test_a_form_must_come_from_our_own_pages(
    browser: Browser, ana: User, web: Web, site: str | None, origin: str | None, status: int
) -> None:
    headers = {name: value for name, value in (("sec-fetch-site", site), ("origin", origin)) if value is not None}
    data = {FIELD: await _token(browser, web, "change")}
    answer = await browser.client.post("/change", data=data, headers=headers)
    assert answer.status_code == status


async def test_a_form_without_its_token_is_out_of_date(
    browser: Browser, ana: User, web: Web, open_browser: OpenBrowser, make_user: MakeUser
) -> None:
    other = open_browser()
    await make_user("ben@example.com")
    await sign_in(other, "ben@example.com")
    for wrong in ("", await _token(browser, web, "sign-out"), await _token(other, web, "change"), "ä" * 43):
        await browser.post("/change", [(FIELD, wrong)])
        assert (browser.status, browser.page.h1) == (403, "This page is out of date")


async def test_a_token_stays_the_same_for_as_long_as_the_session(browser: Browser, ana: User, web: Web) -> None:
    first = await _token(browser, web, "change")
    await browser.go("/grants")
    await browser.go("/grants")
    assert first == await _token(browser, web, "change")


async def test_a_flash_that_is_not_ours_is_not_shown(browser: Browser, ana: User) -> None:
    browser.client.cookies.set("broker-flash", "WyJvayIsICJZb3Ugd29uIl0=.00", domain="127.0.0.1", path="/")
    await browser.go("/grants")
    assert "won" not in browser.page.text


async def test_a_form_in_another_encoding_is_not_read(browser: Browser, ana: User) -> None:
    answer = await browser.client.post("/change", json={FIELD: "x"})
    assert answer.status_code == 400


async def test_a_form_that_is_too_large_is_not_read(browser: Browser, ana: User) -> None:
    await browser.post("/change", [("x", "y" * 300_000)])
    assert (browser.status, browser.page.h1) == (413, "That is too large")
