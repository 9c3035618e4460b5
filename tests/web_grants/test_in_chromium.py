from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page

from broker.core.access import Budget
from broker.core.clock import DAY, MINUTE
from broker.core.money import MicroUSD
from broker.core.secret import Secret
from broker.store.grant_tables import Grant
from broker.store.tables import User
from tests.browser import Browser
from tests.chromium import needs_chromium, open_browser, violations
from tests.consent.in_chromium import window
from tests.turned_clock import NOON, TurnedClock
from tests.web_grants.lending import Lending, element

pytestmark = needs_chromium


@pytest.fixture
async def chromium() -> AsyncIterator[Chromium]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def grant(lending: Lending, ana: User) -> Grant:
    """Two accesses, fourteen days of calls, refusals, and a call that runs."""
    personal = await lending.key(ana, NOON - 14 * DAY)
    work = await lending.key(ana, NOON, "Work", "anthropic", Secret("sk-ant-bbbbbbbbbbbbbbbb77Qa"))
    daily = Budget(MicroUSD(500_000), "day")
    claude = replace(element(NOON - 13 * DAY, provider="anthropic"), models=("claude-sonnet-4-5",), budget=daily)
    first = replace(element(NOON - 13 * DAY), expires_at=claude.expires_at and claude.expires_at + 30 * 86_400)
    grant = await lending.grant(ana, await lending.client(), NOON - 14 * DAY, (personal, first), (work, claude))
    for day in range(14):
        await lending.call(grant, NOON - day * DAY - MINUTE, 37_000 * (day % 5))
    await lending.call(grant, NOON - MINUTE, state="held", hold=120_000)
    await lending.refusal(grant, NOON - 2 * MINUTE, "model_not_granted")
    return grant


async def _is_within(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
async def test_every_page_is_without_fault_and_no_wider_than_the_screen(
    chromium: Chromium, browser: Browser, lending: Lending, ana: User, grant: Grant, width: int, *, dark: bool
) -> None:
    (key, *_) = [access.credential_id for access in await lending.accesses(grant)]
    paths = [
        "/grants",
        "/grants/pause-all",
        f"/grants/{grant.id}?days=90",
        f"/grants/{grant.id}/limits",
        f"/grants/{grant.id}/revoke",
        "/keys",
        "/keys/new",
        f"/keys/{key}/replace",
        f"/keys/{key}/remove",
    ]
    faults: dict[str, object] = {}
    async with window(chromium, browser, width=width, dark=dark) as page:
        for path in paths:
            await page.goto(browser.url + path)
            found = await violations(page)
            if found or not await _is_within(page):
                faults[path] = found or "wider than the screen"
    assert faults == {}


async def test_the_form_with_errors_is_without_fault(chromium: Chromium, browser: Browser, grant: Grant) -> None:
    async with window(chromium, browser, width=360) as page:
        await page.goto(f"{browser.url}/grants/{grant.id}/limits")
        await page.locator("#access-0-budget").fill("abc")
        await page.locator("#access-0-model").uncheck()
        await page.locator("#access-0-model-1").uncheck()
        await page.get_by_role("button", name="Save limits").click()
        assert (await page.title()).startswith("Error: ")
        assert await violations(page) == []
        assert await page.evaluate("document.activeElement.matches('[data-focus]')")


async def test_live_figures_follow_without_moving_anything_else(
    chromium: Chromium, browser: Browser, lending: Lending, clock: TurnedClock, grant: Grant
) -> None:
    async with window(chromium, browser) as page:
        await page.clock.install()
        await page.goto(f"{browser.url}/grants/{grant.id}")
        live = page.locator("[data-live]")
        assert "Updated 13:05:00 UTC." in await live.inner_text()
        await page.get_by_role("link", name="Refresh").focus()
        await lending.call(grant, NOON, 1_000_000)
        clock.turn(15)
        await page.clock.run_for(15_000)
        await live.get_by_text("Updated 13:05:15 UTC.").wait_for()
        assert "$1.97 of $5.00" in await live.inner_text()
        assert await page.evaluate("document.activeElement.textContent") == "Refresh"
        await page.get_by_role("button", name="Pause live updates").click()
        clock.turn(15)
        await page.clock.run_for(60_000)
        assert "Updated 13:05:15 UTC." in await live.inner_text()
