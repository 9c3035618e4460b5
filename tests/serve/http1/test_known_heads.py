"""A head that came before: its app begins the request by it, and what differs in anything but the length is read."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from broker.serve import http1_sight
from broker.serve.http1_known import see
from broker.serve.http1_request import KNOWN, Request
from tests.serve.http1.served import HOST, read_all, reply, served


def post(body: bytes, *lines: bytes, length: int | None = None) -> bytes:
    said = len(body) if length is None else length
    return b"POST /a HTTP/1.1\r\n" + HOST + b"".join(lines) + b"Content-Length: %d\r\n\r\n" % said + body


class Remembering:
    """Keeps every head that it may, and says which bodies came by which way."""

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self.begun: list[bytes] = []
        self.tokens: list[bytes] = []
        self.takes = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        keep = scope["extensions"].get(KNOWN)
        if keep is not None:
            keep(self.begin)
        self.read.append(await read_all(receive))
        await reply(send, b"read")

    def begin(self, token: bytes, body: bytes, request: Request) -> bool:
        if not self.takes:
            return False
        self.begun.append(body)
        self.tokens.append(token)
        asyncio.get_running_loop().call_soon(request.answer, 200, [], b"begun")
        return True


async def test_the_second_request_is_begun_by_its_head() -> None:
    app = Remembering()
    async with served(app) as server:
        line = await server.connect()
        assert (await line.ask(post(b"one"))).body == b"read"
        answers = [await line.ask(post(body)) for body in (b"two", b"three or more", b"4")]
    assert [answer.body for answer in answers] == [b"begun"] * 3
    assert answers[0].header("content-length") == "5"
    assert answers[0].header("date")
    assert (app.read, app.begun) == ([b"one"], [b"two", b"three or more", b"4"])


async def test_a_head_is_known_to_all_connections() -> None:
    app = Remembering()
    async with served(app) as server:
        await (await server.connect()).ask(post(b"one"))
        assert (await (await server.connect()).ask(post(b"two"))).body == b"begun"


@pytest.mark.parametrize(
    "raw",
    [
        post(b"two", b"Authorization: Bearer other\r\n"),
        post(b"two", b"Authorization: Basic one\r\n"),
        post(b"two", b"Connection: close\r\n"),
        post(b"two").replace(b"/a", b"/b"),
        post(b"two").replace(b"Content-Length", b"CONTENT-LENGTH"),
        post(b"two", length=3).replace(b": 3", b":  3"),
        post(b"two").replace(b"Content-Length: 3", b"Transfer-Encoding: chunked").replace(b"two", b"3\r\ntwo\r\n0\r\n\r\n"),
    ],
)  # fmt: skip
async def test_another_head_is_read(raw: bytes) -> None:
    app = Remembering()
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        assert (await line.ask(raw)).body == b"read"
    assert app.read == [b"one", b"two"]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, the rest of a body comes in time."""
    monkeypatch.setattr(http1_sight, "REST_SECONDS", 60.0)


@pytest.mark.parametrize("cut", [-3, -2, -1])
async def test_one_whose_body_comes_by_itself_is_begun(patient: None, cut: int) -> None:
    app = Remembering()
    async with served(app) as server:
        line = await server.connect()
        for raw in (post(b"one"), post(b"two"), post(b"few")):
            await line.say(raw[:cut])
            await asyncio.sleep(0.02)
            await line.say(raw[cut:])
            await line.hear()
    assert (app.read, app.begun) == ([b"one"], [b"two", b"few"])


async def test_a_body_that_comes_byte_by_byte_is_begun_with_its_last(patient: None) -> None:
    app, body = Remembering(), b"a longer body"
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(body))
        await line.say(post(body)[: -len(body)])
        for place in range(len(body)):
            await asyncio.sleep(0.005)
            assert app.begun == []
            await line.say(body[place : place + 1])
        assert (await line.hear()).body == b"begun"
    assert (app.read, app.begun) == ([body], [body])


async def test_a_server_that_is_to_stop_waits_for_a_rest(patient: None) -> None:
    app = Remembering()
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        await line.say(post(b"two")[:-1])
        await asyncio.sleep(0.05)
        server.stop.set()
        await asyncio.sleep(0.05)
        answer = await line.ask(b"o")
        assert (answer.body, answer.header("connection")) == (b"begun", "close")
        assert await line.rest() == b""


async def test_one_whose_head_comes_in_pieces_is_read() -> None:
    app, raw = Remembering(), post(b"two")
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        await line.say(raw[:20])
        await asyncio.sleep(0.02)
        assert (await line.ask(raw[20:])).body == b"read"
    assert app.read == [b"one", b"two"]


