import pytest

from broker.core.access import Budget
from broker.core.clock import DAY, MINUTE, SECOND, to_seconds
from broker.core.money import MicroUSD
from broker.store.grant_tables import Grant
from broker.store.tables import User
from tests.browser import Browser
from tests.turned_clock import NOON, TurnedClock
from tests.web_grants.conftest import BrowserOf
from tests.web_grants.lending import Lending, at, element, words


@pytest.fixture
async def grant(lending: Lending, ana: User) -> Grant:
    key = await lending.key(ana, NOON - DAY)
    return await lending.grant(ana, await lending.client(), NOON - DAY, (key, element(NOON - DAY)))


async def test_usage_is_said_against_each_limit(browser: Browser, lending: Lending, grant: Grant) -> None:
    await lending.call(grant, NOON - 5 * MINUTE, 1_840_000)
    await lending.call(grant, NOON - 4 * MINUTE, state="held", hold=60_000)
    await lending.call(grant, NOON - 4 * MINUTE, state="held", hold=60_000)
    page = await browser.go(f"/grants/{grant.id}")
    assert page.h1 == "Acme Notes Active"
    assert "$1.84 of $5.00" in page.text
    assert "37% used. $3.16 left. $0.12 is reserved for 2 requests in progress." in page.text
    assert "3 of 1,000" in page.text
    assert "2 of 30 at the busiest" in page.text
    assert "In the last hour. 0 requests were refused." in page.text
    assert "6 days left" in page.text
    assert "Ends 27 Nov 2026, 13:05 UTC." in page.text
    assert "Updated 13:05:00 UTC." in page.text
    assert "uses Personal (OpenAI, sk-…9f2A)" in page.text


async def test_the_spending_figure_rises_with_the_next_call(browser: Browser, lending: Lending, grant: Grant) -> None:
    await lending.call(grant, NOON - MINUTE, 100_000)
    assert "$0.10 of $5.00" in (await browser.go(f"/grants/{grant.id}")).text
    await lending.call(grant, NOON - MINUTE, 400_000)
    assert "$0.50 of $5.00" in (await browser.go(f"/grants/{grant.id}")).text


async def test_what_was_spent_is_never_shown_as_nothing(browser: Browser, lending: Lending, grant: Grant) -> None:
    await lending.call(grant, NOON - MINUTE, 2_710)
    page = await browser.go(f"/grants/{grant.id}?days=7")
    said = words(browser.response.text)
    assert "5,120 / 410 $0.0028 OK" in said
    assert '<data value="0.00271">&lt;$0.01</data> of <data value="5.00">$5.00</data>' in browser.response.text
    assert "<$0.01 of $5.00" in page.text
    assert "gpt-4.1-mini 1 5,120 410 <$0.01" in said
    assert "All 7 days <$0.01" in said
    assert "21 Nov 2026 <$0.01" in said


async def test_a_grant_without_calls_costs_nothing_and_says_so(browser: Browser, grant: Grant) -> None:
    page = await browser.go(f"/grants/{grant.id}")
    assert "$0.00 of $5.00" in page.text
    assert "Acme Notes has not made a request yet." in page.text
    assert "No cost in these 30 days." in page.text


async def test_calls_and_refusals_stand_together_newest_first(browser: Browser, lending: Lending, grant: Grant) -> None:
    await lending.call(grant, NOON - 3 * MINUTE, status=529, mark="not_run", state="released")
    await lending.refusal(grant, NOON - 2 * MINUTE, "model_not_granted")
    await lending.call(grant, NOON - MINUTE, 2_000, mark="estimated", outcome="client_left")
    await browser.go(f"/grants/{grant.id}")
    text = words(browser.response.text)
    order = [text.index("Cancelled by app, cost estimated"), text.index("Refused: model not approved")]
    order.append(text.index("Provider error 529"))
    assert order == sorted(order)
    assert "Prices these requests were charged at" in text
    assert "gpt-4.1-mini: $0.40 in, $1.60 out per million tokens (genai-prices, 0.2.3)" in text


