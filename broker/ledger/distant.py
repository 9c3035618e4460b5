"""The books as a worker has them: the parent writes, and a line leads to it."""

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, overload

from broker.core.errors import BrokerError, Unavailable
from broker.ledger.ask import Ask, Reservation
from broker.ledger.settle import Close, Settled
from broker.ledger.wire import answer_of, ask_to_plain, close_to_plain
from broker.store.frames import Frames

ASK, CLOSE, FLUSH, TURN, TURN_OVER = range(5)
"""What a worker says: each with a number that the answer names, and what belongs to it."""


class DistantBooks(Frames):
    """While the parent is away nothing is admitted; what it was told of last is the sweep's."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._last = 0
        self.turn: AbstractAsyncContextManager[None] = _Turn(self)

    @overload
    def submit(self, operation: Ask) -> "asyncio.Future[Reservation]": ...
    @overload
    def submit(self, operation: Close) -> "asyncio.Future[Settled]": ...
    def submit(self, operation: Ask | Close) -> "asyncio.Future[Reservation] | asyncio.Future[Settled]":
        if isinstance(operation, Ask):
            return self.ask(ASK, ask_to_plain(operation))[1]
        return self.ask(CLOSE, close_to_plain(operation))[1]

    async def settled(self) -> None:
        await self.ask(FLUSH, ())[1]

    def ask(self, kind: int, what: tuple[Any, ...]) -> "tuple[int, asyncio.Future[Any]]":
        """The number of what was asked, and its answer."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._last += 1
        if self.is_open:
            self._asked[self._last] = answer
            self.tell(self._last, kind, what)
        else:
            answer.set_exception(_away())
        return self._last, answer

    def told(self, message: tuple[Any, ...]) -> None:
        number, plain = message
        answer = self._asked.pop(number, None)
        if answer is None or answer.cancelled():
            return
        given = None if plain is None else answer_of(plain)
        if isinstance(given, BrokerError):
            answer.set_exception(given)
        else:
            answer.set_result(given)

    def gone(self) -> None:
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            if not answer.done():
                answer.set_exception(_away())


class _Turn(AbstractAsyncContextManager[None]):
    """The turn to write: one at a time in this worker, and one at a time in all of them."""

    def __init__(self, books: DistantBooks) -> None:
        self._books = books
        self._here = asyncio.Lock()
        self._number = 0

    async def __aenter__(self) -> None:
        await self._here.acquire()
        self._number, given = self._books.ask(TURN, ())
        try:
            await given
        except BaseException:
            # It may be given all the same, and nobody would use it.
            self._give_back()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def _give_back(self) -> None:
        if self._books.is_open:
            self._books.tell(self._number, TURN_OVER, ())
        self._here.release()


def _away() -> Unavailable:
    return Unavailable(detail="the process that writes the books is away")
