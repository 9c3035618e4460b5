"""The end of a server: idle connections at once, running requests when they are answered, or after the grace."""

import asyncio

from starlette.types import Receive, Scope, Send

from tests.serve.http1.served import GET, echo, reply, served


class Held:
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.cancelled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        await reply(send, b"held")


async def test_idle_connections_are_closed_at_once(parser: str) -> None:
    async with served(echo, parser, graceful_timeout=30) as server:
        fresh, used = await server.connect(), await server.connect()
        await used.ask(GET)
        server.stop.set()
        for line in (fresh, used):
            assert await asyncio.wait_for(line.rest(), 10) == b""
        await asyncio.wait_for(server.serving, 10)


async def test_half_a_head_does_not_hold_the_end_up() -> None:
    async with served(echo, graceful_timeout=30) as server:
        line = await server.connect()
        await line.say(GET[:9])
        await asyncio.sleep(0.02)
        server.stop.set()
        await asyncio.wait_for(server.serving, 10)


async def test_a_running_request_is_answered_and_its_connection_ends() -> None:
    app = Held()
    async with served(app, graceful_timeout=30) as server:
        line = await server.connect()
        await line.say(GET)
        await app.begun.wait()
        server.stop.set()
        await asyncio.sleep(0.02)
        app.go_on.set()
        answer = await line.hear()
        assert (answer.body, answer.header("connection")) == (b"held", "close")
        assert await line.rest() == b""
        await asyncio.wait_for(server.serving, 10)


async def test_a_request_that_does_not_end_is_cut_after_the_grace() -> None:
    app = Held()
    async with served(app, graceful_timeout=0.1) as server:
        line = await server.connect()
        await line.say(GET)
        await app.begun.wait()
        server.stop.set()
        assert await asyncio.wait_for(line.rest(), 10) == b""
        await asyncio.wait_for(server.serving, 10)
    assert app.cancelled


async def test_an_app_that_works_on_after_its_client_left_is_waited_for() -> None:
    app = Held()
    async with served(app, graceful_timeout=30) as server:
        line = await server.connect()
        await line.say(GET)
        await app.begun.wait()
        line.vanish()
        server.stop.set()
        await asyncio.sleep(0.02)
        assert not server.serving.done()
        app.go_on.set()
        await asyncio.wait_for(server.serving, 10)
    assert not app.cancelled
