"""A provider on loopback that answers as a test tells it to, also wrongly, byte by byte."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from queue import Queue
from typing import Any


@dataclass(slots=True)
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


Script = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class FakeProvider:
    """`asked` has every request that came; `script` writes the answer, whole heads included."""

    script: Script
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    closed_early: int = 0
    connections: int = 0
    received: int = 0
    """Bytes, whether or not they make a request."""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                asked = await _read(reader)
                self.asked.append(asked)
                await self.script(asked, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed_early += 1
        finally:
            self._open.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        for writer in self._open:
            writer.close()


class _Counting(asyncio.StreamReaderProtocol):
    def __init__(self, provider: FakeProvider) -> None:
        super().__init__(asyncio.StreamReader(), provider.serve)
        self._provider = provider

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._provider.connections += 1
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._provider.received += len(data)
        super().data_received(data)


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Asked(method, target, headers, await reader.readexactly(length))


@asynccontextmanager
async def fake_provider(script: Script) -> AsyncIterator[FakeProvider]:
    provider = FakeProvider(script)
    server = await asyncio.get_running_loop().create_server(lambda: _Counting(provider), "127.0.0.1", 0)
    provider.port = server.sockets[0].getsockname()[1]
    try:
        yield provider
    finally:
        server.close()
        provider.hang_up()
        await asyncio.sleep(0.01)  # each connection notices


@contextmanager
def provider_in_a_thread(script: Script) -> Iterator[FakeProvider]:
    """For tests whose own thread waits for a client that is not async."""
    started: Queue[FakeProvider] = Queue()
    done = threading.Event()

    async def serve() -> None:
        async with fake_provider(script) as provider:
            started.put(provider)
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        yield started.get(timeout=60)
    finally:
        done.set()
        thread.join()


def head(status: int, content_type: str, length: int | None = None, *extra: str) -> bytes:
    framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    lines = [f"HTTP/1.1 {status} Answer", f"content-type: {content_type}", framing, *extra, "", ""]
    return "\r\n".join(lines).encode()


def whole(answer: object, status: int = 200, *extra: str) -> bytes:
    """A complete JSON answer with its head."""
    body = json.dumps(answer).encode()
    return head(status, "application/json", len(body), *extra) + body


def chunk(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


LAST_CHUNK = b"0\r\n\r\n"


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def usage(prompt: int = 10, completion: int = 5) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def completion(text: str = "Hello.", used: object = None) -> dict[str, Any]:
    """A chat completion in OpenAI's shape."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [choice],
    }
    return answer | {"usage": usage() if used is None else used}


def delta(text: str) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def usage_event(used: object = None) -> dict[str, Any]:
    return {**delta(""), "choices": [], "usage": usage() if used is None else used}


async def answer_chat(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The well-behaved provider: JSON or a stream of three words, with true usage."""
    if asked.method == "GET":
        writer.write(whole({"object": "list", "data": []}))
    elif asked.json().get("stream"):
        writer.write(head(200, "text/event-stream"))
        for word in ("Hello", " there", "."):
            writer.write(chunk(event(delta(word))))
        if asked.json().get("stream_options", {}).get("include_usage"):
            writer.write(chunk(event(usage_event())))
        writer.write(chunk(DONE) + LAST_CHUNK)
    else:
        writer.write(whole(completion()))
    await writer.drain()
