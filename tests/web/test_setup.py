"""From an empty server to its first admin, once."""

import asyncio

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.secret import Secret
from broker.identity import setup
from broker.store.database import Database
from broker.store.tables import Setting, User
from broker.web import messages
from tests.browser import Browser
from tests.turned_clock import TurnedClock
from tests.web.conftest import PASSWORD, MakeUser, OpenBrowser


@pytest.fixture
async def code(db: Database, clock: TurnedClock) -> Secret:
    made = await db.write(lambda tx: setup.setup_code(tx, clock()))
    assert made is not None
    return made


async def _to_step_2(browser: Browser, code: Secret) -> None:
    await browser.go("/")
    await browser.press("Continue", code=code.reveal())


async def _admins(db: Database) -> list[User]:
    async def work(tx: AsyncSession) -> list[User]:
        return list((await tx.exec(select(User).where(User.role == "admin"))).all())

    return await db.read(work)


async def test_the_code_makes_the_first_admin(browser: Browser, code: Secret, db: Database) -> None:
    await browser.go("/")
    assert (browser.path, browser.page.title) == ("/setup/1", "Step 1 of 2: Setup code – Set up Broker")
    await browser.press("Continue", code=code.reveal())
    assert browser.page.title == "Step 2 of 2: Your account – Set up Broker"
    await browser.press("Make the account", email="Root@Example.com", password=PASSWORD)
    assert browser.path == "/grants"
    assert "For root@example.com." in browser.page.text
    assert "Broker is ready. You are its first admin." in browser.page.text
    assert [user.email for user in await _admins(db)] == ["root@example.com"]


@pytest.mark.parametrize("path", ["/setup/1", "/setup/2"])
async def test_afterwards_setup_is_gone(browser: Browser, code: Secret, path: str) -> None:
    await _to_step_2(browser, code)
    await browser.press("Make the account", email="root@example.com", password=PASSWORD)
    await browser.go(path)
    assert (browser.status, browser.page.h1) == (404, "Setup is finished")
    assert ("Sign in", "/sign-in") in browser.page.links


async def test_setup_stays_possible_while_there_are_only_users(
    browser: Browser, code: Secret, make_user: MakeUser
) -> None:
    await make_user()
    await browser.go("/")
    assert browser.path == "/sign-in"
    assert (await browser.go("/setup/1")).h1 == "Step 1 of 2: Setup code"


@pytest.mark.parametrize("typed", ["", "AAAA-AAAA-AAAA-AAAA", "ä", "x" * 5000])
async def test_a_wrong_code_opens_nothing(browser: Browser, code: Secret, typed: str) -> None:
    await browser.go("/setup/1")
    await browser.press("Continue", code=typed)
    assert browser.status == 422
    assert (messages.CODE_NOT_RIGHT if typed else messages.ENTER_CODE) in browser.page.text
    await browser.go("/setup/2")
    assert browser.path == "/setup/1"


async def test_small_letters_and_spaces_do_not_matter(browser: Browser, code: Secret) -> None:
    await browser.go("/setup/1")
    await browser.press("Continue", code=f" {code.reveal().lower().replace('-', ' ')} ")
    assert browser.path == "/setup/2"


async def test_codes_cannot_be_tried_for_ever(browser: Browser, code: Secret, clock: TurnedClock) -> None:
    await browser.go("/setup/1")
    for _ in range(10):
        await browser.press("Continue", code="AAAA-AAAA-AAAA-AAAA")
    await browser.press("Continue", code=code.reveal())
    assert browser.status == 429
    assert "Too many tries. Wait 15 minutes, until 13:20 UTC" in browser.page.text
    clock.turn(900)
    await browser.press("Continue", code=code.reveal())
    assert browser.path == "/setup/2"


async def test_a_restart_makes_another_code(browser: Browser, code: Secret, db: Database, clock: TurnedClock) -> None:
    await _to_step_2(browser, code)
    await db.write(lambda tx: setup.setup_code(tx, clock()))
    await browser.press("Make the account", email="root@example.com", password=PASSWORD)
    assert (browser.path, await _admins(db)) == ("/setup/1", [])


async def test_what_step_1_proved_is_worth_nothing_in_another_browser(
    browser: Browser, open_browser: OpenBrowser, code: Secret
) -> None:
    await _to_step_2(browser, code)
    other = open_browser()
    await other.go("/setup/1")
    other.client.cookies.set("broker-setup", browser.client.cookies["broker-setup"], domain="127.0.0.1", path="/")
    await other.go("/setup/2")
    assert other.path == "/setup/1"


async def test_two_people_at_once_make_one_admin(open_browser: OpenBrowser, code: Secret, db: Database) -> None:
    browsers = [open_browser(), open_browser()]
    for browser in browsers:
        await _to_step_2(browser, code)
    await asyncio.gather(
        *(
            browser.press("Make the account", email=f"root{number}@example.com", password=PASSWORD)
            for number, browser in enumerate(browsers)
        )
    )
    assert len(await _admins(db)) == 1
    assert sorted(browser.status for browser in browsers) == [200, 404]


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        ("root", PASSWORD, messages.ENTER_AN_EMAIL),
        ("", PASSWORD, messages.ENTER_AN_EMAIL),
        ("root@example.com", "elevenchars", "Enter a password of 12 or more characters"),
        ("root@example.com", "", "Enter a password of 12 or more characters"),
        ("root@example.com", "Password123456", "That password is on lists of stolen passwords. Choose another"),
        ("root@example.com", "abcabcabcabcabc", "That password is on lists of stolen passwords. Choose another"),
        ("root@example.com", "ä" * 400 + PASSWORD * 20, "Enter a shorter password"),
    ],
)
async def test_an_account_needs_an_email_and_a_good_password(
    browser: Browser, code: Secret, db: Database, email: str, password: str, said: str
) -> None:
    await _to_step_2(browser, code)
    await browser.press("Make the account", email=email, password=password)
    assert (browser.status, browser.page.text.count(said)) == (422, 2)
    assert browser.page.field("email").value == email
    assert not password or password not in browser.response.text
    assert await _admins(db) == []


async def test_the_email_of_a_user_is_taken(browser: Browser, code: Secret, make_user: MakeUser, db: Database) -> None:
    await make_user("root@example.com")
    await browser.go("/setup/1")
    await browser.press("Continue", code=code.reveal())
    await browser.press("Make the account", email="root@example.com", password=PASSWORD)
    assert "A user with that email exists already." in browser.page.text
    assert await _admins(db) == []


async def test_the_store_keeps_no_code(code: Secret, db: Database) -> None:
    async def work(tx: AsyncSession) -> list[str]:
        return [row.value for row in (await tx.exec(select(Setting))).all()]

    kept = await db.read(work)
    assert kept
    assert not any(code.reveal().replace("-", "") in value for value in kept)


async def test_there_is_no_code_once_there_is_an_admin(
    db: Database, make_user: MakeUser, clock: TurnedClock, code: Secret
) -> None:
    await make_user("root@example.com", "admin")
    assert await db.write(lambda tx: setup.setup_code(tx, clock())) is None
    assert await db.read(setup.current_proof) is None
