"""A call may be cancelled at any moment: its connection is closed, or back at rest, and nothing is left behind."""

import asyncio
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest

from broker.providers.client import Broken, NotReached, Progress, Waits
from broker.providers.pooled import PooledClient
from tests.providers.certificates import Authority
from tests.providers.wire import OK, Wire, client_of, connected, get, saying, serving, until

MOST_AWAITS = 60


class CancelledAt:
    """Runs a coroutine and cancels its task as it suspends for the nth time, or at the moment it would go on."""

    def __init__(self, work: Coroutine[Any, Any, None], nth: int, *, late: bool) -> None:
        self.reached = 0
        self._work = work
        self._nth = nth
        self._late = late

    def __await__(self) -> Generator[Any, Any, None]:
        task = asyncio.current_task()
        assert task is not None
        step = self._work.send
        value: Any = None
        while True:
            try:
                awaited = step(value)
            except StopIteration:
                return
            self.reached += 1
            if self.reached == self._nth:
                if self._late and awaited is not None:
                    awaited.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            try:
                value = yield awaited
                step = self._work.send
            except BaseException as error:
                value = error
                step = self._work.throw


async def slowly(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer in many pieces, each of which is waited for."""
    while True:
        await wire.read(reader)
        for piece in (
            b"HTTP/1.1 200 OK\r\n",
            b"transfer-encoding: chunked\r\n\r\n",
            *[b"2\r\nhi\r\n"] * 3,
            b"0\r\n\r\n",
        ):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)


async def call(client: PooledClient, url: str, progress: Progress) -> None:
    answer = await client.send("POST", url, [], b"x", progress)
    try:
        assert b"".join([piece async for piece in answer.chunks()]) == b"hi" * 3
    finally:
        await answer.close()


async def call_whole(client: PooledClient, url: str, progress: Progress) -> None:
    answer = await client.send("POST", url, [], b"x", progress)
    assert await answer.whole(99) == b"hi" * 3


@pytest.mark.parametrize("late", [False, True], ids=["as it waits", "as it would go on"])
@pytest.mark.parametrize("work", [call, call_whole])
@pytest.mark.parametrize("reused", [False, True], ids=["new", "reused"])
async def test_at_every_await(waits: Waits, late: bool, work: Any, reused: bool) -> None:
    async with serving(slowly) as wire, client_of(waits) as client:
        assert await _cancelled_everywhere(client, wire, work, late=late, reused=reused) > (3 if reused else 5)


@pytest.mark.parametrize("late", [False, True], ids=["as it waits", "as it would go on"])
async def test_at_every_await_of_a_handshake(waits: Waits, late: bool, tmp_path: Path) -> None:
    authority = Authority.make()
    trusts = authority.trusted()
    async with serving(slowly, authority.server(tmp_path)) as wire, client_of(waits, trusts=trusts) as client:
        assert await _cancelled_everywhere(client, wire, call, late=late, reused=False) > 5


async def _cancelled_everywhere(client: PooledClient, wire: Wire, work: Any, *, late: bool, reused: bool) -> int:
    """How many awaits there were to be cancelled at."""
    for nth in range(1, MOST_AWAITS):
        if reused:
            assert await get(client, wire.url) == b"hi" * 3
        progress = Progress()
        cancelled = CancelledAt(work(client, wire.url, progress), nth, late=late)
        asked = len(wire.asked)

        async def run(running: CancelledAt = cancelled) -> None:
            await running

        task = asyncio.create_task(run())
        await asyncio.wait({task}, timeout=10)
        assert task.done()
        await until(lambda: wire.open == _at_rest(client) == connected(client))
        assert progress.wrote or len(wire.asked) == asked
        if not task.cancelled():
            await task
            if cancelled.reached < nth:
                return cancelled.reached
        if not reused:
            await _close_those_at_rest(client, wire)
    raise AssertionError("it never ran to its end")


def _at_rest(client: PooledClient) -> int:
    return sum(len(pool._idle) for pool in client._pools.values())


async def _close_those_at_rest(client: PooledClient, wire: Wire) -> None:
    for pool in client._pools.values():
        for connection in list(pool._idle):
            connection.hang_up()
    await until(lambda: wire.open == 0 and connected(client) == 0)


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("late", [False, True])
async def test_a_turn_given_to_one_who_left_is_given_to_the_next(waits: Waits, nth: int, late: bool) -> None:
    async def held(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await wire.read(reader)
            await go.wait()
            writer.write(OK)

    go = asyncio.Event()
    async with serving(held) as wire, client_of(waits, connections=1) as client:
        first = asyncio.create_task(get(client, wire.url))
        await until(lambda: len(wire.asked) == 1)

        async def leave() -> None:
            await CancelledAt(_got(client, wire.url), nth, late=late)

        leaving, second = asyncio.create_task(leave()), asyncio.create_task(get(client, wire.url))
        await asyncio.sleep(0)
        go.set()
        assert await first == b"hi"
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await second == b"hi"


async def _got(client: PooledClient, url: str) -> None:
    await get(client, url)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nhi"])
async def test_a_provider_that_goes_on_talking_is_not_listened_to(waits: Waits, said: bytes) -> None:
    async with serving(saying(said)) as wire, client_of(waits) as client:
        call = asyncio.create_task(get(client, wire.url))
        await until(lambda: len(wire.asked) == 1)
        await asyncio.sleep(0.02)
        call.cancel()
        await until(lambda: wire.open == connected(client) == 0)
        assert call.cancelled()


async def test_many_cancelled_calls_leave_nothing(waits: Waits) -> None:
    async with serving(slowly) as wire, client_of(waits, connections=20) as client:
        calls = [asyncio.create_task(get(client, wire.url)) for _ in range(200)]
        for number, each in enumerate(calls):
            asyncio.get_running_loop().call_later(number / 4000, each.cancel)
        done = await asyncio.gather(*calls, return_exceptions=True)
        odd = [each for each in done if isinstance(each, Broken | NotReached)]
        assert odd == []
        await until(lambda: wire.open == _at_rest(client) == connected(client))
