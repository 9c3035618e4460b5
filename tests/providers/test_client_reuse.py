"""Connections are used again while both sides are well, and a request is never sent twice."""

import asyncio
import ssl

import pytest

from broker.providers import connections
from broker.providers.client import Broken, NotReached, Progress, Waits
from broker.providers.pooled import PooledClient
from tests.providers.wire import OK, Wire, client_of, connected, ending_with, get, saying, serving, silent, until


async def test_calls_one_after_another_share_a_connection(waits: Waits) -> None:
    async with serving(saying(OK)) as wire, client_of(waits) as client:
        assert [await get(client, wire.url) for _ in range(5)] == [b"hi"] * 5
        assert (wire.opened, connected(client), len(wire.asked)) == (1, 1, 5)


async def test_an_answer_closed_before_its_end_ends_its_connection(waits: Waits) -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi")) as wire, client_of(waits) as client:
        answer = await client.send("GET", wire.url, [])
        await answer.close()
        with pytest.raises(Broken):
            await answer.whole(9)
        await until(lambda: wire.open == 0 and connected(client) == 0)


@pytest.mark.parametrize("framing", ["content-length: 2\r\n", "", "connection: close\r\ncontent-length: 2\r\n"])
async def test_a_provider_that_ends_its_side_is_believed_and_not_asked_there_again(waits: Waits, framing: str) -> None:
    script = ending_with(f"HTTP/1.1 200 OK\r\n{framing}\r\nhi".encode())
    async with serving(script) as wire, client_of(waits) as client:
        assert await get(client, wire.url) == b"hi"
        await until(lambda: connected(client) == 0)
        assert await get(client, wire.url) == b"hi"
        assert wire.opened == 2


async def test_bytes_that_come_at_rest_end_the_connection(waits: Waits) -> None:
    async def script(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        writer.write(OK)
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await reader.read()

    async with serving(script) as wire, client_of(waits) as client:
        assert await get(client, wire.url) == b"hi"
        await until(lambda: connected(client) == 0)
        assert await get(client, wire.url) == b"hi"
        assert wire.opened == 2


async def test_a_connection_at_rest_is_closed_in_time(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REST", 0.05)
    async with serving(saying(OK)) as wire, client_of(waits) as client:
        await asyncio.gather(*(get(client, wire.url) for _ in range(3)))
        assert connected(client) == 3
        await until(lambda: wire.open == 0 and connected(client) == 0)


@pytest.mark.parametrize(
    ("said", "opened"),
    [("timeout=5, max=100", 1), ("TIMEOUT=0", 2), ("max=5,timeout=0", 2), ("timeout=0x", 1), ("other=0", 1), ("", 1)],
)
async def test_a_connection_is_not_used_at_the_end_of_the_rest_that_the_provider_gives_it(
    waits: Waits, said: str, opened: int
) -> None:
    answer = OK.replace(b"\r\n\r\n", f"\r\nKeep-Alive: {said}\r\n\r\n".encode())
    async with serving(saying(answer)) as wire, client_of(waits) as client:
        for _ in range(2):
            assert await get(client, wire.url) == b"hi"
            await asyncio.sleep(0.001)
        assert wire.opened == opened


async def test_an_answer_to_head_is_only_a_head(waits: Waits) -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")) as wire, client_of(waits) as client:
        answer = await client.send("HEAD", wire.url, [])
        assert (answer.header(b"content-length"), await answer.whole(9)) == (b"9", b"")


async def test_no_more_rest_than_allowed(waits: Waits) -> None:
    async with serving(saying(OK)) as wire, client_of(waits, idle=2) as client:
        await asyncio.gather(*(get(client, wire.url) for _ in range(6)))
        await until(lambda: connected(client) == 2)


async def test_many_calls_wait_for_their_turn_at_few_connections(waits: Waits) -> None:
    async with serving(saying(OK)) as wire, client_of(waits, connections=16) as client:
        assert await asyncio.gather(*(get(client, wire.url) for _ in range(500))) == [b"hi"] * 500
        assert (wire.opened, len(wire.asked)) == (16, 500)


async def test_500_calls_at_once_have_500_connections(waits: Waits) -> None:
    async with serving(saying(OK)) as wire, client_of(waits) as client:
        assert await asyncio.gather(*(get(client, wire.url) for _ in range(500))) == [b"hi"] * 500
        assert len(wire.asked) == 500
        await until(lambda: connected(client) <= 256)


async def test_a_call_that_gets_no_turn_was_not_reached() -> None:
    async with (
        serving(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as wire,
        client_of(Waits(0.05, 9, 9), connections=1) as client,
    ):
        endless = await client.send("GET", wire.url, [])
        progress = Progress()
        with pytest.raises(NotReached):
            await client.send("POST", wire.url, [], b"", progress)
        assert not progress.wrote
        [pool] = client._pools.values()
        assert not pool._waiting
        await endless.close()
        await until(lambda: connected(client) == 0)
        await (await client.send("GET", wire.url, [])).close()


async def test_a_turn_that_brought_no_connection_is_given_to_the_next() -> None:
    trusts = ssl.create_default_context()
    async with serving(silent) as wire, client_of(Waits(9, 9, 9), connections=1, trusts=trusts) as client:
        url = f"https://127.0.0.1:{wire.port}/"
        slow = asyncio.create_task(client.send("GET", url, [], waits=Waits(0.1, 9, 9)))
        await until(lambda: wire.opened == 1)
        patient = asyncio.create_task(client.send("GET", url, []))
        with pytest.raises(NotReached):
            await slow
        await until(lambda: wire.opened == 2)
        patient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await patient


async def test_calls_under_way_end_with_the_client(waits: Waits) -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as wire:
        client = PooledClient(waits, connections=1)
        answer = await client.send("GET", wire.url, [])
        reading = asyncio.create_task(answer.whole(9))
        waiting = asyncio.create_task(client.send("GET", wire.url, []))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(Broken):
            await reading
        with pytest.raises(NotReached):
            await waiting
        with pytest.raises(NotReached):
            await client.send("GET", wire.url, [])
        await until(lambda: wire.open == 0)
