"""The pages of apps in a real browser: errors, live figures, and what one does there with a script and without."""

import pytest
import pytest_asyncio
from playwright.async_api import Page

from broker.core.access import Budget
from broker.core.clock import DAY, MINUTE
from broker.core.money import MicroUSD
from broker.core.secret import Secret
from broker.store.grant_tables import Grant
from broker.store.tables import User
from tests.journey.place import IN_CHROMIUM, Place
from tests.web_grants.lending import element

pytestmark = IN_CHROMIUM


@pytest_asyncio.fixture(loop_scope="session")
async def ana(place: Place) -> User:
    return await place.lending.user(place.lending.id("ana"), place.clock())


@pytest_asyncio.fixture(loop_scope="session")
async def grant(place: Place, ana: User) -> Grant:
    """Two accesses, fourteen days of calls, a refusal, and a call that runs."""
    now, lending = place.clock(), place.lending
    personal = await lending.key(ana, now - 14 * DAY)
    work = await lending.key(ana, now, "Work", "anthropic", Secret("sk-ant-bbbbbbbbbbbbbbbb77Qa"))
    claude = element(now, provider="anthropic", models=("claude-sonnet-4-5",), budget=Budget(MicroUSD(500_000), "day"))
    grant = await lending.grant(ana, await place.client(), now - 14 * DAY, (personal, element(now)), (work, claude))
    for day in range(14):
        await lending.call(grant, now - day * DAY - MINUTE, 37_000 * (day % 5))
    await lending.call(grant, now - MINUTE, state="held", hold=120_000)
    await lending.refusal(grant, now - 2 * MINUTE, "model_not_granted")
    return grant


@pytest_asyncio.fixture(loop_scope="session")
async def page(place: Place, ana: User) -> Page:
    return await place.page(ana)


async def test_a_form_with_errors_leads_to_them(place: Place, page: Page, grant: Grant) -> None:
    await page.goto(f"{place.url}/grants/{grant.id}/limits")
    await page.locator("#access-0-budget").fill("abc")
    await page.locator("#access-0-model").uncheck()
    await page.locator("#access-0-model-1").uncheck()
    await page.get_by_role("button", name="Save limits").click()
    assert (await page.title()).startswith("Error: ")
    assert await page.evaluate("document.activeElement.matches('[data-focus]')")


async def test_live_figures_follow_without_moving_anything_else(place: Place, ana: User, grant: Grant) -> None:
    context = await place.context(ana)
    page = await context.new_page()
    await page.clock.install()
    await page.goto(f"{place.url}/grants/{grant.id}")
    live = page.locator("[data-live]")
    assert "$0.97 of $5.00" in await live.inner_text()
    await page.get_by_role("link", name="Refresh").focus()
    await place.lending.call(grant, place.clock(), 1_000_000)
    await page.clock.run_for(15_000)
    await live.get_by_text("$1.97 of $5.00").wait_for()
    assert await page.evaluate("document.activeElement.textContent") == "Refresh"
    assert await page.locator("[aria-live]").count() == 0
    await page.get_by_role("button", name="Pause live updates").click()
    await place.lending.call(grant, place.clock(), 1_000_000)
    await page.clock.run_for(60_000)
    assert "$1.97 of $5.00" in await live.inner_text()
    await context.close()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_an_app_is_paused_lowered_and_revoked(place: Place, ana: User, grant: Grant, *, script: bool) -> None:
    context = await place.context(ana, script=script)
    page = await context.new_page()
    await page.goto(f"{place.url}/grants")
    await page.get_by_role("button", name="Pause Acme Notes").click()
    assert "Paused. Acme Notes is refused from" in await page.get_by_role("status").first.inner_text()
    await page.get_by_role("button", name="Resume Acme Notes").click()
    await page.get_by_role("link", name="Acme Notes", exact=True).click()
    await page.get_by_role("link", name="Change limits").click()
    await page.get_by_label("Spending limit, in US dollars").first.fill("3.00")
    await page.get_by_role("button", name="Save limits").click()
    assert "Saved. Spending limit $5.00 → $3.00" in await page.get_by_role("status").first.inner_text()
    await page.get_by_role("link", name="Revoke…").click()
    await page.get_by_role("button", name="Revoke Acme Notes").click()
    assert page.url == f"{place.url}/grants"
    assert "Acme Notes is revoked." in await page.get_by_role("status").first.inner_text()
    assert "Ended apps (1)" in await page.inner_text("main")
    await context.close()
