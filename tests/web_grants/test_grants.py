import json

import pytest

from broker.core.access import Access as Element
from broker.core.access import Budget
from broker.core.clock import DAY, MINUTE, to_seconds
from broker.core.grant import GrantEvent
from broker.core.money import MicroUSD
from broker.store import grants, lent
from broker.store.database import Database
from broker.store.grant_tables import GrantRequest
from broker.store.tables import Client, Credential, User
from broker.web.words import HOUR
from tests.browser import Browser
from tests.html import Page
from tests.turned_clock import NOON
from tests.web_grants.conftest import BrowserOf
from tests.web_grants.lending import Lending, at, element, words


@pytest.fixture
async def key(lending: Lending, ana: User) -> Credential:
    return await lending.key(ana, NOON - 60 * DAY)


def _month(**changed: object) -> Element:
    return element(NOON, expires_at=to_seconds(NOON + 30 * DAY), **changed)


async def test_an_account_that_lends_nothing_is_told_what_happens_when_an_app_asks(browser: Browser) -> None:
    page = await browser.go("/grants")
    assert "No app can use your keys." in page.text
    assert ("Add a provider key", "/keys/new") in page.links


async def test_the_three_figures_are_sums_of_what_is_lent(
    browser: Browser, lending: Lending, ana: User, key: Credential
) -> None:
    one = await lending.grant(ana, await lending.client("One"), NOON - DAY, (key, _month()))
    two = await lending.grant(ana, await lending.client("Two"), NOON - DAY, (key, _month()))
    await lending.call(one, NOON - HOUR, 1_840_000)
    await lending.call(one, NOON - MINUTE, state="held", hold=120_000)
    await lending.call(two, NOON - HOUR, 560_000)
    await browser.go("/grants")
    said = words(browser.response.text)
    assert "Active apps 2" in said
    assert "Spent this month $2.40" in said
    assert "Most that could still be spent $7.60" in said


async def test_a_month_begins_where_the_reader_is(lending: Lending, browser_of: BrowserOf) -> None:
    ben = await lending.user("ben", NOON, zone="Europe/Berlin")
    key = await lending.key(ben, NOON)
    grant = await lending.grant(ben, await lending.client(), at(2026, 10, 1, 0, 0), (key, _month()))
    await lending.call(grant, at(2026, 10, 31, 22, 30), 1_000_000)
    await lending.call(grant, at(2026, 10, 31, 23, 30), 250_000)
    browser = await browser_of(ben)
    await browser.go("/grants")
    assert "Spent this month $0.25" in words(browser.response.text)


async def test_a_new_day_gives_the_whole_of_a_daily_limit_again(
    browser: Browser, lending: Lending, ana: User, key: Credential
) -> None:
    daily = _month(budget=Budget(MicroUSD(1_000_000), "day"))
    grant = await lending.grant(ana, await lending.client(), NOON - DAY, (key, daily))
    await lending.call(grant, NOON - DAY, 900_000)
    await browser.go("/grants")
    assert "Most that could still be spent $1.00" in words(browser.response.text)


async def test_each_app_has_its_own_pause_and_revoke(
    browser: Browser, lending: Lending, ana: User, key: Credential
) -> None:
    for name in ("Acme Notes", "Trip Planner"):
        await lending.grant(ana, await lending.client(name), NOON - DAY, (key, _month()))
    page = await browser.go("/grants")
    buttons = [button.label for form in page.forms for button in form.buttons]
    assert {"Pause Acme Notes", "Pause Trip Planner"} <= set(buttons)
    assert {"Revoke Acme Notes", "Revoke Trip Planner"} <= {text for text, _ in page.links}
    page = await browser.press("Pause Trip Planner")
    assert browser.path == "/grants"
    assert "Paused. Trip Planner is refused" in page.text
    assert "Resume Trip Planner" in [button.label for form in page.forms for button in form.buttons]


