"""One process that serves, with the socket and the lines that its parent gave it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial

import uvloop

from broker.app import create_app
from broker.core.errors import CannotStart
from broker.ledger.distant import DistantBooks
from broker.ops import log
from broker.prices.errand import Errand
from broker.serve import control
from broker.serve.birth import begin
from broker.serve.drain import Drain
from broker.serve.http import listen_config, serve_http
from broker.serve.newer import watch_schema
from broker.serve.stock import check_config
from broker.settings import Settings, environment, load_settings
from broker.start import calm_collector, system_clock


def work(settings: Settings, line: socket.socket, descriptors: Sequence[int]) -> int:
    """Gives the exit status. The descriptors: the listening socket, the lock, and the line to the books where the parent writes them."""
    listening, _lock, *books = descriptors
    try:
        return uvloop.run(_serve(_bound(settings, listening), listening, line, *books))
    except CannotStart as error:
        return _cannot(error)


def _cannot(error: CannotStart) -> int:
    sys.stderr.write(f"{error.description}\n")
    return control.CANNOT_START


async def _serve(settings: Settings, listening: int, line: socket.socket, books: int | None = None) -> int:
    config = listen_config(settings, listening)
    check_config(config)
    loop = asyncio.get_running_loop()
    app = await create_app(settings, clock=system_clock, environ=environment(), line=await _line_to_books(books))
    drain = Drain(app, app.end_calls, settings.drain_seconds)
    orders = {control.DRAIN: drain.begin, control.NOW: drain.hurry}
    control.follow(line, lambda word: loop.call_soon_threadsafe(orders[word]))
    loop.add_signal_handler(signal.SIGTERM, drain.begin)
    watching = asyncio.create_task(watch_schema(app.schema_revision, drain.close))

    async def told() -> None:
        calm_collector()
        line.send(control.READY)
        await drain.begun.wait()

    await serve_http(drain, config, settings.http_parser, told)
    watching.cancel()
    return control.NEWER_SCHEMA if drain.closed else 0


def _bound(settings: Settings, listening: int) -> Settings:
    """With the port that was found where any would do."""
    with socket.socket(fileno=os.dup(listening)) as bound:
        return settings.model_copy(update={"port": bound.getsockname()[1]})


async def _line_to_books(descriptor: int | None) -> DistantBooks | None:
    if descriptor is None:
        return None
    line = socket.socket(fileno=descriptor)
    _, books = await asyncio.get_running_loop().create_unix_connection(DistantBooks, sock=line)
    return books


def main() -> None:
    """`python -m broker.serve.worker LINE`: one that could not be forked."""
    os.umask(0o077)
    errand = Errand()
    log.configure()
    try:
        settings = load_settings()
    except CannotStart as error:
        sys.exit(_cannot(error))
    errand.done()
    sys.exit(begin(socket.socket(fileno=int(sys.argv[1])), partial(work, settings)))


if __name__ == "__main__":
    main()