async def test_recent_calls_can_be_sifted(browser: Browser, lending: Lending, grant: Grant) -> None:
    await lending.call(grant, NOON - 3 * MINUTE, 1_000, model="fine-model")
    await lending.call(grant, NOON - 2 * MINUTE, 1_000, model="cut-model", mark="estimated", outcome="broken")
    await lending.refusal(grant, NOON - MINUTE, "rate_limited", model="refused-model")

    async def recent(only: str) -> set[str]:
        await browser.go(f"/grants/{grant.id}?show={only}")
        assert browser.page.field("show").value == only
        said = words(browser.response.text)
        section = said[said.index("Recent requests") : said.index("What it may do")]
        return {name for name in ("fine-model", "cut-model", "refused-model") if f"{name} " in section}

    assert await recent("all") == {"fine-model", "cut-model", "refused-model"}
    assert await recent("refused") == {"refused-model"}
    assert await recent("errors") == {"cut-model"}


async def test_older_calls_are_a_page_away(browser: Browser, lending: Lending, grant: Grant) -> None:
    for number in range(23):
        await lending.refusal(grant, NOON - number * MINUTE, "rate_limited", model=f"model-{number}-")
    first = await browser.go(f"/grants/{grant.id}")
    assert "model-19-" in first.text
    assert "model-20-" not in first.text
    assert "23 requests were refused." in first.text
    older = await browser.follow("Older")
    assert "model-19-" not in older.text
    assert "model-22-" in older.text
    assert "Older" not in [text for text, _ in older.links]


async def test_the_chart_names_its_highest_day_and_its_table_sums_up_with_the_models(
    browser: Browser, lending: Lending, grant: Grant
) -> None:
    await lending.call(grant, at(2026, 11, 20, 23, 30), 270_000)
    await lending.call(grant, at(2026, 11, 21, 9, 0), 120_000, model="text-embedding-3-small")
    page = await browser.go(f"/grants/{grant.id}?days=7")
    (drawing,) = [found for tag, found in page.tags if found.get("role") == "img"]
    assert "Highest: $0.27 on 20 Nov 2026." in drawing["aria-label"]
    assert "Cost per day, 15 Nov 2026 to 21 Nov 2026. Days are in UTC." in page.text
    assert "All 7 days $0.39" in words(browser.response.text)
    assert "All models 2 10,240 820 $0.39" in words(browser.response.text)
    assert len([tag for tag, found in page.tags if tag == "rect" and "x" in found]) == 7


async def test_days_are_those_of_the_readers_zone(lending: Lending, browser_of: BrowserOf) -> None:
    ben = await lending.user("ben", NOON, zone="Europe/Berlin")
    key = await lending.key(ben, NOON - DAY)
    grant = await lending.grant(ben, await lending.client(), NOON - DAY, (key, element(NOON - DAY)))
    await lending.call(grant, at(2026, 11, 20, 23, 30), 270_000)
    page = await (await browser_of(ben)).go(f"/grants/{grant.id}")
    assert "Highest: $0.27 on 21 Nov 2026." in page.text
    assert "Days are in Europe/Berlin." in page.text
    assert "21 Nov 2026, 00:30:00 CET" in page.text


async def test_a_daily_limit_says_when_it_renews(browser: Browser, lending: Lending, ana: User) -> None:
    key = await lending.key(ana, NOON)
    daily = element(NOON, budget=Budget(MicroUSD(1_000_000), "day"))
    grant = await lending.grant(ana, await lending.client(), NOON, (key, daily))
    await lending.call(grant, NOON, 250_000)
    page = await browser.go(f"/grants/{grant.id}")
    assert "$0.25 of $1.00 today" in page.text
    assert "Resets daily at 00:00 UTC." in page.text
    assert "The dashed line is the daily spending limit, $1.00." in page.text