async def test_what_needs_a_look_comes_first(browser: Browser, lending: Lending, ana: User, key: Credential) -> None:
    old = await lending.grant(ana, await lending.client("Old Bot"), NOON - 41 * DAY, (key, _month()))
    await lending.call(old, NOON - 41 * DAY, 560_000)
    await lending.grant(ana, await lending.client("Acme Notes"), NOON - DAY, (key, _month()))
    full = await lending.grant(ana, await lending.client("Trip Planner"), NOON - DAY, (key, _month()))
    await lending.call(full, NOON - DAY, 5_000_000)
    soon = element(NOON, expires_at=to_seconds(NOON + DAY))
    await lending.grant(ana, await lending.client("Draft"), NOON - DAY, (key, soon))
    await lending.grant(ana, await lending.client("Shady", verified=0), NOON - DAY, (key, _month()))
    page = await browser.go("/grants")
    names = [text for text, href in page.links if href.startswith("/grants/grt_") and not text.startswith("Revoke")]
    assert names == ["Trip Planner", "Draft", "Shady", "Old Bot", "Acme Notes"]
    said = words(browser.response.text)
    assert "Old Bot acme.example Personal (OpenAI) $0.56 of $5.00 41 days ago" in said
    for tag in ("Limit reached", "Ends soon", "Not used for 30 days", "Active"):
        assert tag in said


async def test_a_waiting_request_can_be_answered_from_here(
    browser: Browser, lending: Lending, db: Database, ana: User
) -> None:
    client = await lending.client("Draft CLI")
    await _ask(lending, db, client, ana, "grq_0000000000000000000001", NOON + 10 * MINUTE)
    await _ask(lending, db, client, ana, "grq_0000000000000000000002", NOON)
    page = await browser.go("/grants")
    assert "Waiting for you (1)" in page.text
    assert "Draft CLI asks to spend up to $2.00 on Anthropic. The request ends at 13:15 UTC." in page.text
    assert ("Review the request from Draft CLI", "/consent/grq_0000000000000000000001") in page.links


async def _ask(lending: Lending, db: Database, client: Client, user: User, request_id: str, ends_at: int) -> None:
    asked = [
        {
            "type": "ai_model_access",
            "provider": "anthropic",
            "models": ["claude-sonnet-4-5"],
            "actions": ["chat"],
            "budget": {"amount": "2.00", "currency": "USD"},
        }
    ]
    row = GrantRequest(
        id=request_id,
        client_id=client.id,
        redirect_uri="https://acme.example/callback",
        code_challenge="-",
        asked=json.dumps(asked),
        created_at=NOON,
        opened_at=NOON,
        ends_at=ends_at,
        user_id=user.id,
    )
    await lending.add(row)


async def test_all_apps_are_paused_by_one_confirmed_press(
    browser: Browser, lending: Lending, db: Database, ana: User, key: Credential, browser_of: BrowserOf
) -> None:
    mine = [await lending.grant(ana, await lending.client(name), NOON, (key, _month())) for name in ("A", "B", "C")]
    eve = await lending.user("eve", NOON)
    hers = await lending.grant(eve, await lending.client(), NOON, (await lending.key(eve, NOON), _month()))
    await browser.go("/grants")
    page = await browser.follow("Pause all apps…")
    assert page.h1 == "Pause all 3 apps?"
    assert "They are refused at once. You can resume them one by one." in page.text
    page = await browser.press("Pause all 3 apps")
    assert "3 apps are paused and refused from 13:05:00 UTC." in page.text
    states = [await db.read(lambda tx, each=each: grants.load(tx, each.id)) for each in (*mine, hers)]  # type: ignore[misc]
    assert [row.state for row in states if row] == ["paused", "paused", "paused", "active"]
    noted = await db.read(lambda tx: lent.history_of(tx, mine[1].id, without=(), most=9))
    assert [(entry.event, entry.actor, entry.details) for entry in noted] == [("grant.paused", ana.pseudonym, "{}")]
    page = await browser.go("/grants/pause-all")
    assert page.h1 == "No app is active"


