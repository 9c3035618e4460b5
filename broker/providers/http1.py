"""One HTTP/1.1 connection to a provider: asks one thing at a time, and is free again when its answer has ended."""

import asyncio
import re
import select
from collections.abc import Callable
from math import inf
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from broker.providers.answer import Answer
from broker.providers.asking import Broken, Headers, Progress, TimedOut, Waits

LONGEST_HEAD = 65_536
"""Bytes of an answer that may come in a row without any of its body: a head, interim answers, trailers."""
MOST_HEADERS = 256
MOST_UNREAD = 65_536
"""Bytes of a body that may wait for their reader before the provider has to."""
_TIMEOUT = re.compile(rb"(?:^|[ ,])timeout=([0-9]{1,6})(?:$|[ ,;])", re.IGNORECASE)
"""Of the header Keep-Alive, which servers on small programs send (RFC 2068 §19.7.1.1): llama.cpp and Node say five seconds."""


class Home(Protocol):
    """Where connections come back to."""

    def free(self, connection: "Connection") -> None: ...

    def lost(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """Made by a loop; `ask` may be called whenever it `is_fit`."""

    __slots__ = (
        "_answer", "_bare", "_bodiless", "_closed", "_complete", "_deadline", "_fed", "_home", "_interim", "_keep",
        "_look", "_loop", "_now", "_parser", "_paused", "_rests_until", "_timer", "_timer_at", "_transport", "_unsent",
        "_waits", "idle_since",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, home: Home) -> None:
        self._loop = loop
        self._now: Callable[[], float] = loop.time
        self._home = home
        self._transport: asyncio.Transport
        self._parser = HttpResponseParser(self)
        self._answer: Answer | None = None
        self._waits = Waits(0, 0, 0)
        self._bodiless = self._interim = self._complete = self._keep = self._paused = self._closed = False
        self._bare = self._fed = self._unsent = 0
        self._deadline = self._timer_at = self.idle_since = 0.0
        self._rests_until = inf
        self._look: Callable[[int], object]
        self._timer: asyncio.TimerHandle | None = None

    # What the pool and the answers do with it.

    @property
    def is_open(self) -> bool:
        return not self._closed and not self._transport.is_closing()

    def is_fit(self) -> bool:
        """Whether nothing has come, and no end, since its last answer, and none is about to by what the provider said.

        The loop may not have heard of it yet, however short the rest was: so the kernel is asked each time.
        """
        if not self.is_open:
            return False
        if self._look(0) or self._now() >= self._rests_until:
            self.hang_up()
            return False
        return True

    def ask(self, request: bytes, waits: Waits, progress: Progress, *, bodiless: bool) -> Answer:
        """Writes the request at once; what is bodiless is an answer to HEAD."""
        answer = self._answer = Answer(self)
        self._waits = waits
        self._bodiless = bodiless
        self._complete = self._keep = False
        self._bare = 0
        progress.wrote = True
        self._transport.write(request)
        self._wait(waits.silence if self._unsent else waits.first_byte)
        return answer

    def read_on(self) -> None:
        if self._paused:
            self._paused = False
            if not self._closed:
                self._transport.resume_reading()
                self._wait(self._waits.silence)

    def hang_up(self) -> None:
        self._end(Broken("closed"))

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by their type
        self.idle_since = self._now()
        # Made once, for a look before each use; a peek would cost more than twice as much, as it raises where there is nothing.
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._look = poll.poll

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self.hang_up()  # nothing was asked
            return
        unread = answer.size
        self._fed = self._bare + len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not answer.ended:
                self._end(Broken(str(error.__context__ or error)))
                return
            self._keep = False  # what came after the end is nobody's
        if answer.ended:
            self._finish(answer)
            return
        self._bare = 0 if answer.size > unread else self._fed
        if self._bare > LONGEST_HEAD:
            self._end(Broken("the head or a trailer is too long"))
            return
        if answer.size > MOST_UNREAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wait(self._waits.silence)
        if answer.status:
            answer.wake()

    def eof_received(self) -> None:
        answer = self._answer
        if answer is not None and answer.status and not _is_framed(answer.headers):
            answer.ended = True
            self._finish(answer)
        else:
            self._end(Broken("the connection ended before the answer"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(Broken(type(exc).__name__ if exc else "the connection ended before the answer"))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        del self._parser  # it knows this object, too
        self._home.lost(self)

    def pause_writing(self) -> None:
        self._unsent = self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        self._unsent = 0
        answer = self._answer
        if answer is not None and not answer.status:
            self._wait(self._waits.first_byte)

    # What the parser finds.

    def on_message_begin(self) -> None:
        if self._complete:
            raise Broken("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        answer = self._answer
        if answer is not None and not answer.status:  # afterwards they are trailers
            answer.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        answer, status = self._answer, self._parser.get_status_code()
        if answer is None:
            return
        if status < 200:
            if status in range(100, 200) and status != 101:
                self._interim = True
                return
            raise Broken("an answer of no known kind")
        _check_head(answer.headers, self._fed)
        self._keep = self._parser.should_keep_alive()
        answer.status = status
        if self._bodiless or status in (204, 304):
            answer.ended = True

    def on_body(self, body: bytes) -> None:
        answer = self._answer
        if answer is None or answer.ended:
            raise Broken("a body where none may be")
        answer.pieces.append(body)
        answer.size += len(body)

    def on_message_complete(self) -> None:
        answer = self._answer
        if answer is None:
            return
        if self._interim:
            self._interim = False
            answer.headers.clear()
            return
        self._complete = answer.ended = True

    # How it goes on or ends.

    def _finish(self, answer: Answer) -> None:
        """The answer is whole; the connection is used again if both sides are through with it."""
        self._answer = None
        through = self._complete and self._keep and not self._closed and not self._transport.get_write_buffer_size()
        if through:
            if self._paused:
                self._paused = False
                self._transport.resume_reading()
            self.idle_since = self._now()
            self._rests_until = self.idle_since + _rest_told(answer.headers)
            self._home.free(self)
        else:
            self.hang_up()
        answer.part()

    def _end(self, error: Broken) -> None:
        answer, self._answer = self._answer, None
        if not self._closed:
            self._closed = True
            self._transport.abort()
        if answer is not None:
            answer.part(error)

    def _wait(self, seconds: float) -> None:
        """Moves the deadline. The timer stays where it is if it rings before: it will look at the deadline then."""
        self._deadline = deadline = self._now() + seconds
        if self._timer is None:
            self._arm(deadline)
        elif deadline < self._timer_at:
            self._timer.cancel()
            self._arm(deadline)

    def _arm(self, deadline: float) -> None:
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._answer is None or self._paused:
            return
        if self._now() < self._deadline:
            self._arm(self._deadline)
            return
        if self._unsent and (left := self._transport.get_write_buffer_size()) < self._unsent:
            self._unsent = left
            self._wait(self._waits.silence)
            return
        self._end(TimedOut("the provider was silent for too long"))


def _check_head(headers: Headers, fed: int) -> None:
    """Raises Broken for a head out of bounds, or a coding under which nobody could tell where the body ends."""
    if len(headers) > MOST_HEADERS:
        raise Broken("too many headers")
    if fed > LONGEST_HEAD and sum(len(name) + len(value) for name, value in headers) > LONGEST_HEAD:
        raise Broken("the head is too long")
    for name, value in headers:
        if name == b"transfer-encoding" and value.lower() != b"chunked":
            raise Broken("an unknown transfer coding")


def _is_framed(headers: Headers) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)


def _rest_told(headers: Headers) -> float:
    """Seconds that the provider lets a connection rest, a little less than it says: a request must not cross its end."""
    for name, value in headers:
        if name == b"keep-alive" and (told := _TIMEOUT.search(value)):
            return int(told[1]) * 0.8
    return inf
