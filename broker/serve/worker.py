"""One process that serves: `python -m broker.serve.worker`, started by the parent with its socket and its line."""

import asyncio
import os
import signal
import socket
import sys
from typing import cast

import uvloop
from hypercorn.asyncio import serve
from hypercorn.typing import ASGIFramework

from broker.app import create_app
from broker.core.errors import CannotStart
from broker.ops import log
from broker.serve import control
from broker.serve.http import listen_config, speak_http1_only
from broker.settings import environment, load_settings
from broker.start import system_clock


async def _serve(listening: int, line: socket.socket) -> None:
    settings = load_settings()
    speak_http1_only()
    loop = asyncio.get_running_loop()
    drain, now = asyncio.Event(), asyncio.Event()
    orders = {control.DRAIN: drain, control.NOW: now}
    control.follow(line, lambda word: loop.call_soon_threadsafe(orders[word].set))
    loop.add_signal_handler(signal.SIGTERM, drain.set)
    app = await create_app(settings, clock=system_clock, environ=environment())

    async def told() -> None:
        line.send(control.READY)
        await drain.wait()

    await serve(cast("ASGIFramework", app), listen_config(settings, listening), shutdown_trigger=told)


def main() -> None:
    os.umask(0o077)
    # Ctrl-C reaches the whole group; the parent tells its workers what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.configure()
    line = socket.socket(fileno=int(os.environ[control.LINE_VARIABLE]))
    try:
        uvloop.run(_serve(int(os.environ[control.SOCKET_VARIABLE]), line))
    except CannotStart as error:
        sys.stderr.write(f"{error.description}\n")
        sys.exit(control.CANNOT_START)


if __name__ == "__main__":
    main()
