"""An app that comes back goes on with the grant it has: the same id, the same counters, and nothing wider unasked."""

import json

import pytest

from broker.core.grant import GrantEvent
from broker.store import grants
from broker.store.database import Database
from broker.store.tables import Credential, User
from broker.web.context import Web
from tests.browser import Browser
from tests.consent.conftest import Ask, add_client, add_key, asked, press
from tests.consent.stored import Stored, change_count, counters, spend, stored
from tests.turned_clock import TurnedClock

SMALL = asked(models=["gpt-4.1-mini"], actions=["chat"], budget={"amount": "5.00", "currency": "USD"}, max_requests=100)


@pytest.fixture
async def before(browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock) -> Stored:
    """What the app has: $5.00, of which $1.84 is spent, and 12 of 100 requests."""
    request_id = await ask(SMALL)
    await browser.go(f"/consent/{request_id}")
    await browser.press("Approve")
    seen = await stored(db, request_id, clock)
    await spend(db, seen.only, 1_842_300, 12)
    clock.turn(3600)
    return seen


async def test_the_same_wish_again_is_a_reconnection_that_changes_nothing(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask(SMALL)
    page = await browser.go(f"/consent/{request_id}")
    assert page.h1 == "Reconnect Acme Notes?"
    assert "Same limits as before: $3.15 of $5.00 is left, ends 28 Nov 2026, 13:05 UTC." in page.text
    assert "up to $5.00 in total from Personal (OpenAI, sk-…9f2A), of which $1.85 is spent already" in page.text
    assert [each.label for each in page.forms[0].buttons] == ["Update summary", "Deny", "Reconnect"]
    assert "You approved it on 21 Nov 2026." in page.text
    looked = await change_count(db)
    page = await browser.press("Reconnect")
    assert "Nothing was added. Acme Notes keeps its current limits." in page.text
    after = await stored(db, request_id, clock)
    assert [grant.id for grant in after.grants] == [before.grants[0].id]
    assert after.only.model_dump() == before.only.model_dump()
    assert await counters(db, after.only) == {"money grant": (5_000_000, 1_842_300), "requests grant": (100, 12)}
    assert await change_count(db) == looked


async def test_limits_asked_for_count_from_now_on(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask(SMALL)
    page = await browser.go(f"/consent/{request_id}")
    assert "asked for $5.00 from now on, and has spent $1.85. You can enter up to $6.84." in page.text
    assert "asked for 100 from now on, and has made 12." in page.text
    page = await press(browser, "Reconnect", {"access-0-budget": "6.85", "access-0-requests": "113"})
    assert browser.status == 422
    said = "Spending limit must be $6.84 or less: the amount Acme Notes asked for, and the $1.85 it has spent"
    assert (said, "#access-0-budget") in page.links
    said = "Requests must be 112 or less: the number Acme Notes asked for, and the 12 it has made"
    assert (said, "#access-0-requests") in page.links
    page = await press(browser, "Reconnect", {"access-0-budget": "6.84", "access-0-requests": "112"})
    after = await stored(db, request_id, clock)
    assert (after.only.id, after.only.budget, after.only.max_requests) == (before.only.id, 6_840_000, 112)
    assert await counters(db, after.only) == {"money grant": (6_840_000, 1_842_300), "requests grant": (112, 12)}
    assert "It got less than it asked for: end 28 Nov 2026, 14:05 UTC → 28 Nov 2026, 13:05 UTC." in page.text


async def test_an_end_a_few_seconds_apart_reads_the_same_and_is_not_called_lowered(
    browser: Browser, ask: Ask, key: Credential, clock: TurnedClock
) -> None:
    await browser.go(f"/consent/{await ask(SMALL)}")
    await browser.press("Approve")
    clock.turn(20)
    await browser.go(f"/consent/{await ask(SMALL)}")
    page = await press(browser, "Reconnect", {"access-0-budget": "4.00"})
    assert "It got less than it asked for: spending limit $5.00 → $4.00. We tell" in page.text


async def test_a_wider_wish_is_held_against_what_there_is(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask(
        asked(
            models=["gpt-4.1-mini", "gpt-4.1"],
            budget={"amount": "20.00", "currency": "USD"},
            max_requests=None,
            expires_in=30 * 86_400,
        )
    )
    page = await browser.go(f"/consent/{request_id}")
    assert page.h1 == "Acme Notes asks for more of your OpenAI key"
    for row in (
        "Your current access keeps working, unchanged, unless you approve. Limit Now Asked for",
        "Spending $5.00 in total $20.00 in total Higher",
        "Ends 28 Nov 2026, 13:05 UTC in 30 days Longer",
        "Models gpt-4.1-mini adds gpt-4.1 New",
        "Capabilities chat adds embeddings New",
        "Requests in total 100 no limit Higher",
    ):
        assert row in page.text
    assert "Requests a minute 30" not in page.text
    assert page.text.index("Your current access") < page.text.index("If you approve, Acme Notes")
    assert [each.label for each in page.forms[0].buttons] == [
        "Update summary",
        "Deny the change",
        "Approve the change",
    ]
    assert page.field("access-0-budget").value == "5.00"
    assert page.field("access-0-requests").value == "100"
    ticked = {each.value for each in page.forms[0].fields if each.kind == "checkbox" and each.checked}
    assert ticked == {"gpt-4.1-mini", "chat"}
    page = await browser.press("Approve the change")
    assert "Nothing was added. Acme Notes keeps its current limits." in page.text
    assert "less than it asked for" not in page.text
    assert (await stored(db, request_id, clock)).only.model_dump() == before.only.model_dump()


async def test_only_what_is_chosen_is_added(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask(asked(models=["gpt-4.1*"], actions=["chat"], max_requests=100))
    page = await browser.go(f"/consent/{request_id}")
    boxes = [(each.value, each.checked) for each in page.forms[0].fields if each.name == "access-0-model"]
    assert boxes == [("gpt-4.1*", False), ("gpt-4.1-mini", True)]
    looked = await change_count(db)
    await press(browser, "Approve the change", {"access-0-model": ["gpt-4.1*", "gpt-4.1-mini"]})
    after = await stored(db, request_id, clock)
    assert json.loads(after.only.models) == ["gpt-4.1*"]
    assert await change_count(db) == looked  # nothing was taken away


async def test_a_smaller_wish_takes_away_what_it_leaves_out(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask(SMALL | {"budget": {"amount": "1.00", "currency": "USD"}, "max_requests": 5})
    page = await browser.go(f"/consent/{request_id}")
    assert page.h1 == "Reconnect Acme Notes?"
    assert "It asks for less than it has: $3.15 of $5.00 is left" in page.text
    assert "Spending $5.00 in total $1.00 in total Lower" in page.text
    looked = await change_count(db)
    await browser.press("Reconnect")
    after = await stored(db, request_id, clock)
    # What is used already and what is asked for from now on: no less than that could be meant.
    assert (after.only.budget, after.only.max_requests) == (2_842_300, 17)
    assert await change_count(db) == looked + 1


async def test_a_live_access_not_asked_for_stays_unless_it_is_unticked(
    browser: Browser, ask: Ask, before: Stored, db: Database, web: Web, ana: User, clock: TurnedClock
) -> None:
    await add_key(db, web, ana, provider="anthropic", name="Claude", key="sk-ant-0123456789")
    wish = asked(provider="anthropic", models=["claude-sonnet-4-5"], actions=["chat"])
    first = await ask(wish)
    page = await browser.go(f"/consent/{first}")
    assert "Anthropic key Nothing claude-sonnet-4-5, $5.00 in total New" in page.text
    assert page.field("access-0-drop").checked
    assert "Keep what it has of OpenAI" in page.text
    await press(browser, "Approve the change", {"access-0-drop": []})
    both = await stored(db, first, clock)
    assert [(access.position, access.provider) for access in both.accesses] == [(0, "openai"), (1, "anthropic")]
    assert both.accesses[0].model_dump() == before.only.model_dump()
    looked = await change_count(db)
    second = await ask(wish)
    await browser.go(f"/consent/{second}")
    page = await press(browser, "Reconnect", {"keep": []})
    after = await stored(db, second, clock)
    assert [access.provider for access in after.accesses] == ["anthropic"]
    assert await change_count(db) == looked + 1
    assert "Personal" not in page.text


async def test_accesses_go_on_by_provider_and_rank(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    cheap, dear = asked(models=["gpt-4.1-mini"], actions=["chat"]), asked(models=["gpt-4.1"], actions=["chat"])
    first, second = await ask(cheap, dear), await ask(cheap, dear)
    for request_id, button in ((first, "Approve"), (second, "Reconnect")):
        await browser.go(f"/consent/{request_id}")
        await browser.press(button)
    assert [each.id for each in (await stored(db, first, clock)).accesses] == [
        each.id for each in (await stored(db, second, clock)).accesses
    ]


async def test_a_budget_that_renews_is_not_raised_by_what_was_spent(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    daily = asked(budget={"amount": "3.00", "currency": "USD", "per": "day"})
    first = await ask(daily)
    await browser.go(f"/consent/{first}")
    await browser.press("Approve")
    await spend(db, (await stored(db, first, clock)).only, 1_000_000, 1)
    second = await ask(daily)
    page = await browser.go(f"/consent/{second}")
    assert "asked for $3.00 a day. You can enter less, not more." in page.text
    await press(browser, "Reconnect", {"access-0-budget": "3.01"})
    assert browser.status == 422


async def test_a_changed_period_starts_a_new_counter(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask(SMALL | {"budget": {"amount": "5.00", "currency": "USD", "per": "day"}})
    page = await browser.go(f"/consent/{request_id}")
    assert "Spending $5.00 in total $5.00 a day New" in page.text
    await press(browser, "Approve the change", {"access-0-budget": "4.00"})
    after = await stored(db, request_id, clock)
    assert after.only.budget_per == "day"
    found = await counters(db, after.only)
    assert (found["money day"], found["money grant"]) == ((4_000_000, 0), (5_000_000, 1_842_300))


async def test_after_the_end_a_new_grant_is_made(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    clock.turn(604_800)
    await browser.go("/signed-in/usr_ana")
    request_id = await ask(SMALL)
    page = await browser.go(f"/consent/{request_id}")
    assert page.h1 == "Acme Notes wants to use your OpenAI key"
    await browser.press("Approve")
    after = await stored(db, request_id, clock)
    assert after.request.grant_id != before.grants[0].id
    assert len(after.grants) == 2


async def test_a_revoked_grant_is_not_gone_on_with(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    await db.write(lambda tx: grants.move(tx, before.grants[0].id, GrantEvent.REVOKE, clock()))
    request_id = await ask(SMALL)
    await browser.go(f"/consent/{request_id}")
    await browser.press("Approve")
    assert (await stored(db, request_id, clock)).request.grant_id != before.grants[0].id


async def test_a_paused_app_stays_paused(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    await db.write(lambda tx: grants.move(tx, before.grants[0].id, GrantEvent.PAUSE, clock()))
    request_id = await ask(SMALL)
    page = await browser.go(f"/consent/{request_id}")
    assert "Acme Notes is paused. Approving does not resume it." in page.text
    await browser.press("Reconnect")
    (grant,) = (await stored(db, request_id, clock)).grants
    assert grant.state == "paused"


async def test_denying_the_change_leaves_everything_as_it_was(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    await browser.press("Deny the change")
    accesses = await db.read(lambda tx: grants.load_accesses(tx, before.grants[0].id))
    assert [access.model_dump() for access in accesses] == [before.only.model_dump()]


async def test_another_app_makes_another_grant(
    browser: Browser, ask: Ask, before: Stored, db: Database, clock: TurnedClock
) -> None:
    other = await add_client(db, "Old Bot")
    request_id = await ask(SMALL, client=other)
    page = await browser.go(f"/consent/{request_id}")
    assert page.h1 == "Old Bot wants to use your OpenAI key"
    await browser.press("Approve")
    assert len((await stored(db, request_id, clock)).grants) == 2
