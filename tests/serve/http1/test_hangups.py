"""A client that leaves: the app goes on, is told when it asks, and may ask to be called."""

import asyncio
from typing import Any

from starlette.types import Receive, Scope, Send

from broker.serve.http1_request import HANGUP
from tests.serve.http1.served import GET, HOST, read_all, reply, served

POST = b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\n"


class Watched:
    """Notes what it is told after the body, and may stream on until it is let go."""

    def __init__(self) -> None:
        self.begun, self.left, self.done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.cancelled = False
        self.told: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            message: Any = {"more_body": True}
            while message.get("more_body", False):
                self.begun.set()
                message = await receive()
                self.told.append(message["type"])
            if self.told[-1] != "http.disconnect":
                self.told.append((await receive())["type"])
            self.left.set()
            await asyncio.sleep(0.02)
            await reply(send, b"late")
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.done.set()


async def test_who_waits_is_told_and_nobody_is_cancelled(parser: str) -> None:
    app = Watched()
    async with served(app, parser) as server:
        line = await server.connect()
        await line.say(GET)
        await app.begun.wait()
        line.vanish()
        await app.done.wait()
    assert app.told[-1] == "http.disconnect"
    assert not app.cancelled


async def test_a_body_that_breaks_off_is_no_whole_body(parser: str) -> None:
    app = Watched()
    async with served(app, parser) as server:
        line = await server.connect()
        await line.say(POST + b"hel")
        await app.begun.wait()
        line.close()
        await app.done.wait()
    assert app.told[-1] == "http.disconnect"


async def test_who_asked_to_be_called_is_called_once_and_not_after_taking_it_back() -> None:
    calls: list[str] = []
    waiting, over = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        hangup = scope["extensions"][HANGUP]
        hangup(lambda: calls.append("kept"))
        take_back = hangup(lambda: calls.append("taken back"))
        take_back()
        take_back()
        left = asyncio.Event()
        hangup(left.set)
        waiting.set()
        await left.wait()
        hangup(lambda: calls.append("at once"))
        over.set()

    async with served(app) as server:
        line = await server.connect()
        await line.say(GET)
        await waiting.wait()
        assert calls == []
        line.vanish()
        await over.wait()
    assert calls == ["kept", "at once"]


async def test_nobody_is_called_once_the_answer_is_whole() -> None:
    calls: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"][HANGUP](lambda: calls.append("called"))
        await reply(send, b"whole")
        scope["extensions"][HANGUP](lambda: calls.append("called"))

    async with served(app) as server:
        line = await server.connect()
        assert (await line.ask(GET)).body == b"whole"
        line.vanish()
        await asyncio.sleep(0.02)
    assert calls == []


async def test_a_stream_learns_of_it_while_it_sends() -> None:
    pieces = 0
    left = asyncio.Event()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal pieces
        scope["extensions"][HANGUP](left.set)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not left.is_set():
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            pieces += 1
            await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async with served(stream) as server:
        line = await server.connect()
        await line.say(GET)
        await line.reader.readuntil(b"\r\n\r\n")
        line.close()
        await asyncio.wait_for(left.wait(), 10)
    assert pieces


async def test_who_only_ends_its_own_half_gets_the_answer() -> None:
    app = Watched()
    async with served(app) as server:
        line = await server.connect()
        await line.say(GET)
        line.writer.write_eof()
        assert (await line.hear()).body == b"late"
        assert await line.rest() == b""
    assert app.told[-1] == "http.disconnect"


async def test_who_leaves_without_a_word_leaves_nothing_behind() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, await read_all(receive))

    async with served(echo) as server:
        for opening in (b"", b"GET", POST[:-2], POST + b"hello"):
            for leave in ("close", "vanish"):
                line = await server.connect()
                await line.say(opening)
                getattr(line, leave)()
        assert (await (await server.connect()).ask(POST + b"hello")).body == b"hello"
