"""An app served on loopback, and windows of Chromium on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypercorn.asyncio import serve
from hypercorn.config import Config
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, Request, Route, ViewportSize
from starlette.types import ASGIApp


@asynccontextmanager
async def served(app: ASGIApp, address: str) -> AsyncIterator[str]:
    config, stop = Config(), asyncio.Event()
    config.bind, config.errorlog = [address.removeprefix("http://")], None
    config.graceful_timeout = 0.1
    server = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
    try:
        yield address
    finally:
        stop.set()
        await server


@asynccontextmanager
async def window(
    chromium: Chromium,
    address: str,
    *,
    width: int = 1280,
    height: int = 720,
    dark: bool = False,
    script: bool = True,
) -> AsyncIterator[Page]:
    """Signed in as ana; what it asks of other places is answered here with a word."""

    async def elsewhere(route: Route, request: Request) -> None:
        await route.fulfill(status=200, content_type="text/plain", body=f"elsewhere {request.headers.get('referer')}")

    context = await chromium.new_context(
        viewport=ViewportSize(width=width, height=height),
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
    )
    await context.route(lambda url: not url.startswith(address), elsewhere)
    page = await context.new_page()
    await page.goto(f"{address}/signed-in/usr_ana")
    try:
        yield page
    finally:
        await context.close()
