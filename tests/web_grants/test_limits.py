import json

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Budget
from broker.core.clock import DAY, MINUTE, SECOND, to_seconds
from broker.core.money import MicroUSD
from broker.core.secret import Secret
from broker.ledger.limits import figures
from broker.store import changes
from broker.store.database import Database
from broker.store.grant_tables import Grant
from broker.store.tables import AuditEntry, User
from tests.browser import Browser
from tests.html import Page
from tests.turned_clock import NOON, TurnedClock
from tests.web_grants.conftest import BrowserOf
from tests.web_grants.lending import Lending, element, words

SAVE = "Save limits"


@pytest.fixture
async def grant(lending: Lending, ana: User) -> Grant:
    key = await lending.key(ana, NOON - DAY)
    return await lending.grant(ana, await lending.client(), NOON - DAY, (key, element(NOON - DAY)))


@pytest.fixture
async def form(browser: Browser, grant: Grant) -> Browser:
    """The form of that grant, open."""
    await browser.go(f"/grants/{grant.id}/limits")
    return browser


async def _save(browser: Browser, prefix: str = "access-0-", /, **typed: str | list[str]) -> Page:
    """Fills in fields of one access by their short names, and saves."""
    (shown,) = [each for each in browser.page.forms if each.action.endswith("/limits")]
    return await browser.submit(shown, SAVE, **{prefix + name: value for name, value in typed.items()})


async def _audit(db: Database) -> list[dict[str, object]]:
    async def work(tx: AsyncSession) -> list[str]:
        return list((await tx.exec(select(AuditEntry.details).where(AuditEntry.event == "grant.limits_changed"))).all())

    return [json.loads(details) for details in await db.read(work)]


