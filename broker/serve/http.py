"""How connections are spoken to: hypercorn's settings, HTTP/1.1 only, and which of two readers reads it."""

import os
from collections.abc import Awaitable, Callable
from typing import Any, cast

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.typing import ASGIFramework
from starlette.types import ASGIApp

from broker.ops.log import logger
from broker.serve import stock
from broker.settings import Settings

try:
    from broker.serve import http1
except ImportError:
    if stock.is_known():
        raise
    http1 = None  # type: ignore[assignment]  # another release, which has not what ours is put in the place of

BACKLOG = 4096
AT_ONCE = 16
"""Connections that one turn of the loop takes up.

libuv takes up one of each descriptor that it watches, so under load the last of 256 that came together waited for a second.
"""
KEEP_ALIVE_SECONDS = 75
MARGIN_SECONDS = 5
"""After the drain: for running calls to be cut and settled."""


class _Log(Logger):
    """hypercorn's own events, in our shape; an access line would hold addresses of people and queries."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.access_logger = None
        self.error_logger = None

    async def exception(self, message: str, *_args: Any, **_kwargs: Any) -> None:
        logger("http").error(message, exc_info=True)

    async def warning(self, message: str, *_args: Any, **_kwargs: Any) -> None:
        logger("http").warning(message)

    async def error(self, message: str, *_args: Any, **_kwargs: Any) -> None:
        logger("http").error(message)


def listen_config(settings: Settings, descriptor: int) -> Config:
    """For a listening socket that the parent has bound already."""
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.logger_class = _Log
    config.include_server_header = False
    config.backlog = BACKLOG
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.keep_alive_max_requests = 1_000_000
    config.h11_max_incomplete_size = settings.max_header_bytes
    config.graceful_timeout = settings.drain_seconds + MARGIN_SECONDS
    config.alpn_protocols = ["http/1.1"]
    if settings.tls_cert is not None and settings.tls_key is not None:
        config.certfile = str(settings.tls_cert)
        config.keyfile = str(settings.tls_key)
    return config


async def serve_http(app: ASGIApp, config: Config, parser: str, until: Callable[[], Awaitable[object]]) -> None:
    """Serves until `until` returns and the last request is answered, or the grace that the config gives has passed."""
    heard = app if speak(parser) else stock.Http1Only(app)
    config.bind = [f"fd://{each}" for each in _watched(config.bind)]
    await serve(cast("ASGIFramework", heard), config, shutdown_trigger=until)


def _watched(bound: list[str]) -> list[int]:
    """The one listening socket of a configuration, under as many descriptors as are to be watched."""
    descriptor = int(bound[0].removeprefix("fd://"))
    return [descriptor, *(os.dup(descriptor) for _ in range(AT_ONCE - 1))]


def speak(parser: str) -> bool:
    """For every server of this process: BROKER_HTTP_PARSER, where this release of hypercorn lets it.

    Gives whether nothing but HTTP/1 can come to the app of itself.
    """
    known = stock.is_known()
    if parser == "httptools" and known and http1 is not None and http1.fits():
        http1.install()
        return True
    if parser == "httptools" or not known:
        logger("http").warning("another hypercorn than the known one", reads_http="h11")
    if http1 is not None:
        http1.uninstall()
    if stock.switch_off_http2():
        return known
    logger("http").warning("HTTP/2 in clear text could not be switched off: its requests are refused one by one")
    return False
