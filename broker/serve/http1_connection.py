"""One connection: its requests strictly one after another, and a bound on all that is held or waited for."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Any

from broker.serve import http1_worker
from broker.serve.http1_answer import refuse
from broker.serve.http1_deadline import Deadline
from broker.serve.http1_ending import Ending
from broker.serve.http1_head import FAILED, SLOW, Framing, RawHeaders, Refusal
from broker.serve.http1_reader import SLICE, Reader
from broker.serve.http1_request import Request
from broker.serve.http1_sight import Sight
from broker.serve.http1_worker import Worker

MOST_UNREAD = 65_536


class Connection(asyncio.Protocol):
    __slots__ = (
        "_base", "_current", "_deadline", "_ending", "_eof", "_head_is_timed", "_held", "_last_word", "_queue",
        "_reader", "_reading", "_receiving", "_sight", "_transport", "ended", "flushed", "tasks", "worker",
    )  # fmt: skip

    def __init__(self, worker: Worker, transport: asyncio.Transport, base: dict[str, Any]) -> None:
        self.worker = worker
        self._transport = transport
        self._base = base
        self._reader = Reader(self, worker.most_head_bytes)
        self._deadline = Deadline(worker.loop, self._expire)
        self.ended: asyncio.Future[None] = worker.loop.create_future()
        self.tasks: list[asyncio.Task[None]] = []
        self.flushed: asyncio.Future[None] | None = None
        self._reading, self._eof, self._head_is_timed = True, False, False
        self._ending = Ending(transport, self._deadline)
        self._receiving: Request | None = None
        self._current: Request | None = None
        self._queue: deque[Request] = deque()
        self._held: deque[bytes] = deque()
        """What came behind a request that waits, not looked at yet."""
        self._sight = Sight(worker.heads, self._deadline)
        self._last_word: Refusal | None = None

    def begin(self, held: bytes, *, ended: bool) -> None:
        """With what had come before this connection was ours."""
        self.worker.connections.add(self)
        self._deadline.within(self.worker.idle_seconds)
        if self.worker.ending:
            self._close()
            return
        if held:
            self.data_received(held)
        if ended and not self.eof_received():
            self._close()

    # What the transport tells

    def data_received(self, data: bytes) -> None:
        if self._reader.deaf:
            return
        if self._held:
            self._held.append(data)
        elif self._current is None and self._receiving is None and not self._reader.in_head:
            self._current = self._sight.begin(data, self)
            if self._current is not None:
                self._deadline.lift()
                return
            if not self._sight.waits:
                self._feed(self._sight.come())
                self._sight.over()
        else:
            self._feed(data)
        self._mind()

    def eof_received(self) -> bool:
        """True while an answer may still be wanted: who shuts down only the sending half gets it."""
        self._eof = True
        if self._current is None or self._ending.begun:
            return False
        self._current.leave()
        for request in self._queue:
            request.leave()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending.begun = True
        self._deadline.end()
        current, self._current = self._current, None
        if current is not None:
            current.mute()
        self._drop()
        self.resume_writing()
        self.worker.connections.discard(self)
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:
        self.flushed = self.worker.loop.create_future()
        self._deadline.within(http1_worker.STALL_SECONDS)

    def resume_writing(self) -> None:
        flushed, self.flushed = self.flushed, None
        if flushed is not None and not flushed.done():
            flushed.set_result(None)
        if self._current is not None and not self._ending.begun:
            self._deadline.lift()

    # What the reader tells

    def head_came(
        self, method: bytes, version: str, target: bytes, headers: RawHeaders, framing: Framing, *, last: bool
    ) -> None:
        request = Request(self, method.decode(), framing, version, keep_alive=not last)
        keep = self._sight.keeper(headers, framing, last=last)
        request.describe(self._base, target, headers, self.worker.state(), keep)
        self._receiving = request
        self._head_is_timed = False
        if self._current is None:
            self._start(request)
        else:
            self._queue.append(request)

    def piece_came(self, piece: bytes) -> None:
        if self._receiving is not None:
            self._receiving.take(piece)

    def body_ended(self) -> None:
        request, self._receiving = self._receiving, None
        if request is not None:
            request.complete()

    def was_refused(self, refusal: Refusal) -> None:
        broken, self._receiving = self._receiving, None
        if broken is not None and broken is self._current:
            self._give_up(broken, refusal)
            return
        if broken is not None:
            self._queue.pop()
        self._last_word = refusal
        if self._current is None:
            self._refuse(refusal)

    # Reading on

    def _has_enough(self) -> bool:
        """A request waits for its turn, or a body for its reader."""
        receiving = self._receiving
        return (
            bool(self._queue)
            or (self._reader.in_head and self._current is not None)
            or (receiving is not None and receiving.unread > MOST_UNREAD)
        )

    def _feed(self, data: bytes) -> None:
        if len(data) <= SLICE and not self._has_enough():
            self._reader.feed(data)
            return
        for at in range(0, len(data), SLICE):
            if self._has_enough():
                self._held.appendleft(data[at:])
                return
            self._reader.feed(data[at : at + SLICE])

    def _mind(self) -> None:
        """Reads on, or does not; and a head that has begun must come to its end."""
        if self._ending.begun:
            return
        while self._held and not self._has_enough():
            self._feed(self._held.popleft())
        wanted = not self._held and not self._has_enough()
        if wanted is not self._reading and not self._transport.is_closing():
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()
        if self._reader.in_head and self._current is None and not self._head_is_timed:
            self._head_is_timed = True
            self._deadline.within(self.worker.head_seconds)

    # Answering

    def _start(self, request: Request) -> None:
        self._current = request
        self._deadline.lift()
        worker = self.worker
        # The scope leads to the request, and must not be led to: else only the collector would find the two.
        scope, request.scope = request.scope, {}
        self.run(request, worker.app(scope, request.receive, request.send, worker.spawn, worker.call_soon))  # type: ignore[arg-type]

    def run(self, request: Request, answering: Awaitable[None]) -> None:
        if self.tasks:
            self.tasks = [task for task in self.tasks if not task.done()]
        self.tasks.append(self.worker.loop.create_task(self._run(request, answering)))

    async def _run(self, request: Request, answering: Awaitable[None]) -> None:
        try:
            await answering
        except Exception:
            await self.worker.log.exception("Error in ASGI Framework")
        finally:
            if not request.whole:
                self._give_up(request, FAILED)

    def _give_up(self, request: Request, refusal: Refusal) -> None:
        """Of a request whose answer will never be whole."""
        if request is not self._current or self._transport.is_closing():
            return
        self._current = None
        left = request.gone
        request.mute()
        if request.begun:
            self.abort()
        elif left:
            self._close()
        else:
            self._refuse(refusal)

    def answered(self, request: Request) -> None:
        if request is not self._current:
            return
        self._current = None
        if self._transport.is_closing():
            return
        if request.keep_alive and request.has_come and not self.worker.ending:
            self._next()
        elif request.has_come and not self._queue and not self._held:
            self._close()
        else:
            self._linger()

    def _next(self) -> None:
        while self._current is None and not self._ending.begun:
            if self._queue:
                self._start(self._queue.popleft())
            elif self._last_word is not None:
                self._refuse(self._last_word)
            elif self._held:
                self._feed(self._held.popleft())
            elif self._eof:
                self._close()
            else:
                self._deadline.within(self.worker.idle_seconds)
                break
        self._mind()

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def body_was_read(self) -> None:
        if not self._reading:
            self._mind()

    # Ending

    def close_if_idle(self) -> None:
        if self._current is None and not self._sight.waits:
            self._close()

    def _expire(self) -> None:
        if self._ending.expire():
            return
        if self._sight.waits:
            self.data_received(b"")
        elif self._reader.in_head:
            self._refuse(SLOW)
        else:
            self._close()

    def _refuse(self, refusal: Refusal) -> None:
        self.write(refuse(refusal, self.worker.common_lines()))
        self._linger()

    def _close(self) -> None:
        self._drop()
        self._ending.close()

    def _linger(self) -> None:
        if self._eof or self._transport.is_closing():
            self._close()
            return
        self._drop()
        self._ending.linger()
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def abort(self) -> None:
        self._drop()
        self._ending.abort()

    def _drop(self) -> None:
        """Nothing that came behind is looked at any more."""
        self._reader.deaf = True
        self._sight.over()
        self._queue.clear()
        self._held.clear()
