"""A provider's answer while it comes: its head, and what has arrived of its body and was not read yet."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol, Self

from broker.providers.asking import Broken, Headers, TooLarge


class Wire(Protocol):
    """The connection that an answer comes by."""

    def read_on(self) -> None: ...

    def hang_up(self) -> None: ...


class Answer:
    """Its head has arrived when a caller gets it. Closing it closes the connection unless it was read to its end."""

    __slots__ = ("_waiter", "_wire", "ended", "error", "headers", "news", "pieces", "size", "status")

    def __init__(self, wire: Wire) -> None:
        self.status = 0
        self.headers: Headers = []
        self.pieces: list[bytes] = []
        self.size = 0
        self.ended = False
        self.error: Broken | None = None
        self.news: Callable[[], object] | None = None
        """For a reader that does not wait: is called whenever there may be something new to find here."""
        self._wire: Wire | None = wire
        self._waiter: asyncio.Future[None] | None = None

    # The reader's side.

    def header(self, name: bytes) -> bytes:
        """The first value under this lower-case name, or nothing."""
        for key, value in self.headers:
            if key == name:
                return value
        return b""

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come; raises Broken or TimedOut once what came before is read."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self.pieces:
            if self.error is not None:
                raise self.error
            if self.ended:
                raise StopAsyncIteration
            await self._more()
        return self.take()

    async def whole(self, most: int) -> bytes:
        """The body at once, without suspending if it is there; raises TooLarge, TimedOut or Broken."""
        if self.ended and self.size <= most:
            return self.take()
        pieces, size = [], 0
        async for piece in self:
            size += len(piece)
            if size > most:
                self._hang_up()
                raise TooLarge("the answer is too large")
            pieces.append(piece)
        return b"".join(pieces)

    def unread(self, piece: bytes) -> None:
        """What was read is read again."""
        if piece:
            self.pieces.insert(0, piece)
            self.size += len(piece)

    async def close(self) -> None:
        if not self.ended and self.error is None:
            self._hang_up()

    async def head(self) -> None:
        """Returns when the head is there; raises TimedOut or Broken."""
        while not self.status:
            if self.error is not None:
                raise self.error
            await self._more()

    def come(self) -> bytes:
        """What has come and was not read yet; it stays."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    def take(self) -> bytes:
        """What has come and was not read yet; nothing where there is nothing."""
        taken = self.come()
        self.pieces.clear()
        self.size = 0
        if self._wire is not None:
            self._wire.read_on()
        return taken

    async def _more(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.hang_up()

    # The connection's side.

    def wake(self) -> None:
        """To be called when there is something new to find here."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        elif self.news is not None:
            self.news()

    def part(self, error: Broken | None = None) -> None:
        """The connection has no more to do with this answer, which ended or broke."""
        self._wire = None
        self.error = error
        self.wake()
