"""How often a person or an address may fail to sign in."""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.tables import Attempt
from broker.web.context import Web
from tests.browser import Browser
from tests.turned_clock import TurnedClock
from tests.web.conftest import MakeUser, OpenBrowser, sign_in


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
