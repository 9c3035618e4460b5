"""One request as an ASGI app sees it: receive, send, and a word when its client hangs up."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, Self
from urllib.parse import unquote

from broker.serve.http1_answer import CHUNKED, CLOSE, CONTINUE, LAST_CHUNK, Opening, chunk, has_no_body, opening
from broker.serve.http1_head import NO_BODY, Framing, RawHeaders
from broker.serve.http1_known import Keep
from broker.serve.http1_worker import Worker

HANGUP = "broker.hangup"
"""The extension whose value takes a callback without arguments, to be called once if the client leaves before its answer
is whole, and gives a function that takes the callback back: so nobody has to wait in `receive` for that."""

BODY = "broker.body"
"""The extension whose value gives the whole body if it has come already, so that nobody has to wait for it; else None."""

KNOWN = "broker.known"
"""The extension, where a head may be remembered, that takes a `Begin`: what begins the requests with the same head at sight."""

Callback = Callable[[], None]
Message = dict[str, Any]


class Wire(Protocol):
    """The connection, as far as a request needs it."""

    worker: Worker
    flushed: "asyncio.Future[None] | None"

    def write(self, data: bytes) -> None: ...
    def body_was_read(self) -> None: ...
    def answered(self, request: "Request") -> None: ...
    def run(self, request: "Request", answering: Awaitable[None]) -> None: ...
    def abort(self) -> None: ...


class Request:
    __slots__ = (
        "_chunked",
        "_expects",
        "_hangups",
        "_left",
        "_more",
        "_muted",
        "_opening",
        "_pieces",
        "_told",
        "_version",
        "_waiter",
        "_wire",
        "begun",
        "gone",
        "keep_alive",
        "method",
        "scope",
        "unread",
        "whole",
    )  # fmt: skip

    def __init__(self, wire: Wire, method: str, framing: Framing, version: str, *, keep_alive: bool) -> None:
        self._wire = wire
        self.method = method
        self._version = version
        self.scope: dict[str, Any] = {}
        self.keep_alive = keep_alive
        self.gone = False
        self._muted = False
        self.begun = False
        self.whole = False
        """The last byte of the answer was written."""
        self.unread = 0
        self._pieces: list[bytes] = []
        self._more = True
        self._told = False
        self._expects = framing.expects
        self._waiter: asyncio.Future[None] | None = None
        self._hangups: list[Callback] = []
        self._opening: Opening | None = None
        self._left: int | None = None
        self._chunked = False

    @classmethod
    def known(cls, wire: Wire) -> Self:
        """One that was not read, since its head is known; its body is the app's already."""
        request = cls(wire, "POST", NO_BODY, "1.1", keep_alive=True)
        request._more, request._told = False, True
        return request

    def describe(
        self, base: Message, target: bytes, headers: RawHeaders, state: Message, keep: Keep | None = None
    ) -> None:
        """`base` has what is the same for all requests of the connection; `keep` is there for a head that may be kept."""
        path, _, query = target.partition(b"?")
        text = path.decode("ascii")
        self.scope = {
            **base,
            "http_version": self._version,
            "method": self.method,
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "headers": headers,
            "state": state,
            "extensions": {HANGUP: self.when_hung_up, BODY: self.whole_body},
        }
        if keep is not None:
            self.scope["extensions"][KNOWN] = keep

    # What comes in

    def take(self, piece: bytes) -> None:
        if not self.whole:
            self._pieces.append(piece)
            self.unread += len(piece)
            self._wake()

    def complete(self) -> None:
        self._more = False
        self._wake()

    @property
    def has_come(self) -> bool:
        """Its body has, to the last byte."""
        return not self._more

    def leave(self) -> None:
        """The client is gone, or what it sent cannot be read on."""
        if self.gone:
            return
        self.gone = True
        self._wake()
        if not self.whole:
            waiting, self._hangups = self._hangups, []
            for callback in waiting:
                callback()

    def mute(self) -> None:
        """What the app still sends goes nowhere."""
        self._muted = True
        self.leave()

    def when_hung_up(self, callback: Callback) -> Callback:
        if self.gone and not self.whole:
            callback()
        else:
            self._hangups.append(callback)
        return partial(self._forget, callback)

    def _forget(self, callback: Callback) -> None:
        if callback in self._hangups:
            self._hangups.remove(callback)

    def whole_body(self) -> bytes | None:
        if self._more or self._told:
            return None
        self._told = True
        if self.unread:
            self.unread = 0
            self._wire.body_was_read()
        return self._taken()

    def _taken(self) -> bytes:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        return body

    async def receive(self) -> Message:
        while True:
            if self._pieces or not (self._more or self._told):
                message = {"type": "http.request", "body": self._taken(), "more_body": self._more}
                self._told = not self._more
                if self.unread:
                    self.unread = 0
                    self._wire.body_was_read()  # and more of it may come, and its end, within this call
                return message
            if self.gone or self.whole:
                return {"type": "http.disconnect"}
            if self._expects and self._more:
                self._expects = False
                if not self.begun:
                    self._wire.write(CONTINUE)
            if self._waiter is None or self._waiter.done():
                self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What goes out

    async def send(self, message: Message) -> None:
        """Raises ValueError for a head that must not be sent, RuntimeError for a message out of its turn."""
        kind = message["type"]
        if kind == "http.response.body" and self._opening is not None and not self.whole:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
            flushed = self._wire.flushed
            if flushed is not None:
                await flushed
        elif kind == "http.response.start" and self._opening is None:
            self._opening = opening(message["status"], message.get("headers", ()))
            if has_no_body(self.method, message["status"]):
                self.method = "HEAD"
        else:
            raise RuntimeError(f"{kind} is out of its turn")

    def answer(self, status: int, headers: RawHeaders, body: bytes) -> None:
        """All of it at once, for an app that begins at sight. Raises ValueError for a head that must not be sent."""
        self._opening = opening(status, headers)
        self._send_body(body, more=False)

    def start(self, status: int, headers: RawHeaders) -> None:
        """Begins an answer in pieces; its head goes out with the first of them. Raises ValueError as `answer` does."""
        self._opening = opening(status, headers)

    def give(self, piece: bytes, *, more: bool) -> None:
        """A piece of what was started, at once."""
        self._send_body(piece, more=more)

    def when_flushed(self, callback: Callback) -> bool:
        """Whether its client has to read before more may be given; then calls back once."""
        flushed = self._wire.flushed
        if flushed is None:
            return False
        flushed.add_done_callback(lambda _: callback())
        return True

    def run(self, answering: Awaitable[None]) -> None:
        """What answers it by `receive` and `send` from now on."""
        self._wire.run(self, answering)

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if self._muted:
            self.whole = not more
            return
        if self.method == "HEAD":
            data = b"" if self.begun else self._head(None, more=False)
        else:
            head = b"" if self.begun else self._head(body, more=more)
            data = head + self._framed(body, more=more)
        self.begun = True
        if data:
            self._wire.write(data)
        self._end(more=more)

    def _head(self, body: bytes | None, *, more: bool) -> bytes:
        """Everything before the body; None where there is none."""
        assert self._opening is not None  # noqa: S101 - `send` lets no body go before its start
        lines, self._left, close = self._opening
        framing = b""
        if body is not None and self._left is None:
            if not more:
                self._left = len(body)
                framing = b"content-length: %d\r\n" % len(body)
            elif self._version == "1.1":
                self._chunked, framing = True, CHUNKED
            else:
                close = True
        if close or self._more or self._wire.worker.ending:
            self.keep_alive = False
        last = b"\r\n" if self.keep_alive else CLOSE + b"\r\n"
        return b"".join((lines, framing, self._wire.worker.common_lines(), last))

    def _framed(self, body: bytes, *, more: bool) -> bytes:
        if self._chunked:
            data = chunk(body) if body else b""
            return data if more else data + LAST_CHUNK
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                # Cut off, so that the client takes nothing else for the rest of it.
                self._wire.abort()
                raise RuntimeError("the answer is not as long as its head says")
        return body

    def _end(self, *, more: bool) -> None:
        if not more:
            self.whole = True
            self._hangups.clear()
            self._wake()
            self._wire.answered(self)
