"""A server on loopback that says what a test tells it to, byte for byte, and counts who is connected."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from broker.providers.client import Waits
from broker.providers.pooled import PooledClient

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@dataclass(slots=True)
class Wire:
    script: "Script"
    port: int = 0
    scheme: str = "http"
    opened: int = 0
    open: int = 0
    asked: list[bytes] = field(default_factory=list)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """One request; raises IncompleteReadError when there is none."""
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
        request = head + await reader.readexactly(int(lengths[0]) if lengths else 0)
        self.asked.append(request)
        return request

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.open += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            # uvloop says by a RuntimeError what asyncio says by a ConnectionError: nobody listens any more.
            with suppress(asyncio.IncompleteReadError, ConnectionError, RuntimeError, asyncio.CancelledError):
                await self.script(self, reader, writer)
        finally:
            self.open -= 1
            self._serving.discard(task)
            writer.transport.abort()

    async def stop(self) -> None:
        for task in list(self._serving):
            task.cancel()
            await asyncio.wait({task})


Script = Callable[[Wire, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(*pieces: bytes) -> Script:
    """Answers each request with these pieces."""

    async def script(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await wire.read(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

    return script


def ending_with(answer: bytes) -> Script:
    """Answers one request, and ends its side of the connection only."""

    async def script(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        writer.write(answer)
        writer.write_eof()
        await reader.read()

    return script


async def silent(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads, and never says a word."""
    while await reader.read(65_536):
        pass


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    wire = Wire(script, scheme="https" if tls else "http")
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        await wire.stop()
        await asyncio.sleep(0.01)  # each transport notices


@asynccontextmanager
async def client_of(
    waits: Waits, *, connections: int = 2048, idle: int = 256, trusts: ssl.SSLContext | None = None
) -> AsyncIterator[PooledClient]:
    client = PooledClient(waits, connections=connections, idle=idle, ssl_context=trusts)
    try:
        yield client
    finally:
        await client.close()
        assert connected(client) == 0


def connected(client: PooledClient) -> int:
    """How many connections the client has, or is making."""
    return sum(len(pool) for pool in client._pools.values())


async def get(client: PooledClient, url: str) -> bytes:
    return await (await client.send("GET", url, [])).whole(1 << 30)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the other side of a socket tells nobody
            await asyncio.sleep(0.002)
