"""What an app is told of a request, however its bytes arrive; on both readers."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from tests.serve.http1.served import GET, HOST, echo, read_all, reply, served

POST = b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


@pytest.mark.parametrize("raw", [POST, CHUNKED], ids=["length", "chunked"])
async def test_bytes_may_come_one_by_one(parser: str, raw: bytes) -> None:
    async with served(echo, parser) as server:
        line = await server.connect()
        for byte in raw:
            await line.say(bytes([byte]))
            await asyncio.sleep(0.0005)
        assert (await line.hear()).body == b"POST /a hello"


@pytest.mark.parametrize("raw", [POST, CHUNKED], ids=["length", "chunked"])
async def test_a_request_may_be_cut_in_two_anywhere(parser: str, raw: bytes) -> None:
    async with served(echo, parser) as server:
        line = await server.connect()
        for at in range(1, len(raw)):
            await line.say(raw[:at])
            await asyncio.sleep(0.001)
            assert (await line.ask(raw[at:])).body == b"POST /a hello", at


async def test_requests_that_are_sent_at_once_are_answered_in_their_order(parser: str) -> None:
    raw = b"".join(
        b"POST /%d HTTP/1.1\r\n" % number + HOST + b"Content-Length: %d\r\n\r\n%s" % (size, b"x" * size)
        for number, size in enumerate([0, 1, 40_000, 3, 0, 20_000])
    )
    async with served(echo, parser) as server:
        line = await server.connect()
        await line.say(raw)
        heard = [await line.hear() for _ in range(6)]
    assert [answer.body[:7] for answer in heard] == [b"POST /%d" % number for number in range(6)]
    assert [len(answer.body) - 8 for answer in heard] == [0, 1, 40_000, 3, 0, 20_000]


async def test_one_runs_at_a_time(parser: str) -> None:
    running = most = 0

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        await reply(send, scope["raw_path"])

    async with served(slow, parser) as server:
        line = await server.connect()
        await line.say(GET * 40)
        assert [(await line.hear()).body for _ in range(40)] == [b"/page"] * 40
    assert most == 1


async def test_thousands_that_are_sent_at_once_are_all_answered() -> None:
    async with served(echo) as server:
        line = await server.connect()
        saying = asyncio.create_task(line.say(GET * 5000))
        for _ in range(5000):
            assert (await line.hear()).status == 200
        await saying


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /a/b%2f%C3%A4?q=%20&r HTTP/1.1\r\nHost: x:1\r\nX-One: 1\r\nx-one:  2 \r\nX-Empty:\r\n\r\n",
        b"POST //a;b?? HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nab",
        b"OPTIONS /%ff HTTP/1.0\r\nCookie: \xe4\r\n\r\n",
        b"PATCH /?a=b#c HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_both_readers_tell_the_app_the_same(raw: bytes) -> None:
    told: dict[str, Any] = {}

    def noting(name: str) -> Any:
        async def note(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"].clear()
            told[name] = {**scope, "headers": list(scope["headers"])}, await read_all(receive)
            await reply(send, b"")

        return note

    for name in ("httptools", "h11"):
        async with served(noting(name), name) as server:
            line = await server.connect()
            await line.ask(raw)
            told[name][0].update(client=("127.0.0.1", 0), server=("127.0.0.1", 0))
    assert told["httptools"] == told["h11"]


async def test_trailers_are_no_headers(parser: str) -> None:
    seen: list[bytes] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_all(receive)
        seen.extend(name for name, _ in scope["headers"])
        await reply(send, body)

    raw = CHUNKED.removesuffix(b"\r\n") + b"Authorization: Bearer x\r\nX-Late: 1\r\n\r\n"
    async with served(note, parser) as server:
        line = await server.connect()
        assert (await line.ask(raw)).body == b"hello"
        assert (await line.ask(GET)).body == b""
    assert seen == [b"host", b"transfer-encoding", b"host"]


async def test_an_upgrade_to_http2_is_passed_over_with_its_body_or_without() -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    async with served(echo) as server:
        line = await server.connect()
        bare = b"GET /b HTTP/1.1\r\n" + HOST + upgrade + b"\r\n"
        await line.say(bare * 30 + GET)
        assert [(await line.hear()).body for _ in range(31)] == [b"GET /b "] * 30 + [b"GET /page "]
        for raw in (POST, CHUNKED):
            line = await server.connect()
            answer = await line.ask(raw.replace(HOST, HOST + upgrade))
            assert (answer.status, answer.body) == (200, b"POST /a hello")
            assert answer.header("connection") == "close"
            assert await line.rest() == b""


async def test_a_client_that_waits_for_it_is_told_to_go_on_once_somebody_reads(parser: str) -> None:
    async with served(echo, parser) as server:
        line = await server.connect()
        head, _, body = POST.replace(HOST, HOST + b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")
        assert (await line.ask(head + b"\r\n\r\n")).status == 100
        assert (await line.ask(body)).body == b"POST /a hello"


async def test_a_client_that_waits_is_not_told_to_go_on_where_nobody_reads() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"no", 401)

    raw = POST.replace(HOST, HOST + b"Expect: 100-continue\r\n").removesuffix(b"hello")
    async with served(refuse) as server:
        line = await server.connect()
        answer = await line.ask(raw)
        assert (answer.status, answer.header("connection")) == (401, "close")
        assert await line.rest() == b""
