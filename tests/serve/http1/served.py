"""An app behind a real server on loopback, and the other end of a connection to it, byte by byte."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from broker.serve.http import listen_config, serve_http
from broker.settings import Settings

HOST = b"Host: 127.0.0.1\r\n"
GET = b"GET /page HTTP/1.1\r\n" + HOST + b"\r\n"
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name]
        assert len(found) < 2, found
        return found[0] if found else None


@dataclass(slots=True)
class Line:
    """A client's end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def ask(self, raw: bytes, method: str = "GET") -> Answer:
        await self.say(raw)
        return await self.hear(method)

    async def hear(self, method: str = "GET") -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, status, *_ = head[0].split(" ")
        assert version == "HTTP/1.1"
        pairs = [line.partition(":") for line in head[1:] if line]
        answer = Answer(int(status), [(name, value.strip()) for name, _, value in pairs], b"")
        if method != "HEAD" and answer.status not in (100, 204, 304):
            answer.body = await self._body(answer)
        return answer

    async def _body(self, answer: Answer) -> bytes:
        if answer.header("transfer-encoding") == "chunked":
            pieces = []
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                pieces.append((await self.reader.readexactly(size + 2))[:-2])
            assert await self.reader.readexactly(2) == b"\r\n"
            return b"".join(pieces)
        length = answer.header("content-length")
        return await (self.reader.read() if length is None else self.reader.readexactly(int(length)))

    async def rest(self) -> bytes:
        """All until the server closes; a reset ends it as well."""
        heard = b""
        with suppress(ConnectionError):
            while piece := await self.reader.read(65_536):
                heard += piece
        return heard

    def close(self) -> None:
        self.writer.close()

    def vanish(self) -> None:
        self.writer.transport.abort()


@dataclass(slots=True)
class Served:
    port: int
    stop: asyncio.Event
    tls: ssl.SSLContext | None
    serving: asyncio.Task[None]
    lines: list[Line] = field(default_factory=list)

    async def connect(self) -> Line:
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls))
        self.lines.append(line)
        return line

    async def tell(self, raw: bytes) -> bytes:
        """What is answered on a connection of its own, until it is closed."""
        line = await self.connect()
        await line.say(raw)
        return await asyncio.wait_for(line.rest(), 20)


@asynccontextmanager
async def served(
    handler: Handler, parser: str = "httptools", *, tls: ssl.SSLContext | None = None, **config: Any
) -> AsyncIterator[Served]:
    """`config` changes attributes of hypercorn's; settings are told by the name `settings`."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    told = listen_config(config.pop("settings", Settings()), listening.detach())
    told.graceful_timeout = 5
    for name, value in config.items():
        assert hasattr(told, name)
        setattr(told, name, value)
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_http(http_only(handler), told, parser, stop.wait))
    server = Served(port, stop, tls, serving)
    try:
        yield server
    finally:
        for line in server.lines:
            line.vanish()
        stop.set()
        await asyncio.wait_for(serving, 20)


def http_only(handler: Handler) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await handler(scope, receive, send)

    return app


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def read_all(receive: Receive) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        pieces.append(message["body"])
        more = message["more_body"]
    return b"".join(pieces)


async def reply(send: Send, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what was asked: method, path, and the body."""
    body = await read_all(receive)
    await reply(send, b"%s %s %s" % (scope["method"].encode(), scope["raw_path"], body))
