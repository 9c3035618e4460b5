"""An answer is understood however its bytes were cut, or refused; never guessed at."""

import asyncio
import os
from itertools import pairwise

import pytest

from broker.providers.answer import Answer
from broker.providers.client import Broken, Progress, TooLarge, Waits
from broker.providers.http1 import LONGEST_HEAD, Connection

HEAD = b"HTTP/1.1 200 OK\r\nX-One: 1\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n4\r\n you\r\n0\r\nTrail: er\r\n\r\n"
ANSWERS = {
    "length": (HEAD + b"content-length: 6\r\n\r\nhi you", True),
    "chunked": (CHUNKED, True),
    "nothing": (HEAD + b"content-length: 0\r\n\r\n", True),
    "interim": (b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n" + CHUNKED, True),
    "closing": (HEAD + b"connection: close\r\ncontent-length: 6\r\n\r\nhi you", False),
    "old": (b"HTTP/1.0 200 OK\r\nx-one: 1\r\ncontent-length: 6\r\n\r\nhi you", False),
    "old, kept": (b"HTTP/1.0 200 OK\r\nx-one: 1\r\nconnection: keep-alive\r\ncontent-length: 6\r\n\r\nhi you", True),
    "no reason": (b"HTTP/1.1 200\r\nx-one: 1\r\ncontent-length: 6\r\n\r\nhi you", True),
}


class Quiet:
    """A socket by its number alone, at which nothing ever comes."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()

    def fileno(self) -> int:
        return self._reading


QUIET = Quiet()


class Line(asyncio.Transport):
    """A transport on which a test is the other side."""

    def __init__(self) -> None:
        super().__init__({"socket": QUIET})
        self.sent = b""
        self.aborted = self.paused = False
        self.unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return self.unsent


class Rest:
    """Where a connection comes home to."""

    def __init__(self) -> None:
        self.line = Line()
        self.freed = 0
        self.connection = Connection(asyncio.get_running_loop(), self)
        self.connection.connection_made(self.line)

    def free(self, connection: Connection) -> None:
        self.freed += 1

    def lost(self, connection: Connection) -> None:
        assert self.line.aborted

    def ask(self, *, bodiless: bool = False) -> Answer:
        return self.connection.ask(b"?", Waits(9, 9, 9), Progress(), bodiless=bodiless)

    def hear(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)

    def done(self) -> None:
        """So that no timer is left behind."""
        self.connection.hang_up()
        self.connection.connection_lost(None)


def body_of(answer: Answer) -> bytes:
    """What is there already; a coroutine that would wait fails here."""
    with pytest.raises(StopIteration) as stop:
        answer.whole(1 << 20).send(None)
    body: bytes = stop.value.value
    return body


async def read(answer: Answer) -> bytes:
    await answer.head()
    return await answer.whole(1 << 20)


@pytest.mark.parametrize(("said", "kept"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_is_the_same_wherever_it_was_cut(said: bytes, kept: bool) -> None:
    cuts = [[said], *([said[:n], said[n:]] for n in range(1, len(said))), [bytes([byte]) for byte in said]]
    for pieces in cuts:
        rest = Rest()
        answer = rest.ask()
        rest.hear(*pieces)
        assert (answer.status, answer.header(b"x-one")) == (200, b"1")
        assert body_of(answer) == (b"" if b"length: 0" in said else b"hi you")
        assert (rest.freed, rest.line.aborted) == ((1, False) if kept else (0, True))
        assert answer.header(b"trail") == answer.header(b"x") == b""
        rest.done()


async def test_one_connection_answers_again_and_again() -> None:
    rest = Rest()
    for said, _ in [ANSWERS[name] for name in ("length", "chunked", "nothing", "interim")]:
        answer = rest.ask()
        rest.hear(said)
        assert answer.status == 200
        assert rest.connection.is_fit()
    assert (rest.freed, rest.line.sent) == (4, b"????")
    rest.done()


async def test_a_body_without_a_frame_ends_with_the_connection() -> None:
    rest = Rest()
    answer = rest.ask()
    rest.hear(HEAD + b"\r\nhi", b" you")
    assert not answer.ended
    rest.connection.eof_received()
    assert body_of(answer) == b"hi you"
    assert (rest.freed, rest.line.aborted) == (0, True)
    rest.done()


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + b"content-length: 6\r\n\r\nhi", CHUNKED[:-2], CHUNKED[:-20]])
async def test_an_end_before_the_end_is_broken(said: bytes) -> None:
    for lost in (False, True):
        rest = Rest()
        answer = rest.ask()
        if said:
            rest.hear(said)
        if lost:
            rest.line.abort()
            rest.connection.connection_lost(ConnectionResetError())
        else:
            rest.connection.eof_received()
            rest.done()
        with pytest.raises(Broken):
            await read(answer)
        assert rest.freed == 0


async def test_a_reset_is_no_end_of_a_body_without_a_frame() -> None:
    rest = Rest()
    answer = rest.ask()
    rest.hear(HEAD + b"\r\nhi")
    rest.line.abort()
    rest.connection.connection_lost(ConnectionResetError())
    with pytest.raises(Broken):
        await answer.whole(99)


REFUSED = {
    "two lengths": HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi!",
    "two lengths in one": HEAD + b"content-length: 2, 3\r\n\r\nhi!",
    "a signed length": HEAD + b"content-length: +2\r\n\r\nhi",
    "a length too long": HEAD + b"content-length: 99999999999999999999999\r\n\r\nhi",
    "length and coding": HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "coding and length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "another coding": HEAD + b"transfer-encoding: gzip\r\n\r\nhi",
    "two codings": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "no size of a chunk": HEAD + b"transfer-encoding: chunked\r\n\r\nhi\r\n0\r\n\r\n",
    "a chunk longer than it says": HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhi",
    "no known status": b"HTTP/1.1 099 No\r\ncontent-length: 0\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.9\r\n",
    "a folded header": HEAD + b" folded\r\ncontent-length: 0\r\n\r\n",
    "a bare line feed": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n",
    "too many headers": HEAD + b"a: b\r\n" * 256 + b"\r\n",
    "one header too long": HEAD + b"a: " + b"b" * LONGEST_HEAD + b"\r\n\r\n",
    "one header too long, and a body": HEAD + b"a: " + b"b" * LONGEST_HEAD + b"\r\ncontent-length: 2\r\n\r\nhi",
    "endless interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 3000,
    "an endless trailer": CHUNKED[:-4] + b"b" * (2 << 20),
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("size", [1 << 20, 4096])
async def test_what_could_be_read_in_two_ways_or_without_bound_is_broken(said: bytes, size: int) -> None:
    rest = Rest()
    answer = rest.ask()
    edges = [*range(0, len(said), size), len(said)]
    rest.hear(*(said[left:right] for left, right in pairwise(edges) if answer.error is None))
    with pytest.raises(Broken):
        await read(answer)
    assert (rest.freed, rest.line.aborted) == (0, True)
    rest.done()


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nhi", False),
    ],
)
async def test_an_answer_that_has_no_body_has_none(said: bytes, kept: bool) -> None:
    rest = Rest()
    answer = rest.ask()
    rest.hear(said)
    assert body_of(answer) == b""
    assert (rest.freed, rest.line.aborted) == ((1, False) if kept else (0, True))
    rest.done()


async def test_an_answer_to_head_has_no_body_whatever_it_says() -> None:
    rest = Rest()
    answer = rest.ask(bodiless=True)
    rest.hear(HEAD + b"content-length: 6\r\n\r\n")
    assert body_of(answer) == b""
    assert (rest.freed, rest.line.aborted) == (0, True)
    rest.done()


@pytest.mark.parametrize("more", [b"x", b"HTTP/1.1 200 OK\r\n", ANSWERS["length"][0]])
async def test_bytes_after_the_end_leave_the_answer_whole_and_end_the_connection(more: bytes) -> None:
    rest = Rest()
    answer = rest.ask()
    rest.hear(ANSWERS["length"][0] + more)
    assert body_of(answer) == b"hi you"
    assert (rest.freed, rest.line.aborted) == (0, True)
    rest.done()


async def test_bytes_that_nobody_asked_for_end_a_connection_at_rest() -> None:
    rest = Rest()
    rest.hear(ANSWERS["length"][0])
    assert rest.line.aborted
    assert not rest.connection.is_fit()
    rest.done()


async def test_an_answer_before_the_whole_request_was_sent_ends_the_connection() -> None:
    rest = Rest()
    answer = rest.ask()
    rest.line.unsent = 1
    rest.hear(ANSWERS["length"][0])
    assert body_of(answer) == b"hi you"
    assert (rest.freed, rest.line.aborted) == (0, True)
    rest.done()


async def test_an_answer_longer_than_its_reader_takes_ends_the_connection() -> None:
    rest = Rest()
    answer = rest.ask()
    rest.hear(HEAD + b"content-length: 600\r\n\r\n" + b"x" * 11)
    with pytest.raises(TooLarge):
        await answer.whole(10)
    assert rest.line.aborted
    rest.done()


async def test_an_answer_that_was_given_up_hears_nothing_of_the_next() -> None:
    rest = Rest()
    first = rest.ask()
    rest.hear(ANSWERS["length"][0])
    second = rest.ask()
    await first.close()
    assert not rest.line.aborted
    rest.hear(ANSWERS["chunked"][0])
    assert (body_of(first), body_of(second)) == (b"hi you", b"hi you")
    rest.done()
