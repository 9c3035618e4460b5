"""One process that serves: `python -m broker.serve.worker`, started by the parent with its socket and its line."""

import asyncio
import os
import signal
import socket
import sys

import uvloop

from broker.app import create_app
from broker.core.errors import CannotStart
from broker.ledger.distant import DistantBooks
from broker.ops import log
from broker.serve import control
from broker.serve.drain import Drain
from broker.serve.http import listen_config, serve_http, speak
from broker.serve.newer import watch_schema
from broker.settings import environment, load_settings
from broker.start import calm_collector, system_clock


async def _serve(listening: int, line: socket.socket) -> int:
    settings = load_settings()
    speak(settings.http_parser)
    loop = asyncio.get_running_loop()
    app = await create_app(settings, clock=system_clock, environ=environment(), line=await _line_to_books())
    drain = Drain(app, app.end_calls, settings.drain_seconds)
    orders = {control.DRAIN: drain.begin, control.NOW: drain.hurry}
    control.follow(line, lambda word: loop.call_soon_threadsafe(orders[word]))
    loop.add_signal_handler(signal.SIGTERM, drain.begin)
    watching = asyncio.create_task(watch_schema(app.schema_revision, drain.close))

    async def told() -> None:
        calm_collector()
        line.send(control.READY)
        await drain.begun.wait()

    await serve_http(drain, listen_config(settings, listening), settings.http_parser, told)
    watching.cancel()
    return control.NEWER_SCHEMA if drain.closed else 0


async def _line_to_books() -> DistantBooks | None:
    descriptor = os.environ[control.BOOKS_VARIABLE]
    if not descriptor:
        return None
    line = socket.socket(fileno=int(descriptor))
    _, books = await asyncio.get_running_loop().create_unix_connection(DistantBooks, sock=line)
    return books


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
