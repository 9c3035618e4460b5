"""The books as a worker has them: the parent writes, and a line leads to it."""

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, overload

from broker.core.errors import Unavailable
from broker.ledger.ask import Ask, GoOn, Reservation, WentOn
from broker.ledger.books import Tell, into
from broker.ledger.settle import Close, Settled
from broker.ledger.transaction import Operation
from broker.ledger.wire import answer_of, ask_to_plain, close_to_plain, go_on_to_plain
from broker.store.frames import Frames

ASK, CLOSE, FLUSH, TURN, TURN_OVER, GO_ON = range(6)
"""What a worker says: a number that the answer names, one of these, and what belongs to it."""


class DistantBooks(Frames):
    """While the parent is away nothing is admitted; what it was told of last is the sweep's."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[int, tuple[Operation, Tell]] = {}
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._last = 0
        self.turn: AbstractAsyncContextManager[None] = _Turn(self)

    def ask(self, operation: Operation, tell: Tell) -> None:
        if not self.is_open:
            raise _away()
        number = self._last = self._last + 1
        self._asked[number] = operation, tell
        if isinstance(operation, Ask):
            self.tell((number, ASK, *ask_to_plain(operation)))
        elif isinstance(operation, GoOn):
            self.tell((number, GO_ON, *go_on_to_plain(operation)))
        else:
            self.tell((number, CLOSE, *close_to_plain(operation)))

    @overload
    def submit(self, operation: Ask) -> "asyncio.Future[Reservation]": ...
    @overload
    def submit(self, operation: GoOn) -> "asyncio.Future[WentOn]": ...
    @overload
    def submit(self, operation: Close) -> "asyncio.Future[Settled]": ...
    def submit(self, operation: Operation) -> "asyncio.Future[Any]":
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self.ask(operation, partial(into, answer))
        except Unavailable as error:
            answer.set_exception(error)
        return answer

    async def settled(self) -> None:
        await self.want(FLUSH)[1]

    def want(self, kind: int) -> "tuple[int, asyncio.Future[None]]":
        """The number of what is wanted, and what tells that it was given."""
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = self._last = self._last + 1
        if self.is_open:
            self._waiting[number] = given
            self.tell((number, kind))
        else:
            given.set_exception(_away())
        return number, given

    def told(self, message: tuple[Any, ...]) -> None:
        number = message[0]
        asked = self._asked.pop(number, None)
        if asked is not None:
            operation, tell = asked
            tell(answer_of(message[1:], operation))
        elif (waiting := self._waiting.pop(number, None)) is not None and not waiting.done():
            waiting.set_result(None)

    def gone(self) -> None:
        asked, self._asked = self._asked, {}
        waiting, self._waiting = self._waiting, {}
        for _, tell in asked.values():
            tell(_away())
        for given in waiting.values():
            if not given.done():
                given.set_exception(_away())


class _Turn(AbstractAsyncContextManager[None]):
    """The turn to write: one at a time in this worker, and one at a time in all of them."""

    def __init__(self, books: DistantBooks) -> None:
        self._books = books
        self._here = asyncio.Lock()
        self._number = 0

    async def __aenter__(self) -> None:
        await self._here.acquire()
        self._number, given = self._books.want(TURN)
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
            self._books.tell((self._number, TURN_OVER))
        self._here.release()


def _away() -> Unavailable:
    return Unavailable(detail="the process that writes the books is away")