async def test_an_app_past_its_end_is_not_paused_with_the_others(
    browser: Browser, lending: Lending, db: Database, ana: User, key: Credential
) -> None:
    past = await lending.grant(
        ana, await lending.client("Past"), NOON - DAY, (key, element(NOON, expires_at=to_seconds(NOON)))
    )
    await lending.grant(ana, await lending.client("Running"), NOON, (key, _month()))
    page = await browser.go("/grants/pause-all")
    assert page.h1 == "Pause the one active app?"
    page = await browser.press("Pause Running")
    assert "1 app is paused" in page.text
    row = await db.read(lambda tx: grants.load(tx, past.id))
    assert row is not None
    assert row.state == "active"


async def test_ended_apps_keep_their_final_cost(browser: Browser, lending: Lending, ana: User, key: Credential) -> None:
    grant = await lending.grant(ana, await lending.client(), NOON - DAY, (key, _month()))
    await lending.call(grant, NOON - HOUR, 1_840_000)
    await browser.go(f"/grants/{grant.id}/revoke")
    page = await browser.press("Revoke Acme Notes")
    assert "Ended apps (1)" in page.text
    said = words(browser.response.text)
    assert "Acme Notes acme.example $1.84 21 Nov 2026 Revoked" in said
    assert "Active apps 0" in said


async def test_with_the_limit_reached_every_page_still_answers(
    browser: Browser, lending: Lending, ana: User, key: Credential
) -> None:
    grant = await lending.grant(ana, await lending.client(), NOON - DAY, (key, _month()))
    await lending.call(grant, NOON - HOUR, 5_000_000)
    for path in ("/grants", f"/grants/{grant.id}", f"/grants/{grant.id}/limits", "/keys"):
        await browser.go(path)
        assert browser.status == 200


@pytest.mark.parametrize("path", ["/grants", "/grants/pause-all", "/grants/x", "/keys", "/keys/new"])
async def test_who_is_not_signed_in_is_led_to_sign_in(browser: Browser, path: str) -> None:
    browser.client.cookies.clear()
    await browser.go(path)
    assert browser.path.startswith("/sign-in")


@pytest.mark.parametrize("path", ["/grants/pause-all", "/keys/new"])
async def test_a_form_from_elsewhere_is_refused(browser: Browser, path: str) -> None:
    browser.says_where_from = False
    await browser.go(path)
    pairs = [("form_token", "forged")]
    await browser.post(path, pairs)
    assert browser.status == 403


async def test_a_long_list_comes_in_pages_and_the_figures_are_of_all(
    browser: Browser, lending: Lending, ana: User, key: Credential, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.web.grants.ROWS", 2)
    for number in range(5):
        grant = await lending.grant(ana, await lending.client(f"App {number}"), NOON - DAY, (key, _month()))
        await lending.call(grant, NOON - number * MINUTE, 1_000_000)
    gone = [
        await lending.grant(ana, await lending.client(f"Gone {n}"), NOON - DAY - n, (key, _month())) for n in range(3)
    ]
    for grant in gone:
        await db.write(lambda tx, each=grant: grants.move(tx, each.id, GrantEvent.REVOKE, NOON, by="ana"))  # type: ignore[misc]
    page = await browser.go("/grants")
    said = words(browser.response.text)
    assert "Active apps 5" in said
    assert "Spent this month $5.00" in said
    assert "Ended apps (3)" in said
    assert _apps(page) == ["App 0", "App 1", "Gone 0", "Gone 1"]
    assert dict(page.links)["More apps"] == "/grants?page=1"
    assert _apps(await browser.go("/grants?page=1"))[:2] == ["App 2", "App 3"]
    last = await browser.go("/grants?page=2")
    assert _apps(last)[:1] == ["App 4"]
    assert (dict(last.links)["Previous apps"], "More apps" in dict(last.links)) == ("/grants?page=1", False)
    assert "Gone 2" in _apps(await browser.go("/grants?ended=1"))
    assert _apps(await browser.go("/grants?page=999999999"))[:1] == ["App 4"]
    assert _apps(await browser.go("/grants?page=x"))[:1] == ["App 0"]


def _apps(page: Page) -> list[str]:
    return [text for text, href in page.links if href.startswith("/grants/grt_") and not text.startswith("Revoke")]
