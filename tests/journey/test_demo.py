"""The whole journey by `broker demo`: connect, narrow, approve, chat, look at the cost, revoke."""

import os
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.chromium import violations
from tests.journey.place import IN_CHROMIUM
from tests.journey.started_demo import CHECKOUT, Demo, start_demo
from tests.patience import promised

pytestmark = IN_CHROMIUM

KEEP_PICTURES = "TAKE_SCREENSHOTS"
"""Set by `make screenshots`: the pictures of the documents are taken anew."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    async with start_demo(folder) as started:
        yield started
        assert len(started.processes()) >= 3
        assert await started.stop() == 0
        assert started.processes() == []
        assert list(folder.iterdir()) == []


@pytest_asyncio.fixture(loop_scope="session")
async def context(chromium: Browser) -> AsyncIterator[BrowserContext]:
    opened = await chromium.new_context(viewport={"width": 1280, "height": 720})
    yield opened
    await opened.close()


async def take_picture(page: Page, name: str, height: int = 720) -> None:
    if KEEP_PICTURES in os.environ:
        await page.set_viewport_size({"width": 1280, "height": height})
        folder = CHECKOUT / "docs" / "images"
        folder.mkdir(exist_ok=True)
        await page.screenshot(path=folder / name)


async def sign_in(page: Page, demo: Demo) -> None:
    await page.get_by_label("Email").fill(demo.email)
    await page.get_by_label("Password", exact=True).fill(demo.password)
    await page.get_by_role("button", name="Sign in").click()


async def connect(page: Page, demo: Demo) -> None:
    """From the app's own page to the question whether it may."""
    await page.goto(demo.app)
    await page.get_by_role("link", name="Connect").click()
    await expect(page.get_by_text("Sign in to answer Demo Notes' request to use your AI keys.")).to_be_visible()
    await sign_in(page, demo)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Demo Notes wants to use your Sandbox key")


async def approve_two_dollars(page: Page, demo: Demo) -> None:
    await expect(page.locator("#summary")).to_contain_text("can spend up to $5.00 in total")
    await page.get_by_text("Lower a limit before you approve").click()
    await page.get_by_label("Spending limit, in US dollars").fill("2.00")
    if await page.locator("html.on").count():
        await page.locator("form[data-decision][data-ready=true]").wait_for()
    await page.get_by_role("button", name="Approve", exact=True).click()
    await page.wait_for_url(f"{demo.app}/")
    await expect(page.locator("dl")).to_contain_text("$2.00")


async def say(page: Page, message: str) -> None:
    await page.get_by_label("Message").fill(message)
    await page.get_by_role("button", name="Send").click()


async def test_connect_narrow_chat_see_the_cost_and_revoke(demo: Demo, context: BrowserContext) -> None:
    page = await context.new_page()
    await connect(page, demo)
    await take_picture(page, "consent.png")
    await approve_two_dollars(page, demo)
    assert await violations(page) == []

    await say(page, "Count to 40")
    log = page.locator("#log")
    await expect(log).to_contain_text("1, 2, 3,")
    assert "40." not in await log.inner_text(), "it is a stream: the beginning is there before the end"
    await expect(log).to_contain_text("39, 40.", timeout=20_000)

    broker = await context.new_page()
    await broker.goto(f"{demo.broker}/grants")
    await broker.get_by_role("link", name="Demo Notes", exact=True).click()
    await expect(broker.get_by_text("of $2.00", exact=False).first).to_be_visible()
    cost = broker.locator("#recent").locator("..").locator("td data").first
    assert float(await cost.get_attribute("value") or "0") > 0
    await take_picture(broker, "grant.png", height=940)

    await say(page, "Count to 500")
    await expect(log.locator("p")).to_have_count(4)
    await expect(log.locator("p").last).to_contain_text("1, 2, 3,")
    await broker.get_by_role("link", name="Revoke…").click()
    await expect(broker.get_by_text("Requests already running are cut within two seconds.")).to_be_visible()
    revoked_at = time.monotonic()
    await broker.get_by_role("button", name="Revoke Demo Notes").click(no_wait_after=True)
    await expect(page.get_by_role("alert")).to_be_visible()
    assert time.monotonic() - revoked_at < promised(2, beside_others=10)
    assert "500." not in await log.inner_text()
    await expect(broker.get_by_role("status").first).to_contain_text("Demo Notes is revoked.")

    async with page.expect_response("**/chat") as answer:
        await say(page, "Are you still there?")
    assert (await answer.value).status == 401
    await expect(page.get_by_role("alert")).to_contain_text("access token is not valid")


async def test_all_of_the_brokers_pages_work_without_a_script(demo: Demo, chromium: Browser) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await connect(page, demo)
    await approve_two_dollars(page, demo)
    await page.goto(f"{demo.broker}/grants")
    await page.get_by_role("link", name="Demo Notes", exact=True).click()
    await expect(page.get_by_text("$0.00 of $2.00")).to_be_visible()
    await page.get_by_role("button", name="Pause", exact=True).click()
    await expect(page.get_by_role("status").first).to_contain_text("Paused. Demo Notes is refused from")
    await page.get_by_role("button", name="Resume", exact=True).click()
    await page.get_by_role("link", name="Revoke…").click()
    await page.get_by_role("button", name="Revoke Demo Notes").click()
    await expect(page.get_by_role("status").first).to_contain_text("Demo Notes is revoked.")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    await context.close()
