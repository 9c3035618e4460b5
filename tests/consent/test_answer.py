"""What a person's answer comes to: what is on the page is what is granted, and never more than was asked for."""

import json
from urllib.parse import parse_qs, urlsplit

from broker.core.access import first_excess
from broker.core.details import parse_details
from broker.core.handle import digest
from broker.store.database import Database
from broker.store.tables import Client, Credential, User
from broker.web.context import Web
from tests.browser import Browser
from tests.consent.conftest import CALLBACK, Ask, Typed, add_client, add_key, asked, press
from tests.consent.stored import audited, counters, stored
from tests.turned_clock import NOON, TurnedClock

END = NOON // 1_000_000 + 604_800

NARROWED: Typed = {
    "access-0-budget": "2.00",
    "access-0-ends": str(NOON // 1_000_000 + 86_400),
    "access-0-model": ["gpt-4.1-mini"],
    "access-0-action": ["chat"],
    "access-0-requests": "500",
    "access-0-rpm": "10",
    "access-0-tpm": "20,000",
    "access-0-concurrent": "2",
    "access-0-output": "800",
}


async def test_approving_untouched_grants_what_was_asked_for(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    page = await browser.press("Approve")
    assert (browser.status, page.h1) == (200, "Approved")
    assert page.title == "Approved – returning to Acme Notes"
    assert "Acme Notes can spend up to $5.00 from Personal (OpenAI) until 28 Nov 2026, 13:05 UTC." in page.text
    assert "You lowered" not in page.text
    access = (await stored(db, request_id, clock)).only
    assert (access.budget, access.budget_per, access.credential_id) == (5_000_000, "grant", key.id)
    assert (json.loads(access.models), json.loads(access.actions)) == (asked()["models"], asked()["actions"])
    assert (access.max_requests, access.requests_per_minute, access.ends_at) == (1000, 30, END * 1_000_000)
    assert (access.tokens_per_minute, access.concurrent, access.max_output_tokens) == (None, None, None)
    assert await counters(db, access) == {"money grant": (5_000_000, 0), "requests grant": (1000, 0)}


async def test_every_field_can_be_lowered_and_page_rows_and_details_agree(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    page = await press(browser, "Approve", NARROWED)
    assert "can spend up to $2.00 from Personal (OpenAI) until 22 Nov 2026, 13:05 UTC." in page.text
    assert (
        "You lowered: spending limit $5.00 → $2.00, end 28 Nov 2026, 13:05 UTC → 22 Nov 2026, 13:05 UTC, "
        "models without text-embedding-3-small, capabilities without embeddings, requests in total 1,000 → 500, "
        "requests a minute 30 → 10, tokens a minute no limit → 20,000, requests at once no limit → 2, "
        "most output tokens a request no limit → 800. We tell Acme Notes what it got."
    ) in page.text
    seen = await stored(db, request_id, clock)
    (granted,) = seen.granted
    wire = granted.to_wire()
    assert wire["budget"] == {"amount": "2.00", "currency": "USD", "per": "grant"}
    assert (wire["models"], wire["actions"]) == (["gpt-4.1-mini"], ["chat"])
    assert wire["rate_limit"] == {"requests_per_minute": 10, "tokens_per_minute": 20_000, "concurrent": 2}
    assert (wire["max_requests"], wire["max_output_tokens"]) == (500, 800)
    assert wire["expires_at"] == NOON // 1_000_000 + 86_400
    assert await counters(db, seen.only) == {"money grant": (2_000_000, 0), "requests grant": (500, 0)}


async def test_the_page_leads_back_with_code_and_state(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    page = await browser.press("Approve")
    (refresh,) = [found["content"] for tag, found in page.tags if tag == "meta" and "http-equiv" in found]
    assert refresh.startswith(f"0;url={CALLBACK}?")
    assert ("Continue to Acme Notes", refresh.removeprefix("0;url=")) in page.links
    answer = parse_qs(urlsplit(refresh.removeprefix("0;url=")).query)
    assert (answer["state"], answer["iss"]) == (["state-1"], [browser.url])
    assert browser.response.headers["referrer-policy"] == "no-referrer"
    assert "cross-origin-opener-policy" not in browser.response.headers
    seen = await stored(db, request_id, clock)
    assert seen.request.sealed_code
    assert answer["code"][0] not in seen.request.sealed_code
    ((actor, object_id, details),) = await audited(db, "consent.approved")
    assert (actor, object_id) == ("person_ana", seen.grants[0].id)
    assert details["asked"] == digest(seen.request.asked)
    assert details["granted"] == digest(seen.request.granted)
    assert (details["budget"], details["effect"]) == (5_000_000, "new")


async def test_denying_leaves_nothing_and_tells_the_app(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    await browser.go(f"/consent/{request_id}")
    page = await browser.press("Deny")
    assert (browser.status, page.h1) == (200, "Denied")
    assert "Acme Notes gets nothing: no access, no key, no spending." in page.text
    (link,) = [href for text, href in page.links if text == "Return to Acme Notes"]
    assert parse_qs(urlsplit(link).query) == {
        "error": ["access_denied"],
        "state": ["state-1"],
        "iss": [browser.url],
    }
    seen = await stored(db, request_id, clock)
    assert (seen.request.state, seen.grants) == ("denied", [])
    assert [entry[:2] for entry in await audited(db, "consent.denied")] == [("person_ana", request_id)]


async def test_enter_updates_the_summary_and_decides_nothing(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask()
    page = await browser.go(f"/consent/{request_id}")
    (form,) = page.forms
    assert [(each.label, each.value) for each in form.buttons] == [
        ("Update summary", "review"),
        ("Deny", "deny"),
        ("Approve", "approve"),
    ]
    page = await press(browser, "Update summary", NARROWED)
    assert (browser.status, browser.path) == (200, f"/consent/{request_id}")
    assert "can spend up to $2.00 in total" in page.text
    assert "; it asked for $5.00" in page.text
    assert "can use 1 model: gpt-4.1-mini" in page.text
    assert "up to 500 requests, at most 10 a minute, at most 20,000 tokens a minute, at most 2 at once" in page.text
    assert page.field("access-0-budget").value == "2.00"
    assert ("details", {"class": "lim", "open": ""}) in page.tags
    assert (await stored(db, request_id, clock)).request.state == "pending"


async def test_an_unverified_app_starts_low_and_needs_a_word_of_ones_own(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    shady = await add_client(db, "Shady Tool", verified=False)
    request_id = await ask(client=shady, redirect_uri="https://tool.example.net/cb")
    page = await browser.go(f"/consent/{request_id}")
    headings = [text for _, text in page.headings]
    assert headings.index("This app is not verified") < headings.index("Shady Tool wants to use your OpenAI key")
    assert "tool.example.net Address not verified" in page.text
    assert "acme.example" not in page.text
    assert page.field("access-0-budget").value == "1.00"
    assert "stops on 22 Nov 2026" in page.text
    assert not page.field("known").checked
    page = await browser.press("Approve")
    assert browser.status == 422
    assert ("Tick the box if you started this yourself, or deny the request", "#known") in page.links
    page = await press(browser, "Approve", {"known": ["1"], "access-0-budget": "5.00"})
    assert page.h1 == "Approved"
    assert (await stored(db, request_id, clock)).only.budget == 5_000_000


async def test_one_of_several_accesses_can_be_left_out(
    browser: Browser, ask: Ask, key: Credential, db: Database, web: Web, ana: User, clock: TurnedClock
) -> None:
    await add_key(db, web, ana, provider="anthropic", name="Claude", key="sk-ant-0123456789")
    wishes = asked(), asked(provider="anthropic", models=["claude-*"], actions=["chat"], max_requests=None)
    request_id = await ask(*wishes)
    page = await browser.go(f"/consent/{request_id}")
    assert page.h1 == "Acme Notes wants to use your OpenAI and Anthropic keys"
    assert "any model whose name begins with claude-, including new ones Broad" in page.text
    typed: Typed = {"access-0-drop": ["1"], "access-1-budget": "1.50", "access-1-requests": "7"}
    page = await press(browser, "Approve", typed)
    assert "can spend up to $1.50 from Claude (Anthropic)" in page.text
    assert "You lowered: nothing of OpenAI, Anthropic spending limit $5.00 → $1.50" in page.text
    access = (await stored(db, request_id, clock)).only
    assert (access.provider, access.budget, access.max_requests) == ("anthropic", 1_500_000, 7)


async def test_leaving_everything_out_is_no_consent(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask(asked(), asked(models=["gpt-4.1"], actions=["chat"]))
    await browser.go(f"/consent/{request_id}")
    typed: Typed = {"access-0-drop": ["1"], "access-1-drop": ["1"]}
    page = await press(browser, "Approve", typed)
    assert browser.status == 422
    assert ("Choose at least one thing to allow, or deny the request", "#access-0-drop") in page.links
    assert (await stored(db, request_id, clock)).grants == []


async def test_a_part_of_a_cent_that_an_app_asks_for_can_be_approved_as_it_stands(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock
) -> None:
    request_id = await ask(asked(budget={"amount": "0.000250", "currency": "USD"}))
    page = await browser.go(f"/consent/{request_id}")
    assert page.field("access-0-budget").value == "0.00025"
    await browser.press("Approve")
    assert (await stored(db, request_id, clock)).only.budget == 250


async def test_what_was_granted_is_within_what_was_asked(
    browser: Browser, ask: Ask, key: Credential, db: Database, clock: TurnedClock, acme: Client
) -> None:
    request_id = await ask(asked(models=["gpt-4.1*"], budget={"amount": "3", "currency": "USD", "per": "day"}))
    page = await browser.go(f"/consent/{request_id}")
    assert "up to $3.00 a day, resetting daily at 00:00 UTC, from Personal" in page.text
    await browser.press("Approve")
    seen = await stored(db, request_id, clock)
    (wish,) = parse_details(seen.request.asked)
    assert first_excess(seen.granted[0], wish) == "expires_in"  # the end replaces the length, and nothing else differs
    assert seen.granted[0].expires_at == END
