"""Every wait for a provider has an end, and a slow reader slows the provider and not our memory."""

import asyncio
import socket
from itertools import count

import pytest

from broker.providers.client import Broken, NotReached, Progress, TimedOut, Waits
from broker.providers.http1 import MOST_UNREAD
from tests.providers.wire import OK, Wire, client_of, connected, get, saying, serving, silent, until

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
MOST_AT_ONCE = 512 * 1024
"""No loop hands over more in one piece."""


async def test_a_provider_that_refuses_connections_was_not_reached(waits: Waits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    progress = Progress()
    async with client_of(waits) as client:
        with pytest.raises(NotReached):
            await client.send("POST", url, [], b"x", progress)
    assert not progress.wrote


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example"])
async def test_a_host_without_an_address_was_not_reached(waits: Waits, host: str) -> None:
    async with client_of(waits) as client:
        with pytest.raises(NotReached):
            await client.send("GET", f"http://{host}/", [])


async def test_a_connection_that_is_never_accepted_was_not_reached() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with client_of(Waits(0.1, 9, 9)) as client:
            with pytest.raises(NotReached):
                await client.send("GET", f"http://127.0.0.1:{full.getsockname()[1]}/", [])
            await until(lambda: connected(client) == 0)
        for filler in fillers:
            filler.close()


async def test_no_head_in_time_is_a_silence() -> None:
    progress = Progress()
    async with serving(silent) as wire, client_of(Waits(9, 0.05, 9)) as client:
        with pytest.raises(TimedOut):
            await client.send("POST", wire.url, [], b"x", progress)
        assert progress.wrote
        await until(lambda: wire.open == 0 and connected(client) == 0)


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\n", HEAD, HEAD + b"2\r\nhi\r\n"])
async def test_silence_in_the_middle_ends_the_call(said: bytes) -> None:
    async with serving(saying(said)) as wire, client_of(Waits(9, 9, 0.05)) as client:
        with pytest.raises(TimedOut):
            await get(client, wire.url)
        await until(lambda: wire.open == 0 and connected(client) == 0)


async def test_what_came_before_the_silence_is_read_first() -> None:
    async with serving(saying(HEAD + b"2\r\nhi\r\n")) as wire, client_of(Waits(9, 9, 0.05)) as client:
        answer = await client.send("GET", wire.url, [])
        await until(lambda: answer.error is not None)
        chunks = answer.chunks()
        assert await anext(chunks) == b"hi"
        with pytest.raises(TimedOut):
            await anext(chunks)


async def test_each_piece_has_its_own_time() -> None:
    async def script(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        writer.write(HEAD)
        for _ in range(8):
            await asyncio.sleep(0.1)
            writer.write(b"2\r\nhi\r\n")
        writer.write(b"0\r\n\r\n")
        await reader.read()

    async with serving(script) as wire, client_of(Waits(9, 0.4, 0.4)) as client:
        assert await get(client, wire.url) == b"hi" * 8


async def test_a_provider_that_does_not_read_is_a_silence() -> None:
    async def script(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    progress = Progress()
    async with serving(script) as wire, client_of(Waits(9, 30, 0.2)) as client:
        with pytest.raises(TimedOut):
            await client.send("POST", wire.url, [], bytes(64 << 20), progress)
        assert progress.wrote


async def test_a_provider_that_reads_slowly_has_the_time_it_needs() -> None:
    async def script(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        left = size
        while left:
            left -= len(await reader.read(1 << 20))
            await asyncio.sleep(0.02)
        writer.write(OK)
        await reader.read()

    size = 48 << 20
    async with serving(script) as wire, client_of(Waits(9, 9, 0.3)) as client:
        answer = await client.send("POST", wire.url, [], bytes(size))
        assert await answer.whole(9) == b"hi"


async def test_an_answer_to_a_request_that_was_not_read_counts_and_ends_the_connection(waits: Waits) -> None:
    async def script(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too large\r\ncontent-length: 2\r\n\r\nno")
        await asyncio.sleep(30)

    async with serving(script) as wire, client_of(waits) as client:
        answer = await client.send("POST", wire.url, [], bytes(64 << 20))
        assert (answer.status, await answer.whole(9)) == (413, b"no")
        await until(lambda: connected(client) == 0)


async def test_a_reader_who_takes_nothing_holds_the_provider_up() -> None:
    pieces = [number.to_bytes(4, "big") * 16_384 for number in range(512)]
    sent = count()

    async def script(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        writer.write(HEAD)
        for piece in pieces:
            writer.write(b"10000\r\n" + piece + b"\r\n")
            await writer.drain()
            next(sent)
        writer.write(b"0\r\n\r\n")
        await reader.read()

    async with serving(script) as wire, client_of(Waits(9, 9, 0.3)) as client:
        answer = await client.send("GET", wire.url, [])
        await asyncio.sleep(0.5)  # longer than a silence: it is we who are silent
        assert answer.size <= MOST_UNREAD + MOST_AT_ONCE
        assert next(sent) < len(pieces) - 1
        assert b"".join([piece async for piece in answer.chunks()]) == b"".join(pieces)
        await until(lambda: answer.ended)


async def test_a_provider_that_resets_the_connection_is_broken(waits: Waits) -> None:
    async def script(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        writer.write(HEAD + b"2\r\nhi\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)
        linger = b"\x01\0\0\0\0\0\0\0"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with serving(script) as wire, client_of(waits) as client:
        answer = await client.send("GET", wire.url, [])
        with pytest.raises(Broken) as broken:
            await answer.whole(9)
        assert not isinstance(broken.value, TimedOut)
