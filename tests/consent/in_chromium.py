"""An app served on loopback, and windows of Chromium on it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypercorn.config import Config
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, ViewportSize
from starlette.types import ASGIApp

from broker.serve.http import serve_http
from tests.serve.running import PARSER


@asynccontextmanager
async def served(app: ASGIApp, address: str) -> AsyncIterator[str]:
    config, stop = Config(), asyncio.Event()
    host, _, port = address.removeprefix("http://").partition(":")
    config.bind, config.errorlog = [f"fd://{socket.create_server((host, int(port))).detach()}"], None
    config.graceful_timeout = 0.1
    server = asyncio.create_task(serve_http(app, config, PARSER, stop.wait))
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
    dark: bool = False,
) -> AsyncIterator[Page]:
    """Signed in as ana."""
    context = await chromium.new_context(
        viewport=ViewportSize(width=width, height=800),
        color_scheme="dark" if dark else "light",
    )
    page = await context.new_page()
    await page.goto(f"{address}/signed-in/usr_ana")
    try:
        yield page
    finally:
        await context.close()
