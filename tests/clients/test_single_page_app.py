"""The page of docs/examples on an origin of its own, in a real browser: what it may do across origins is what it does."""

import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.chromium import needs_chromium, open_browser
from tests.clients.meeting import EXAMPLES, Meeting, needs_node

pytestmark = [*needs_node, needs_chromium, pytest.mark.asyncio(loop_scope="session")]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(EXAMPLES)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest_asyncio.fixture(loop_scope="session")
async def page() -> AsyncIterator[Page]:
    async with open_browser() as browser:
        yield await _new_page(browser)


async def _new_page(browser: Browser) -> Page:
    context = await browser.new_context()
    context.set_default_timeout(60_000)
    return await context.new_page()


async def test_a_page_connects_with_a_key_of_its_browser_and_calls(meeting: Meeting, origin: str, page: Page) -> None:
    home = f"{origin}/single-page-app/index.html"
    client = await meeting.add_client("Page", "--public", "--redirect-uri", home, "--origin", origin)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    await page.goto(f"{home}?{urlencode({'broker': meeting.broker, 'client_id': client['client_id']})}")
    await page.get_by_role("button", name="Connect").click()
    await page.get_by_label("Email").fill("ana@example.com")
    await page.get_by_label("Password").fill("violet-kettle-orbit-47")
    await page.get_by_role("button", name="Sign in").click()
    await page.locator("form[data-decision][data-ready=true]").wait_for()
    await page.get_by_role("button", name="Approve").first.click()
    told = page.get_by_role("status")
    await told.get_by_text("Granted dpop").wait_for()
    await page.get_by_role("button", name="Ask").click()
    await told.get_by_text("Answer Hello.").wait_for()
    assert page.url == home
    assert sum(f"POST {meeting.broker}/oauth/token" in each for each in asked) >= 2
