"""What the consent page says before anyone answers."""

import pytest

from broker.store.database import Database
from broker.store.tables import Credential, User
from broker.web.context import Web
from tests.browser import Browser
from tests.consent.conftest import Ask, SignIn, add_client, add_key, add_user, asked
from tests.turned_clock import TurnedClock

ODD = '"><script>alert(1)</script>{{7*7}}\u202e\u200b' + "🐙" * 300


async def test_the_fresh_page_says_in_six_lines_what_an_approval_means(
    browser: Browser, ask: Ask, key: Credential
) -> None:
    page = await browser.go(f"/consent/{await ask()}")
    assert page.h1 == "Acme Notes wants to use your OpenAI key"
    assert page.title == f"{page.h1} – Broker"
    for said in (
        "can spend up to $5.00 in total from Personal (OpenAI, sk-…9f2A)",
        "can use 2 models: gpt-4.1-mini and text-embedding-3-small",
        "can do chat and embeddings; it cannot use images, audio, files or fine-tuning",
        "can make up to 1,000 requests, at most 30 a minute",
        "stops on 28 Nov 2026, 13:05 UTC (in 7 days)",
        "never sees your key, and you can pause or revoke it at any time",
        "“Summarise your meeting notes once a day.”",
        "The reason given by Acme Notes. We have not checked it.",
        "acme.example Address verified Registered 3 Oct 2026. You have not used it before.",
        "After you choose, you go back to https://acme.example/callback.",
        "This request stays open until 13:15 UTC; reload the page to keep it open longer.",
        "gpt-4.1-mini$0.40 in, $1.60 out per million tokens",
        "Acme Notes asked for $5.00 in total. You can enter less, not more. Requests that could go over are refused.",
        "Signed in as ana@example.com",
    ):
        assert said in page.text
    assert len([tag for tag, _ in page.tags if tag == "li"]) == 6
    assert ("details", {"class": "lim"}) in page.tags  # folded
    assert [text for text, _ in page.links].count("Not you?") == 1


async def test_the_page_is_framed_cached_and_scripted_by_nobody(browser: Browser, ask: Ask, key: Credential) -> None:
    page = await browser.go(f"/consent/{await ask()}")
    headers = browser.response.headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert (headers["x-frame-options"], headers["cache-control"]) == ("DENY", "no-store")
    assert headers["referrer-policy"] == "no-referrer"
    assert "cross-origin-opener-policy" not in headers
    assert not any("style" in found for _, found in page.tags)
    assert all(found.get("src") for tag, found in page.tags if tag == "script")


@pytest.mark.parametrize(
    ("redirect_uri", "said"),
    [
        ("http://127.0.0.1:51234/callback", "go back to an app on this computer (http://127.0.0.1:51234/callback)."),
        ("com.acme.notes:/callback", "go back to an app on this device (com.acme.notes:/callback)."),
    ],
)
async def test_the_way_back_is_said(browser: Browser, ask: Ask, key: Credential, redirect_uri: str, said: str) -> None:
    page = await browser.go(f"/consent/{await ask(redirect_uri=redirect_uri)}")
    assert said in page.text


async def test_what_is_allowed_once_is_said_in_the_singular(browser: Browser, ask: Ask, key: Credential) -> None:
    once = {
        "type": "ai_model_access", "provider": "openai", "models": ["gpt-4.1-mini"], "actions": ["chat"],
        "max_requests": 1, "rate_limit": {"tokens_per_minute": 1}, "max_output_tokens": 1,
    }  # fmt: skip
    page = await browser.go(f"/consent/{await ask(once)}")
    assert "can use 1 model: gpt-4.1-mini" in page.text
    assert "can make up to 1 request, at most 1 token a minute, each answer at most 1 token" in page.text


async def test_what_an_app_does_not_name_is_filled_in_and_said(browser: Browser, ask: Ask, key: Credential) -> None:
    bare = {"type": "ai_model_access", "provider": "openai", "models": ["made-up-1"], "actions": ["chat"]}
    page = await browser.go(f"/consent/{await ask(bare)}")
    for said in (
        "up to $5.00 in total",
        "can make any number of requests within its spending limit",
        "stops on 28 Nov 2026, 13:05 UTC",
        "Acme Notes named no amount. You can enter up to $50.00.",
        "Acme Notes named no end.",
        "No limit asked. Leave it empty for no limit.",
        "No price known here, so calls to it are refused",
        "Acme Notes gave no reason.",
    ):
        assert said in page.text
    assert page.field("access-0-requests").value == ""
    ends = page.field("access-0-ends")
    assert len(ends.options) == 5  # an hour, a day, 7, 30 and 90 days


async def test_what_is_above_the_caps_is_cut_and_said(
    browser: Browser, ask: Ask, key: Credential, clock: TurnedClock
) -> None:
    wish = asked(budget={"amount": "80", "currency": "USD"}, expires_in=400 * 86_400)
    page = await browser.go(f"/consent/{await ask(wish)}")
    for said in (
        "Acme Notes asked for $80.00. You can approve up to $50.00",
        "Acme Notes asked for 400 days. You can approve up to 90 days",
        "up to $50.00 in total from Personal (OpenAI, sk-…9f2A); it asked for $80.00",
    ):
        assert said in page.text
    page = await browser.submit(page.forms[0], "Approve", **{"access-0-budget": "50.01"})
    assert ("Spending limit must be $50.00 or less, the most you can give here", "#access-0-budget") in page.links
    page = await browser.submit(page.forms[0], "Approve", **{"access-0-budget": "50"})
    assert "spending limit $80.00 → $50.00" in page.text


async def test_what_an_app_says_of_itself_is_text_and_nothing_else(
    browser: Browser, ask: Ask, key: Credential, db: Database
) -> None:
    odd = await add_client(db, ODD)
    request_id = await ask(asked(models=['x"><b>'], purpose=ODD[:280]), client=odd)
    page = await browser.go(f"/consent/{request_id}")
    assert "<script>alert" not in browser.response.text
    assert "<b>" not in browser.response.text
    assert "\u202e" not in browser.response.text
    assert '"><script>alert(1)</script>{{7*7}}' in page.text
    assert len(page.h1) < 80
    page = await browser.press("Approve")
    assert "<script>alert" not in browser.response.text


async def test_any_model_is_called_broad_and_laid_open(browser: Browser, ask: Ask, key: Credential) -> None:
    page = await browser.go(f"/consent/{await ask(asked(models=['*']))}")
    assert "can use any OpenAI model, including new ones Broad" in page.text
    assert ("details", {"class": "lim", "open": ""}) in page.tags


async def test_a_fresh_look_stays_exact_when_it_comes_back_later(
    browser: Browser, ask: Ask, key: Credential, clock: TurnedClock
) -> None:
    page = await browser.go(f"/consent/{await ask()}")
    clock.turn(300)
    page = await browser.press("Update summary")
    assert "stops on 28 Nov 2026, 13:05 UTC (in 7 days)" in page.text
    page = await browser.press("Approve")
    assert "until 28 Nov 2026, 13:05 UTC." in page.text
    assert "You lowered" not in page.text


async def test_times_are_in_the_readers_own_zone(sign_in: SignIn, ask: Ask, db: Database, web: Web, ana: User) -> None:
    ben = await add_user(db, "ben", zone="Europe/Berlin")
    await add_key(db, web, ben)
    browser = await sign_in(ben)
    page = await browser.go(f"/consent/{await ask()}")
    assert "stops on 28 Nov 2026, 14:05 CET (in 7 days)" in page.text
    assert "stays open until 14:15 CET" in page.text
