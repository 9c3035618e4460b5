"""Serves one small app on loopback until it is told to stop, or until whoever started it is gone."""

import asyncio
import os
import signal
from typing import cast

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from starlette.types import ASGIApp

PORT_VARIABLE = "DEMO_PORT"


def serve_from_command_line(app: ASGIApp) -> None:
    """Serves on 127.0.0.1 at the port that the environment names."""
    asyncio.run(_serve(app, int(os.environ[PORT_VARIABLE])))


async def _serve(app: ASGIApp, port: int) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = 1
    config.alpn_protocols = ["http/1.1"]
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def told() -> None:
        await stop.wait()

    await serve(cast("ASGIFramework", app), config, shutdown_trigger=told)
