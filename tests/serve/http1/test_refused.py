"""Heads and bodies with two readings, or with none: one answer, no app, and the end of the connection."""

import json

import pytest
from starlette.types import Receive, Scope, Send

from broker.settings import Settings
from tests.serve.http1.served import GET, HOST, reply, served

CHUNKS = b"Transfer-Encoding: chunked\r\n"


def post(headers: bytes, body: bytes = b"") -> bytes:
    return b"POST /a HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


def line(line: bytes, headers: bytes = HOST) -> bytes:
    return line + b"\r\n" + headers + b"\r\n"


HEADS: dict[str, tuple[int, bytes]] = {
    "a length and chunks": (400, post(b"Content-Length: 5\r\n" + CHUNKS, b"0\r\n\r\n")),
    "chunks and a length": (400, post(CHUNKS + b"Content-Length: 5\r\n", b"0\r\n\r\n")),
    "chunks and a length, by other names": (
        400,
        post(b"tRANSFER-eNCODING: Chunked\r\nCONTENT-length: 5\r\n", b"0\r\n\r\n"),
    ),
    "two lengths": (400, post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello")),
    "the same length twice": (400, post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello")),
    "a length with a sign": (400, post(b"Content-Length: +5\r\n", b"hello")),
    "a list of lengths": (400, post(b"Content-Length: 5, 6\r\n", b"hello")),
    "a list of the same length": (400, post(b"Content-Length: 5, 5\r\n", b"hello")),
    "a length below nothing": (400, post(b"Content-Length: -1\r\n", b"hello")),
    "a length of 30 digits": (400, post(b"Content-Length: " + b"9" * 30 + b"\r\n", b"hello")),
    "an empty length": (400, post(b"Content-Length:\r\n", b"hello")),
    "a length by sixteens": (400, post(b"Content-Length: 0x5\r\n", b"hello")),
    "another coding": (400, post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n")),
    "two codings": (400, post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n")),
    "a coding that is none": (400, post(b"Transfer-Encoding: identity, chunked\r\n", b"0\r\n\r\n")),
    "a coding after chunked": (400, post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n")),
    "chunked twice": (400, post(CHUNKS * 2, b"0\r\n\r\n")),
    "identity": (400, post(b"Transfer-Encoding: identity\r\n")),
    "no coding": (400, post(b"Transfer-Encoding:\r\n")),
    "a coding in quotes": (400, post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n")),
    "a coding after VT": (400, post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n")),
    "a space before the colon": (400, post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n")),
    "chunks in HTTP/1.0": (400, b"POST / HTTP/1.0\r\n" + HOST + CHUNKS + b"\r\n0\r\n\r\n"),
    "VT": (400, post(b"X-A: b\x0bc\r\n")),
    "NUL": (400, post(b"X-A: b\x00c\r\n")),
    "a bare CR": (400, post(b"X-A: b\rc\r\n")),
    "a bare LF": (400, post(b"X-A: b\nX-B: c\r\n")),
    "a folded line": (400, post(b"X-A: b\r\n c\r\n")),
    "a folded first line": (400, line(b"GET / HTTP/1.1", b" X: y\r\n" + HOST)),
    "a header without a name": (400, post(b": b\r\n")),
    "a header without a colon": (400, post(b"X-A\r\n")),
    "a name with a byte of no letter": (400, post(b"X\x80: b\r\n")),
    "no host": (400, line(b"GET / HTTP/1.1", b"")),
    "two hosts": (400, line(b"GET / HTTP/1.1", HOST * 2)),
    "three words and a space": (400, line(b"GET / HTTP/1.1 ")),
    "a space in the address": (400, line(b"GET /a b HTTP/1.1")),
    "lines that end in LF": (400, GET.replace(b"\r\n", b"\n")),
    "HTTP/0.9": (505, b"GET /\r\n\r\n"),
    "HTTP/2.0": (505, line(b"GET / HTTP/2.0")),
    "HTTP/3.7": (400, line(b"GET / HTTP/3.7")),
    "http/1.1": (400, line(b"GET / http/1.1")),
    "the preface of HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "the preface with a host": (400, line(b"PRI * HTTP/2.0")),
    "a hello of TLS": (501, bytes.fromhex("16030100d5010000d10303") + bytes(200)),
    "a method in small letters": (501, line(b"get / HTTP/1.1")),
    "a method in letters of both kinds": (501, line(b"pOsT / HTTP/1.1")),
    "a method that nobody knows": (501, line(b"FOO / HTTP/1.1")),
    "CONNECT": (501, line(b"CONNECT evil.test:80 HTTP/1.1")),
    "CONNECT to a path": (501, line(b"CONNECT /a HTTP/1.1")),
    "a whole address": (404, line(b"GET http://evil.test/a HTTP/1.1")),
    "a name for an address": (404, line(b"GET @evil.test/a HTTP/1.1")),
    "all of the server": (404, line(b"OPTIONS * HTTP/1.1")),
    "an address with a byte of no letter": (404, line(b"GET /\xe4 HTTP/1.1")),
    "an address with a NUL": (404, line(b"GET /\x00 HTTP/1.1")),
    "a WebSocket": (
        403,
        line(b"GET / HTTP/1.1", HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"),
    ),
    "a long address": (414, line(b"GET /" + b"a" * 8200 + b" HTTP/1.1")),
    "an address without end": (414, b"GET /" + b"a" * 100_000),
    "101 headers": (431, post(b"X: y\r\n" * 100)),
    "1000 headers": (431, post(b"X: y\r\n" * 1000)),
    "a header of 20 KB": (431, post(b"X: " + b"y" * 20_000 + b"\r\n")),
    "a header of 300 KB": (431, post(b"X: " + b"y" * 300_000 + b"\r\n")),
    "a header without end": (431, b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000),
    "empty lines without end": (400, b"\r\n" * 100_000),
}

BODIES: dict[str, bytes] = {
    "0x in a size": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a sign in a size": b"+5\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "a size of 17 digits": b"F" * 17 + b"\r\nhello",
    "a space before a size": b" 5\r\nhello\r\n0\r\n\r\n",
    "a space after a size": b"5 \r\nhello\r\n0\r\n\r\n",
    "LF after a size": b"5\nhello\r\n0\r\n\r\n",
    "CR after a size": b"5\rhello\r\n0\r\n\r\n",
    "LF after a chunk": b"5\r\nhello\n0\r\n\r\n",
    "nothing after a chunk": b"5\r\nhello0\r\n\r\n",
    "more than the size": b"5\r\nhello!\r\n0\r\n\r\n",
    "an open quote in an extension": b'5;a="b\r\nhello\r\n0\r\n\r\n',
    "NUL in an extension": b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
    "LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "an empty extension": b"5;\r\nhello\r\n0\r\n\r\n",
    "an extension without end": b"5;" + b"a" * 100_000,
    "a length for a trailer": b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a trailer without end": b"5\r\nhello\r\n0\r\nX: " + b"a" * 100_000,
    "trailers without end": b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 30_000,
    "a trailer that is no header": b"5\r\nhello\r\n0\r\nhello\r\n\r\n",
}


async def _never(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError(f"the app was asked for {scope['path']}")


@pytest.mark.parametrize(("status", "raw"), HEADS.values(), ids=HEADS)
async def test_a_head_that_is_refused_reaches_no_app_and_nothing_behind_it_is_answered(status: int, raw: bytes) -> None:
    async with served(_never, settings=Settings(max_header_bytes=16_384)) as server:
        heard = await server.tell(raw + GET)
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    assert b"\r\nconnection: close" in head
    assert json.loads(body).keys() == {"error", "error_description"}
    assert b"evil" not in heard


@pytest.mark.parametrize("name", ["101 headers", "no host", "HTTP/2.0", "a WebSocket"])
async def test_a_refusal_that_no_app_gave_has_a_number_of_its_own(name: str) -> None:
    numbers = []
    async with served(_never) as server:
        for _ in range(2):
            connection = await server.connect()
            answer = await connection.ask(HEADS[name][1])
            assert answer.header("x-request-id") == answer.header("request-id")
            numbers.append(answer.header("x-request-id") or "")
    assert numbers[0] != numbers[1]
    assert all(number.startswith("req_") for number in numbers)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_is_refused_is_not_whole_for_the_app_and_nothing_behind_it_is_answered(body: bytes) -> None:
    ends: list[str] = []

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        ends.append(message["type"])
        await reply(send, b"never sent")

    async with served(read) as server:
        heard = await server.tell(post(CHUNKS, body) + GET)
    assert heard.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert heard.count(b"HTTP/1.1 ") == 1
    assert ends == ["http.disconnect"]


async def test_requests_before_a_refused_one_are_answered() -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"fine")

    async with served(answer) as server:
        heard = await server.tell(GET + GET + b"nonsense\r\n\r\n")
        broken = await server.tell(GET + GET + post(CHUNKS, b"nonsense"))
    for told in (heard, broken):
        assert told.count(b"HTTP/1.1 200 OK\r\n") == 2
        assert told.count(b"HTTP/1.1 ") == 3
        assert told.count(b"connection: close") == 1


@pytest.mark.parametrize("size", [16_300, 8100])
async def test_a_head_just_within_the_bounds_is_taken(size: int) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, str(sum(len(name) + len(value) for name, value in scope["headers"])).encode())

    raw = line(b"GET /" + b"a" * 8100 + b" HTTP/1.1", HOST + b"X: " + b"y" * size + b"\r\n")
    async with served(answer) as server:
        connection = await server.connect()
        for at in (1, 9000, len(raw) - 1):
            await connection.say(raw[:at])
            assert int((await connection.ask(raw[at:])).body) == size + len(b"XHost127.0.0.1")