async def test_each_access_has_its_own_cards(browser: Browser, lending: Lending, ana: User) -> None:
    one, two = await lending.key(ana, NOON), await lending.key(ana, NOON, "Work", "anthropic")
    claude = element(NOON, provider="anthropic", models=("claude-sonnet-4-5",), max_requests=None)
    grant = await lending.grant(ana, await lending.client(), NOON, (one, element(NOON)), (two, claude))
    page = await browser.go(f"/grants/{grant.id}")
    assert [text for level, text in page.headings if level == 3 and "access" in text] == [
        "OpenAI, access 1",
        "Anthropic, access 2",
    ] * 2
    assert "No limit was set." in page.text


async def test_a_model_without_a_price_is_marked(browser: Browser, lending: Lending, ana: User) -> None:
    key = await lending.key(ana, NOON)
    grant = await lending.grant(
        ana, await lending.client(), NOON, (key, element(NOON, models=("no-such-model", "gpt-4*")))
    )
    page = await browser.go(f"/grants/{grant.id}")
    assert "no-such-model Price unknown" in page.text
    assert "any model whose name begins with gpt-4" in page.text


async def test_a_grant_past_its_end_is_ended_without_any_sweep(
    browser: Browser, clock: TurnedClock, lending: Lending, ana: User
) -> None:
    key = await lending.key(ana, NOON)
    short = element(NOON, expires_at=to_seconds(NOON + 60 * SECOND))
    grant = await lending.grant(ana, await lending.client(), NOON, (key, short))
    assert (await browser.go(f"/grants/{grant.id}")).h1 == "Acme Notes Ends soon"
    clock.turn(60)
    page = await browser.go(f"/grants/{grant.id}")
    assert page.h1 == "Acme Notes Ended"
    assert "Ended on 21 Nov 2026, 13:06 UTC." in page.text


async def test_a_removed_key_shows_as_a_key_problem(browser: Browser, grant: Grant) -> None:
    page = await browser.go("/keys")
    (href,) = [href for text, href in page.links if text.startswith("Remove")]
    page = await browser.go(href)
    assert "1 app stops at once: Acme Notes." in page.text
    await browser.press("Remove Personal")
    page = await browser.go(f"/grants/{grant.id}")
    assert page.h1 == "Acme Notes Key problem"
    assert "The key Personal was removed on 21 Nov 2026, 13:05 UTC" in page.text


async def test_the_limit_reached_is_said_in_words(browser: Browser, lending: Lending, grant: Grant) -> None:
    await lending.call(grant, NOON - MINUTE, 5_000_000)
    page = await browser.go(f"/grants/{grant.id}")
    assert page.h1 == "Acme Notes Limit reached"
    assert "100% used. $0.00 left. Limit reached." in page.text


async def test_an_apps_name_cannot_write_html(browser: Browser, lending: Lending, ana: User) -> None:
    client = await lending.client('"><script>alert(1)</script>\u202e', address="")
    grant = await lending.grant(ana, client, NOON, (await lending.key(ana, NOON), element(NOON)))
    for path in (f"/grants/{grant.id}", "/grants", f"/grants/{grant.id}/revoke", f"/grants/{grant.id}/limits"):
        page = await browser.go(path)
        assert browser.status == 200
        assert "alert(1)" in page.text
        assert "\u202e" not in browser.response.text
        assert "<script>" not in browser.response.text


async def test_each_receipt_leads_to_its_files_newest_first(browser: Browser, lending: Lending, grant: Grant) -> None:
    assert "Consent receipts" not in (await browser.go(f"/grants/{grant.id}")).text
    old, new = [await lending.receipt(grant, NOON - days * DAY) for days in (2, 1)]
    page = await browser.go(f"/grants/{grant.id}")
    found = [href for _, href in page.links if "/receipts/" in href]
    paths = [f"/grants/{grant.id}/receipts/{each.id}" for each in (new, old)]
    assert found == [paths[0], f"{paths[0]}/shown", paths[1], f"{paths[1]}/shown"]
    assert "Receipt of 20 Nov 2026" in page.text