async def test_a_rest_that_is_not_there_soon_is_read_when_it_comes() -> None:
    app = Remembering()
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        await line.say(post(b"two")[:-1])
        await asyncio.sleep(http1_sight.REST_SECONDS * 2)
        assert (await line.ask(b"o")).body == b"read"
        assert (await line.ask(post(b"few"))).body == b"begun"
    assert app.read == [b"one", b"two"]


async def test_a_long_body_is_read_as_it_comes(patient: None) -> None:
    app, body = Remembering(), b"a" * http1_sight.MOST_AWAITED
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        await line.say(post(body)[:-1])
        assert (await line.ask(b"a")).body == b"read"
    assert app.read == [b"one", body]


async def test_what_comes_behind_a_rest_is_read_after_it(patient: None) -> None:
    app = Remembering()
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        await line.say(post(b"two")[:-1])
        await asyncio.sleep(0.02)
        await line.say(b"o" + post(b"three"))
        await line.hear()
        await line.hear()
    assert app.read == [b"one", b"two", b"three"]


async def test_a_client_that_leaves_before_its_rest_has_asked_nothing(patient: None) -> None:
    app = Remembering()
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        await line.say(post(b"two")[:-1])
        await asyncio.sleep(0.02)
        line.vanish()
        assert (await (await server.connect()).ask(post(b"few"))).body == b"begun"
    assert (app.read, app.begun) == ([b"one"], [b"few"])


async def test_two_at_once_are_read_one_after_the_other() -> None:
    app = Remembering()
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        await line.say(post(b"two") + post(b"three"))
        assert [(await line.hear()).body, (await line.hear()).body] == [b"read", b"read"]


async def test_what_comes_behind_one_that_is_begun_waits_for_its_answer() -> None:
    app = Remembering()
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        await line.say(post(b"two"), post(b"three"))
        assert (await line.hear()).body == b"begun"
        await line.hear()
    assert app.begun[0] == b"two"
    assert sorted([*app.begun, *app.read]) == [b"one", b"three", b"two"]


async def test_what_its_app_does_not_begin_is_read() -> None:
    app = Remembering()
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        app.takes = False
        assert (await line.ask(post(b"two"))).body == b"read"
    assert app.read == [b"one", b"two"]


async def test_no_head_is_kept_after_which_the_connection_ends() -> None:
    app = Remembering()
    async with served(app) as server:
        for _ in range(2):
            await (await server.connect()).ask(post(b"one", b"Connection: close\r\n"))
    assert app.begun == []


async def test_an_app_hears_of_a_client_that_leaves_one_that_was_begun() -> None:
    left = asyncio.Event()

    class Waiting(Remembering):
        def begin(self, token: bytes, body: bytes, request: Request) -> bool:
            request.when_hung_up(left.set)
            return True

    async with served(Waiting()) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        await line.say(post(b"two"))
        await asyncio.sleep(0.02)
        line.vanish()
        await asyncio.wait_for(left.wait(), 20)


class Streaming(Remembering):
    """Answers in pieces, as many as its client reads."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__()
        self.pieces = list(pieces)
        self.waited = 0

    def begin(self, token: bytes, body: bytes, request: Request) -> bool:
        request.start(200, [(b"content-type", b"text/plain")])
        asyncio.get_running_loop().call_soon(self.go_on, request)
        return True

    def go_on(self, request: Request) -> None:
        while self.pieces:
            request.give(self.pieces.pop(0), more=bool(self.pieces))
            if self.pieces and request.when_flushed(lambda: self.go_on(request)):
                self.waited += 1
                return


async def test_an_answer_in_pieces_is_given_as_one() -> None:
    async with served(Streaming(b"one ", b"two ", b"three")) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        answer = await line.ask(post(b"two"))
    assert (answer.status, answer.body, answer.header("transfer-encoding")) == (200, b"one two three", "chunked")
    assert answer.header("date")


async def test_what_a_client_does_not_read_is_waited_for() -> None:
    app = Streaming(*[b"x" * 1_000_000] * 30)
    async with served(app) as server:
        line = await server.connect()
        await line.ask(post(b"one"))
        await line.say(post(b"two"))
        await asyncio.sleep(0.1)
        assert app.waited > 0
        assert len((await line.hear()).body) == 30_000_000
    assert app.pieces == []


def test_a_name_says_where_the_length_stood() -> None:
    """Two heads with the same bytes around another place are two heads."""
    first = b"POST / HTTP/1.1\r\nContent-Length: 1\r\nA: 2\r\n\r\nx"
    second = b"POST / HTTP/1.1\r\nContent-Length: 12\r\nA: 2\r\n\r\n" + b"x" * 12
    third = b"POST / HTTP/1.1\r\nA: 2\r\nContent-Length: 1\r\n\r\nx"
    names = [found.name for raw in (first, second, third) if (found := see(raw)) is not None]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", post(b"ab", length=1)])
def test_what_is_not_one_request_has_no_name(raw: bytes) -> None:
    assert see(raw) is None
