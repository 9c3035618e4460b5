"""What a form may hold that is never granted: the page says why, and keeps what was typed."""

import pytest

from broker.store.database import Database
from broker.store.tables import Credential, User
from broker.web.context import Web
from tests.browser import Browser
from tests.consent.conftest import Ask, SignIn, add_key, add_user
from tests.consent.stored import stored
from tests.turned_clock import NOON, TurnedClock

END = NOON // 1_000_000 + 604_800


@pytest.mark.parametrize(
    ("name", "typed", "sentence"),
    [
        ("budget", "", "Enter a spending limit"),
        ("budget", "abc", "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "0", "Spending limit must be $0.01 or more. To allow nothing, deny the request"),
        ("budget", "-1", "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "5.001", "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "1,0", "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "1e3", "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "１０", "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "9" * 20, "Enter the spending limit as an amount, like 5 or 5.50"),
        ("budget", "12.00", "Spending limit must be $5.00 or less, the amount Acme Notes asked for"),
        ("ends", "", "Choose when this ends"),
        ("ends", "soon", "Choose when this ends"),
        ("ends", str(NOON // 1_000_000), "Choose a later time: this one has passed"),
        ("ends", str(END + 1), "Choose a time before 28 Nov 2026, 13:05 UTC, the end Acme Notes asked for"),
        ("requests", "", "Enter requests as a whole number, like 500"),
        ("requests", "1.5", "Enter requests as a whole number, like 500"),
        ("requests", "0", "Requests must be 1 or more. To allow nothing, deny the request"),
        ("requests", "1001", "Requests must be 1,000 or less, the number Acme Notes asked for"),
        ("rpm", "31", "Requests must be 30 or less, the number Acme Notes asked for"),
        ("tpm", "many", "Enter tokens as a whole number, like 10000"),
        ("concurrent", "-2", "Enter requests at once as a whole number, like 2"),
        ("output", "0", "Tokens must be 1 or more. To allow nothing, deny the request"),
    ],
)
async def test_what_cannot_be_granted_is_said_beside_its_field(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock, name: str, typed: str, sentence: str
) -> None:
    request_id = await ask()
    page = await browser.go(f"/consent/{request_id}")
    page = await browser.submit(page.forms[0], "Approve", **{f"access-0-{name}": typed})
    assert browser.status == 422
    assert page.title.startswith("Error: ")
    assert (sentence, f"#access-0-{name}") in page.links
    field = page.field(f"access-0-{name}")
    assert field.attributes["aria-invalid"] == "true"
    assert f"access-0-{name}-e" in field.attributes["aria-describedby"]
    if field.kind != "select":
        assert field.value == typed
    assert "These are the last limits that were valid." in page.text
    seen = await stored(db, request_id, clock)
    assert (seen.request.state, seen.grants) == ("pending", [])


@pytest.mark.parametrize(
    ("name", "typed", "sentence"),
    [
        ("model", [], "Choose at least one model, or deny the request"),
        ("action", [], "Choose at least one capability, or deny the request"),
    ],
)
async def test_nothing_ticked_is_no_consent(
    browser: Browser, ask: Ask, key: Credential, name: str, typed: list[str], sentence: str
) -> None:
    page = await browser.go(f"/consent/{await ask()}")
    page = await browser.submit(page.forms[0], "Approve", **{f"access-0-{name}": typed})
    assert browser.status == 422
    assert (sentence, f"#access-0-{name}") in page.links


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("access-0-model", "gpt-5"),
        ("access-0-model", "*"),
        ("access-0-action", "images"),
        ("access-0-key", "crd_of_somebody_else"),
    ],
)
async def test_what_was_not_offered_is_never_granted(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock, name: str, value: str
) -> None:
    request_id = await ask()
    page = await browser.go(f"/consent/{request_id}")
    # A box more is ticked; of the key there is one field, which says another.
    pairs = [pair for pair in page.forms[0].filled("Approve", {}) if pair[0] != "access-0-key" or pair[0] != name]
    await browser.post(f"/consent/{request_id}", [*pairs, (name, value)])
    assert browser.status == 422
    assert (await stored(db, request_id, clock)).grants == []


async def test_a_key_of_another_person_is_never_lent(
    browser: Browser, ask: Ask, key: Credential, db: Database, web: Web, clock: TurnedClock
) -> None:
    theirs = await add_key(db, web, await add_user(db, "ben"), name="Ben’s")
    request_id = await ask()
    page = await browser.go(f"/consent/{request_id}")
    assert "Ben’s" not in page.text
    own = page.forms[0].filled("Approve", {})
    pairs = [(name, theirs.id if name == "access-0-key" else value) for name, value in own]
    assert ("access-0-key", theirs.id) in pairs
    page = await browser.post(f"/consent/{request_id}", pairs)
    assert (browser.status, (await stored(db, request_id, clock)).grants) == (422, [])
    assert "Choose which key to use" in page.text


async def test_a_form_that_is_not_this_browsers_own_decides_nothing(
    browser: Browser, sign_in: SignIn, ask: Ask, key: Credential, db: Database, clock: TurnedClock, ana: User
) -> None:
    request_id = await ask()
    page = await browser.go(f"/consent/{request_id}")
    other = await sign_in(ana)
    await other.post(f"/consent/{request_id}", page.forms[0].filled("Approve", {}))
    assert (other.status, other.page.h1) == (403, "This page is out of date")
    pairs = [(name, value) for name, value in page.forms[0].filled("Approve", {}) if name != "form_token"]
    await browser.post(f"/consent/{request_id}", pairs)
    assert browser.status == 403
    assert (await stored(db, request_id, clock)).request.state == "pending"