@pytest.mark.parametrize("limit", ["budget", "requests"])
async def test_a_refused_app_leads_to_the_field_of_which_the_least_is_left(
    browser: Browser, lending: Lending, ana: User, limit: str
) -> None:
    key = await lending.key(ana, NOON - DAY)
    more, less = (
        element(NOON - DAY, budget=Budget(MicroUSD(amount)), max_requests=amount // 1_000_000)
        for amount in (5_000_000, 2_000_000)
    )
    grant = await lending.grant(ana, await lending.client(), NOON - DAY, (key, more), (key, less))
    for query, focused in (("", []), (f"?raise={limit}", [f"access-1-{limit}"]), ("?raise=models", [])):
        page = await browser.go(f"/grants/{grant.id}/limits{query}")
        assert [each.name for form in page.forms for each in form.fields if "autofocus" in each.attributes] == focused


async def test_lowering_the_spending_limit_holds_from_now_on(
    form: Browser, lending: Lending, db: Database, grant: Grant
) -> None:
    before = await db.read(changes.count)
    page = await _save(form, budget="3.00")
    assert "Saved. Spending limit $5.00 → $3.00 from 13:05:00 UTC." in page.text
    assert "$0.00 of $3.00" in page.text
    assert "Limits changed by you: Spending limit $5.00 → $3.00" in page.text
    (access,) = await lending.accesses(grant)
    money = (await db.read(lambda tx: figures(tx, access, NOON))).money
    assert (access.budget, money.limit, money.remaining) == (3_000_000, 3_000_000, 3_000_000)
    assert await db.read(changes.count) == before + 1
    assert await _audit(db) == [{"changes": "Spending limit $5.00 → $3.00", "raised": False}]


async def test_raising_is_the_persons_own_and_audited_as_theirs(
    form: Browser, lending: Lending, db: Database, grant: Grant
) -> None:
    before = await db.read(changes.count)
    page = await _save(form, budget="50", requests="", rpm="60")
    assert "Spending limit $5.00 → $50.00, Requests in total 1,000 → no limit, Requests a minute 30 → 60" in page.text
    (access,) = await lending.accesses(grant)
    assert (access.budget, access.max_requests, access.requests_per_minute) == (50_000_000, None, 60)
    assert (await _audit(db))[0]["raised"] is True
    assert await db.read(changes.count) == before


async def test_a_limit_below_what_is_spent_is_asked_twice(
    form: Browser, lending: Lending, db: Database, grant: Grant
) -> None:
    await lending.call(grant, NOON - MINUTE, 1_840_000)
    page = await _save(form, budget="1.00", model=["gpt-4.1-mini"])
    assert page.h1 == "Stop Acme Notes with these limits?"
    said = "Spending limit is below the $1.84 already spent, so Acme Notes stops at once. Save anyway?"
    assert said in page.text
    assert await _audit(db) == []
    page = await form.press("Save anyway")
    assert "Saved. Spending limit $5.00 → $1.00, Models without text-embedding-3-small from" in page.text
    assert page.h1 == "Acme Notes Limit reached"
    assert "$1.84 of $1.00" in page.text
    (access,) = await lending.accesses(grant)
    money = (await db.read(lambda tx: figures(tx, access, NOON))).money
    assert (money.limit, money.remaining) == (1_000_000, 0)


async def test_fewer_requests_than_were_made_are_asked_twice(form: Browser, lending: Lending, grant: Grant) -> None:
    await lending.call(grant, NOON - MINUTE, 1)
    await lending.call(grant, NOON - MINUTE, 1)
    page = await _save(form, requests="1")
    assert "Requests in total is below the 2 already made, so Acme Notes stops at once." in page.text
    await form.press("Save anyway")
    assert "2 of 1 100% used. 0 left. Limit reached." in words(form.response.text)


async def test_models_and_capabilities_can_be_taken_away(form: Browser, lending: Lending, grant: Grant) -> None:
    page = await _save(form, model=["gpt-4.1-mini"], action=["chat"])
    assert "Models without text-embedding-3-small, Capabilities without embeddings" in page.text
    (access,) = await lending.accesses(grant)
    assert (json.loads(access.models), json.loads(access.actions)) == (["gpt-4.1-mini"], ["chat"])


async def test_what_the_app_never_asked_for_cannot_be_added(
    form: Browser, lending: Lending, db: Database, grant: Grant
) -> None:
    (shown,) = [each for each in form.page.forms if each.action.endswith("/limits")]
    pairs = [*shown.filled(SAVE, {}), ("access-0-model", "gpt-5-pro"), ("access-0-action", "images")]
    await form.post(f"/grants/{grant.id}/limits", pairs)
    assert "Nothing was changed." in form.page.text
    (access,) = await lending.accesses(grant)
    assert "gpt-5-pro" not in access.models
    assert await _audit(db) == []


async def test_the_end_can_be_brought_nearer_and_put_off(form: Browser, lending: Lending, grant: Grant) -> None:
    page = await _save(form, ends="3600")
    assert "End 27 Nov 2026, 13:05 UTC → 21 Nov 2026, 14:05 UTC" in page.text
    (access,) = await lending.accesses(grant)
    assert access.ends_at == NOON + 60 * MINUTE
    await form.go(f"/grants/{grant.id}/limits")
    await _save(form, ends=str(90 * 86_400))
    (access,) = await lending.accesses(grant)
    assert access.ends_at == NOON + 90 * DAY


@pytest.mark.parametrize(
    ("field", "typed", "says"),
    [
        ("budget", "", "Enter a spending limit"),
        ("budget", "abc", "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "-1", "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "5.001", "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "1,0", "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "0", "Spending limit must be $0.01 or more. To allow nothing, pause or revoke the app"),
        ("budget", "50.01", "Spending limit must be $50.00 or less, the most that this server lets you give"),
        ("ends", "7776001", "The end must be 90 days from now or sooner"),
        ("ends", "0", "Choose when this ends"),
        ("ends", "soon", "Choose when this ends"),
        ("requests", "many", "Enter requests in total as a whole number, like 500"),
        ("requests", "0", "Requests in total must be 1 or more. To allow none, pause the app"),
        ("rpm", "1.5", "Enter requests a minute as a whole number, like 500"),
        ("key", "crd_of_somebody_else", "Choose which key to use"),
    ],
)
async def test_what_cannot_be_saved_is_said_beside_its_field_and_kept(
    form: Browser, lending: Lending, grant: Grant, field: str, typed: str, says: str
) -> None:
    before = await lending.accesses(grant)
    page = await _save(form, **{field: typed, "tpm": "777"})
    assert form.status == 422
    assert page.title.startswith("Error: ")
    assert (says, f"#access-0-{field}") in page.links
    assert page.field("access-0-tpm").value == "777"
    if field not in ("ends", "key"):
        assert page.field(f"access-0-{field}").attributes["aria-invalid"] == "true"
        assert page.field(f"access-0-{field}").value == typed
    assert await lending.accesses(grant) == before


@pytest.mark.parametrize(("field", "noun"), [("model", "model"), ("action", "capability")])
async def test_nothing_left_to_use_is_no_limit(form: Browser, field: str, noun: str) -> None:
    page = await _save(form, **{field: list[str]()})
    assert form.status == 422
    assert (f"Choose at least one {noun}, or revoke the app", f"#access-0-{field}") in page.links


async def test_saving_what_stands_there_changes_nothing(
    form: Browser, lending: Lending, db: Database, grant: Grant
) -> None:
    before = await lending.accesses(grant)
    page = await form.press(SAVE)
    assert "Nothing was changed." in page.text
    assert await lending.accesses(grant) == before
    assert await _audit(db) == []


async def test_a_budget_the_operator_gave_above_the_cap_may_stay(browser: Browser, lending: Lending, ana: User) -> None:
    key = await lending.key(ana, NOON)
    big = element(NOON, budget=Budget(MicroUSD(80_000_000)))
    grant = await lending.grant(ana, await lending.client(), NOON, (key, big))
    await browser.go(f"/grants/{grant.id}/limits")
    await _save(browser, rpm="10")
    (access,) = await lending.accesses(grant)
    assert (access.budget, access.requests_per_minute) == (80_000_000, 10)


@pytest.fixture
async def lent_by_the_operator(lending: Lending, ana: User) -> Grant:
    """On a key that she could not have lent by herself."""
    key = await lending.key(None, NOON, "Office", key=Secret("sk-test-bbbbbbbbbbbbbbbb77Qa"))
    given = element(NOON, budget=Budget(MicroUSD(1_000_000)), max_requests=500)
    return await lending.grant(ana, await lending.client(), NOON, (key, given))


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"budget": "1.01"}, "Spending limit must be $1.00 or less, the most that this server lets you give"),
        ({"requests": "501"}, "must be 500 or less, the most that this server lets you give"),
        ({"requests": ""}, "must be 500 or less, the most that this server lets you give"),
        ({"ends": str(90 * 86_400)}, "from now or sooner"),
    ],
)
async def test_what_the_operator_lent_is_not_raised_by_whom_it_was_lent_to(
    browser: Browser, lending: Lending, lent_by_the_operator: Grant, typed: dict[str, str | list[str]], problem: str
) -> None:
    before = await lending.accesses(lent_by_the_operator)
    page = await browser.go(f"/grants/{lent_by_the_operator.id}/limits")
    assert "only they can raise them" in page.text
    page = await _save(browser, **typed)
    assert (browser.status, problem in page.text) == (422, True)
    assert await lending.accesses(lent_by_the_operator) == before


