"""An ordinary httpx.AsyncClient goes the same way, and hears of failures in its own words."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from broker.providers.client import TooLarge, Waits
from broker.providers.transport import Transport, ordinary, whole
from tests.providers.wire import OK, Script, Wire, client_of, ending_with, get, saying, serving, silent, until

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def both(
    script: Script, waits: Waits, timeout: httpx.Timeout | None = None
) -> AsyncIterator[tuple[Wire, httpx.AsyncClient]]:
    async with (
        serving(script) as wire,
        client_of(waits) as client,
        httpx.AsyncClient(transport=Transport(client), timeout=timeout) as http,
    ):
        yield wire, http


async def test_a_request_and_its_answer(waits: Waits) -> None:
    said = b"HTTP/1.1 201 Made\r\nX-Two: a\r\nX-Two: b\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n"
    async with both(saying(said, b'{"a":1}'), waits) as (wire, http):
        answer = await http.post(wire.url, json={"b": 2}, params={"c": "d e"}, headers={"x-one": "1"})
        assert (answer.status_code, answer.json(), answer.http_version) == (201, {"a": 1}, "HTTP/1.1")
        assert answer.headers.get_list("x-two") == ["a", "b"]
        await http.get(wire.url)
        first, second = wire.asked
        head, body = first.split(b"\r\n\r\n")
        assert head.startswith(b"POST /v1?c=d+e HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % wire.port)
        assert head.lower().count(b"host:") == head.lower().count(b"accept-encoding:") == 1
        assert (b"accept-encoding: identity" in head, b"x-one: 1" in head, body) == (True, True, b'{"b":2}')
        assert second.startswith(b"GET /v1 HTTP/1.1\r\n")
        assert wire.opened == 1


async def test_a_stream_comes_piece_by_piece_and_can_be_left(waits: Waits) -> None:
    async def script(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        writer.write(STREAM + b"2\r\nhi\r\n")
        await go.wait()
        writer.write(b"2\r\nho\r\n")
        await reader.read()

    go = asyncio.Event()
    async with both(script, waits) as (wire, http):
        async with http.stream("GET", wire.url) as answer:
            pieces = answer.aiter_bytes()
            assert await anext(pieces) == b"hi"
            go.set()
            assert await anext(pieces) == b"ho"
        await until(lambda: wire.open == 0)


async def test_a_body_that_comes_in_pieces_is_sent_whole(waits: Waits) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with both(saying(OK), waits) as (wire, http):
        await http.post(wire.url, content=pieces())
        assert wire.asked[0].endswith(b"\r\ncontent-length: 6\r\n\r\nonetwo")
        assert b"transfer-encoding" not in wire.asked[0]


async def test_no_redirect_is_followed_by_the_transport(waits: Waits) -> None:
    said = b"HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with both(saying(said), waits) as (wire, http):
        assert (await http.get(wire.url)).status_code == 307


async def test_failures_have_httpx_names(waits: Waits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    async with both(ending_with(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi"), waits) as (wire, http):
        with pytest.raises(httpx.ConnectError):
            await http.get(nobody)
        with pytest.raises(httpx.RemoteProtocolError) as broken:
            await http.get(wire.url)
        assert broken.value.request.url == wire.url
        with pytest.raises(httpx.LocalProtocolError):
            await http.get(wire.url, headers={"x-one": "a\r\nb: c"})
    async with both(ending_with(b""), waits) as (wire, http):
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(wire.url)


async def test_a_request_may_bring_its_own_patience(waits: Waits) -> None:
    async with both(silent, waits, httpx.Timeout(9, read=0.05)) as (wire, http):
        with pytest.raises(httpx.ReadTimeout):
            await http.get(wire.url)
    async with both(silent, Waits(9, 0.05, 9)) as (wire, http):
        with pytest.raises(httpx.ReadTimeout):
            await http.get(wire.url)


async def test_a_connection_that_takes_too_long_is_a_timeout_of_its_own(waits: Waits) -> None:
    async with both(silent, waits, httpx.Timeout(9, connect=0.05)) as (wire, http):
        with pytest.raises(httpx.ConnectTimeout):
            await http.get(f"https://127.0.0.1:{wire.port}/")


async def test_a_conversation_leaves_the_client_and_its_connection_to_others(waits: Waits) -> None:
    async with serving(saying(OK)) as wire, client_of(waits) as client:
        for _ in range(2):
            async with ordinary(client) as http:
                assert (await http.get(wire.url)).text == "hi"
        assert await get(client, wire.url) == b"hi"
        assert wire.opened == 1


async def test_a_conversation_knows_nothing_of_the_one_before_or_of_the_environment(
    waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    cookie = OK.replace(b"\r\n\r\n", b"\r\nset-cookie: who=ana; path=/\r\n\r\n")
    async with serving(saying(cookie)) as wire, client_of(waits) as client:
        for _ in range(2):
            async with ordinary(client) as http:
                assert (await http.get(wire.url)).cookies["who"] == "ana"
        assert [b"cookie" in asked.lower() for asked in wire.asked] == [False, False]


async def test_an_answer_may_be_as_long_as_its_reader_takes_and_no_longer(waits: Waits) -> None:
    async with serving(saying(OK)) as wire, client_of(waits) as client, ordinary(client) as http:
        async with http.stream("GET", wire.url) as answer:
            assert await whole(answer, 2) == b"hi"
        async with http.stream("GET", wire.url) as answer:
            with pytest.raises(TooLarge):
                await whole(answer, 1)
