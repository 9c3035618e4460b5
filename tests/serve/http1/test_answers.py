"""What goes out: heads, framing, and the faults of an app."""

import asyncio
import re
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from broker.serve.http1_connection import Connection
from tests.serve.http1.served import GET, HOST, Handler, echo, reply, served

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
HEAD = GET.replace(b"GET", b"HEAD")
OLD = b"GET / HTTP/1.0\r\n\r\n"


def saying(*messages: dict[str, Any]) -> Handler:
    async def say(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return say


def body(piece: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": piece, "more_body": more}


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


async def test_head_and_body_go_out_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = Connection.write

    def note(self: Connection, data: bytes) -> None:
        written.append(data)
        write(self, data)

    monkeypatch.setattr(Connection, "write", note)
    async with served(echo) as server:
        await (await server.connect()).ask(GET)
    (whole,) = written
    assert re.fullmatch(
        rb"HTTP/1\.1 200 OK\r\ncontent-length: 10\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n\r\nGET /page ",
        whole,
    )


async def test_a_stream_is_chunked_and_its_last_piece_carries_the_end(parser: str) -> None:
    stream = saying(START, body(b"", more=True), body(b"one", more=True), body(b"", more=True), body(b"two"))
    async with served(stream, parser) as server:
        line = await server.connect()
        for _ in range(2):
            answer = await line.ask(GET)
            assert (answer.body, answer.header("transfer-encoding")) == (b"onetwo", "chunked")


async def test_the_head_of_a_stream_does_not_wait_for_its_first_piece() -> None:
    go_on = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"", more=True))
        await go_on.wait()
        await send(body(b"late"))

    async with served(slow) as server:
        line = await server.connect()
        await line.say(GET)
        assert (await line.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        go_on.set()
        assert await line.reader.readuntil(b"0\r\n\r\n") == b"4\r\nlate\r\n0\r\n\r\n"


async def test_an_old_client_gets_no_chunks_and_the_end_of_the_connection(parser: str) -> None:
    async with served(saying(START, body(b"one", more=True), body(b"two")), parser) as server:
        heard = await server.tell(OLD)
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert b"chunked" not in heard
    assert heard.endswith(b"\r\n\r\nonetwo")


async def test_an_answer_without_a_length_that_is_there_at_once_gets_one() -> None:
    async with served(saying(START, body(b"whole"))) as server:
        answer = await (await server.connect()).ask(GET)
    assert (answer.header("content-length"), answer.body) == ("5", b"whole")


@pytest.mark.parametrize(
    ("raw", "messages", "length"),
    [
        (HEAD, [start((b"content-length", b"5")), body(b"whole")], "5"),
        (HEAD, [start(), body(b"who", more=True), body(b"le")], None),
        (GET, [start(status=204), body(b"")], None),
        (GET, [start(status=304), body(b"nothing")], None),
    ],
    ids=["head", "head of a stream", "204", "304"],
)
async def test_what_has_no_body_gets_none(raw: bytes, messages: list[dict[str, Any]], length: str | None) -> None:
    async with served(saying(*messages)) as server:
        line = await server.connect()
        for _ in range(2):
            answer = await line.ask(raw, "HEAD")
            assert answer.header("content-length") == length
            assert answer.header("transfer-encoding") is None


async def test_what_the_app_says_of_the_connection_is_done() -> None:
    async with served(saying(start((b"Connection", b"close"), (b"Transfer-Encoding", b"gzip")), body(b"x"))) as server:
        line = await server.connect()
        answer = await line.ask(GET)
        assert (answer.header("connection"), answer.header("transfer-encoding")) == ("close", None)
        assert await line.rest() == b""


@pytest.mark.parametrize("asked", [b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", OLD])
async def test_a_connection_that_is_to_end_ends_and_nothing_behind_it_is_answered(asked: bytes) -> None:
    async with served(echo) as server:
        heard = await server.tell(asked + GET)
    assert heard.count(b"HTTP/1.1 200 ") == 1
    assert b"connection: close\r\n" in heard.lower()


@pytest.mark.parametrize(
    "header",
    [(b"x-a", b"b\r\nset-cookie: c"), (b"x-a", b"b\nc"), (b"x-a", b"b\rc"), (b"x-a", b"b\0c"), (b"x\r\na", b"b")],
    ids=["line", "LF", "CR", "NUL", "name"],
)
async def test_a_header_that_ends_its_line_is_not_sent(header: tuple[bytes, bytes]) -> None:
    async with served(saying(start(header), body(b"secret"))) as server:
        heard = await server.tell(GET)
    assert heard.startswith(b"HTTP/1.1 500 ")
    assert b"cookie" not in heard
    assert b"secret" not in heard


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    return None


async def _breaks(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("detail")


async def _breaks_with_a_head(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    raise LookupError("detail")


@pytest.mark.parametrize("app", [_nothing, _breaks, _breaks_with_a_head, saying(body(b"no head"))])
async def test_an_app_that_gives_no_answer_is_a_fault_of_ours(app: Handler) -> None:
    async with served(app) as server:
        heard = await server.tell(GET)
    assert heard.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"connection: close\r\n" in heard
    assert heard.endswith(b'{"error": "server_error", "error_description": "Something went wrong on our side."}')


@pytest.mark.parametrize(
    "app",
    [
        saying(start((b"content-length", b"9")), body(b"short")),
        saying(start((b"content-length", b"3")), body(b"lo", more=True), body(b"ng")),
        saying(START, body(b"cut", more=True)),
    ],
    ids=["short", "long", "cut"],
)
async def test_an_answer_that_is_not_whole_is_cut_off_and_not_ended(app: Handler) -> None:
    async with served(app) as server:
        line = await server.connect()
        await line.say(GET)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await line.hear()


async def test_an_app_may_go_on_after_its_answer_and_the_next_request_does_not_wait() -> None:
    go_on, went_on = asyncio.Event(), asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"first")
        if scope["raw_path"] == b"/page":
            await go_on.wait()
            assert (await receive())["type"] == "http.request"
            assert (await receive())["type"] == "http.disconnect"
            went_on.set()

    async with served(late) as server:
        line = await server.connect()
        assert (await line.ask(GET)).body == b"first"
        assert (await line.ask(GET.replace(b"page", b"next"))).body == b"first"
        go_on.set()
        await went_on.wait()