async def test_what_the_operator_lent_is_lowered_or_moved_to_a_key_of_ones_own(
    browser: Browser, lending: Lending, ana: User, lent_by_the_operator: Grant
) -> None:
    own = await lending.key(ana, NOON)
    path = f"/grants/{lent_by_the_operator.id}/limits"
    await browser.go(path)
    await _save(browser, budget="0.50")
    await browser.go(path)
    await _save(browser, budget="5", key=own.id)
    (access,) = await lending.accesses(lent_by_the_operator)
    assert (access.budget, access.credential_id) == (5_000_000, own.id)


async def test_who_may_lend_the_operators_key_may_also_raise_what_spends_from_it(
    lending: Lending, browser_of: BrowserOf
) -> None:
    key, root = await lending.key(None, NOON, "Office"), await lending.user("root", NOON, role="admin")
    grant = await lending.grant(root, await lending.client(), NOON, (key, element(NOON)))
    admin = await browser_of(root)
    await admin.go(f"/grants/{grant.id}/limits")
    await _save(admin, budget="9")
    assert [access.budget for access in await lending.accesses(grant)] == [9_000_000]


async def test_another_key_of_ones_own_can_take_over(
    browser: Browser, lending: Lending, ana: User, grant: Grant
) -> None:
    work = await lending.key(ana, NOON, "Work", key=Secret("sk-test-bbbbbbbbbbbbbbbb77Qa"))
    page = await browser.go(f"/grants/{grant.id}/limits")
    assert "Personal (OpenAI, sk-…9f2A)" in page.text
    page = await _save(browser, key=work.id)
    assert "Saved. Another key from" in page.text
    assert "uses Work (OpenAI, sk-…77Qa)" in page.text


async def test_each_access_is_changed_by_its_own_fields(browser: Browser, lending: Lending, ana: User) -> None:
    one, two = await lending.key(ana, NOON), await lending.key(ana, NOON, "Work", "anthropic")
    claude = element(NOON, provider="anthropic", models=("claude-sonnet-4-5",))
    grant = await lending.grant(ana, await lending.client(), NOON, (one, element(NOON)), (two, claude))
    await browser.go(f"/grants/{grant.id}/limits")
    await _save(browser, "access-1-", budget="2")
    assert [access.budget for access in await lending.accesses(grant)] == [5_000_000, 2_000_000]


async def test_an_ended_grant_has_no_limits_to_change(
    form: Browser, clock: TurnedClock, lending: Lending, ana: User
) -> None:
    short = element(NOON, expires_at=to_seconds(NOON + 60 * SECOND))
    grant = await lending.grant(ana, await lending.client(), NOON, (await lending.key(ana, NOON), short))
    await form.go(f"/grants/{grant.id}/limits")
    clock.turn(60)
    page = await _save(form, budget="1")
    assert form.status == 409
    assert page.h1 == "This app has ended"
    await form.go(f"/grants/{grant.id}/limits")
    assert form.path == f"/grants/{grant.id}"
