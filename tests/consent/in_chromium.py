"""Shows pages of an app that no server serves: Chromium's requests are handed to the app's own browser for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, Request, Route, ViewportSize

from tests.browser import Browser


@asynccontextmanager
async def window(
    chromium: Chromium,
    browser: Browser,
    *,
    width: int = 1280,
    height: int = 720,
    dark: bool = False,
    script: bool = True,
) -> AsyncIterator[Page]:
    """A window that is signed in as `browser` is; what it asks of other places is not answered."""

    async def answer(route: Route, request: Request) -> None:
        if not request.url.startswith(browser.url):
            await route.fulfill(status=200, body="elsewhere")
            return
        headers = await request.all_headers()
        reply = await browser.client.request(
            request.method,
            request.url.removeprefix(browser.url),
            content=request.post_data_buffer,
            headers={
                name: value for name, value in headers.items() if name in ("content-type", "origin", "sec-fetch-site")
            },
        )
        await route.fulfill(status=reply.status_code, headers=dict(reply.headers), body=reply.content)

    context = await chromium.new_context(
        viewport=ViewportSize(width=width, height=height),
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
    )
    await context.route("**/*", answer)
    try:
        yield await context.new_page()
    finally:
        await context.close()
