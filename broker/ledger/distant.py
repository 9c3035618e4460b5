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
            return self.ask(ASK, ask_to_plain(operation))
        return self.ask(CLOSE, close_to_plain(operation))

    async def settled(self) -> None:
        await self.ask(FLUSH, ())

    def ask(self, kind: int, what: tuple[Any, ...]) -> "asyncio.Future[Any]":
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.is_open:
            answer.set_exception(_away())
            return answer
        self._last += 1
        self._asked[self._last] = answer
        self.tell(self._last, kind, what)
        return answer

    def told(self, message: tuple[Any, ...]) -> None:
        number, plain = message
        answer = self._asked.pop(number)
        if answer.cancelled():
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

    async def __aenter__(self) -> None:
        await self._here.acquire()
        try:
            await self._books.ask(TURN, ())
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
            self._books.tell(0, TURN_OVER, ())
        self._here.release()


def _away() -> Unavailable:
    return Unavailable(detail="the process that writes the books is away")
