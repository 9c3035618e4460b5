"""HTTP/1.1 in the place of hypercorn's own: what its accept loop gives each connection to."""

import asyncio
from inspect import signature
from typing import cast
from weakref import WeakKeyDictionary

import hypercorn.asyncio.run as accepting
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, LifespanState
from hypercorn.utils import parse_socket_addr

from broker.serve.http1_connection import Connection
from broker.serve.http1_worker import Worker

_NAME = "TCPServer"
SEAM = ["app", "loop", "config", "context", "state", "reader", "writer"]
_workers: WeakKeyDictionary[WorkerContext, Worker] = WeakKeyDictionary()


async def serve_connection(
    app: AppWrapper,
    loop: asyncio.AbstractEventLoop,
    config: Config,
    context: WorkerContext,
    state: LifespanState,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Until the connection has ended and the app has returned from each of its requests."""
    transport = cast("asyncio.Transport", writer.transport)
    if transport.is_closing():
        return
    worker = _workers.get(context)
    if worker is None:
        worker = _workers[context] = Worker(app, loop, config, context, state)
    try:
        connection = Connection(worker, transport, _base(transport, config))
    except OSError:
        transport.abort()
        return
    transport.set_protocol(connection)
    # What came before this task ran stands in the reader, which has no way to ask for it without waiting.
    held, ended = bytes(reader._buffer), reader._eof  # type: ignore[attr-defined]  # noqa: SLF001
    connection.begin(held, ended=ended)
    try:
        await connection.ended
        while running := [task for task in connection.tasks if not task.done()]:
            await asyncio.wait(running)
    except asyncio.CancelledError:
        connection.abort()
        for task in connection.tasks:
            task.cancel()
        if connection.tasks:
            await asyncio.wait(connection.tasks)
        raise


def _base(transport: asyncio.WriteTransport, config: Config) -> dict[str, object]:
    """What the scopes of all requests of a connection share; raises OSError where the client is gone already."""
    socket = transport.get_extra_info("socket")
    return {
        "type": "http",
        "asgi": {"spec_version": "2.1", "version": "3.0"},
        "scheme": "http" if transport.get_extra_info("ssl_object") is None else "https",
        "root_path": config.root_path,
        "client": parse_socket_addr(socket.family, socket.getpeername()),
        "server": parse_socket_addr(socket.family, socket.getsockname()),
    }


def fits() -> bool:
    """Whether this release of hypercorn hands its connections over as the one that this was written for."""
    return hasattr(accepting, _NAME) and list(signature(TCPServer).parameters) == SEAM


def install() -> None:
    setattr(accepting, _NAME, serve_connection)


def uninstall() -> None:
    setattr(accepting, _NAME, TCPServer)
