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
from broker.serve.drain import Drain
from broker.serve.http import listen_config, speak_http1_only
from broker.serve.newer import watch_schema
from broker.settings import environment, load_settings
from broker.start import system_clock


async def _serve(listening: int, line: socket.socket) -> int:
    settings = load_settings()
    speak_http1_only()
    loop = asyncio.get_running_loop()
    app = await create_app(settings, clock=system_clock, environ=environment())
    drain = Drain(app, app.end_calls, settings.drain_seconds)
    orders = {control.DRAIN: drain.begin, control.NOW: drain.hurry}
    control.follow(line, lambda word: loop.call_soon_threadsafe(orders[word]))
    loop.add_signal_handler(signal.SIGTERM, drain.begin)
    watching = asyncio.create_task(watch_schema(app.schema_revision, drain.close))

    async def told() -> None:
        line.send(control.READY)
        await drain.begun.wait()

    await serve(cast("ASGIFramework", drain), listen_config(settings, listening), shutdown_trigger=told)
    watching.cancel()
    return control.NEWER_SCHEMA if drain.closed else 0


def main() -> None:
    os.umask(0o077)
    # Ctrl-C reaches the whole group; the parent tells its workers what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.configure()
    line = socket.socket(fileno=int(os.environ[control.LINE_VARIABLE]))
    try:
        status = uvloop.run(_serve(int(os.environ[control.SOCKET_VARIABLE]), line))
    except CannotStart as error:
        sys.stderr.write(f"{error.description}\n")
        status = control.CANNOT_START
    sys.exit(status)


if __name__ == "__main__":
    main()
