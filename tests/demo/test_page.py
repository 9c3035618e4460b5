"""The demo's page in a real browser: it streams, says what went wrong, and keeps nobody out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio
from hypercorn.asyncio import serve
from hypercorn.config import Config
from playwright.async_api import Browser, Page, expect
from starlette.responses import StreamingResponse

from broker.demo.app import make_demo_app
from broker.demo.oauth_client import Registration
from broker.demo.processes import hold_port
from tests.chromium import Scheme, needs_chromium, open_browser, violations
from tests.demo.fake_broker import ISSUER, FakeBroker, refusal

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@asynccontextmanager
async def demo_app(broker: FakeBroker) -> AsyncIterator[str]:
    """The demo app on loopback, in front of a broker that lives in this process; gives its address."""
    port = hold_port(0)
    address = f"http://127.0.0.1:{port.number}"
    http = httpx.AsyncClient(transport=httpx.ASGITransport(broker.app()))
    app = make_demo_app(http, Registration(ISSUER, "cli_1", "s3cret/", f"{address}/callback"))
    config, stop = Config(), asyncio.Event()
    config.bind, config.errorlog = [address.removeprefix("http://")], None
    config.graceful_timeout = 0.1
    port.give_up()
    server = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
    yield address
    stop.set()
    await server


@asynccontextmanager
async def connected(
    browser: Browser, broker: FakeBroker, scheme: Scheme = "light", width: int = 1280
) -> AsyncIterator[Page]:
    async with demo_app(broker) as address:
        context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
        page = await context.new_page()
        await page.goto(address)
        assert await violations(page) == []
        # The broker has no consent page here: only where the browser would be sent is asked for.
        await context.request.get(f"{address}/connect", max_redirects=0)
        await page.goto(f"{address}/callback?state={broker.pushed['state']}&iss={ISSUER}&code=good")
        yield page
        await context.close()


async def say(page: Page, message: str) -> None:
    await page.get_by_label("Message").fill(message)
    await page.get_by_role("button", name="Send").click()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nobody_is_kept_out(browser: Browser, scheme: Scheme, width: int) -> None:
    broker = FakeBroker()
    async with connected(browser, broker, scheme, width) as page:
        broker.proxy_answer = refusal(402, "This app has used up its spending limit.")
        await say(page, "Hello")
        await expect(page.get_by_role("alert")).to_have_text("This app has used up its spending limit.")
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_an_answer_is_written_down_and_then_what_cut_it(browser: Browser) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b'data: {"choices":[{"index":0,"delta":{"content":"Half an "}}]}\n\ndata: {"choices":[{"index":0,"del'
        yield b'ta":{"content":"answer"}}]}\n\n'
        yield b'data: {"error":{"message":"The access was revoked."}}\n\n'

    broker = FakeBroker(proxy_answer=StreamingResponse(cut(), media_type="text/event-stream"))
    async with connected(browser, broker) as page:
        await say(page, "Tell me everything")
        await expect(page.get_by_role("alert")).to_have_text("The access was revoked.")
        await expect(page.locator("#log")).to_contain_text("Tell me everything")
        await expect(page.locator("#log")).to_contain_text("Half an answer")


async def test_disconnecting_leads_back_to_the_start(browser: Browser) -> None:
    broker = FakeBroker()
    async with connected(browser, broker) as page:
        await page.get_by_role("button", name="Disconnect").click()
        await expect(page.get_by_role("link", name="Connect")).to_be_visible()
        assert broker.revoked == ["rt-1"]
