"""Group commit: what many callers ask of the store at about the same time is done in one transaction."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Generic, TypeVar

from broker.core.errors import BrokerError, Unavailable

Asked = TypeVar("Asked")
Given = TypeVar("Given")

MOST_AT_ONCE = 128
"""Operations a transaction: more would keep everything else in this process waiting for too long."""
MOST_WAITING = 4096
ALONE = 2
"""What one caller hands in at a time: the end of a call, and the next one."""
PAUSE = 0.001
"""Seconds from one transaction to the next where several callers are at work: it costs as much as many calls, and without
this most had two or three in them and the throughput was half."""
QUIET = 4
"""After the pause it begins once so many turns of the loop in a row have brought nothing more,"""
GATHER = 0.008
"""or after so many seconds in any case."""
PATIENCE = 0.01
"""Seconds that what may wait does wait, for others to share its transaction."""


class Group(Generic[Asked, Given]):
    """Does batches, each operation with one answer, which may be an exception; answers come after COMMIT.

    `at_once` does a batch without waiting, or gives None where that cannot be and nothing was done; then `run` does it.
    `gather` is 0 where those who ask do so from another loop: turns of this one tell nothing of them.
    """

    def __init__(
        self,
        at_once: Callable[[Sequence[Asked]], Sequence[Given | Exception] | None],
        run: Callable[[Sequence[Asked]], Awaitable[Sequence[Given | Exception]]],
        gather: float = GATHER,
    ) -> None:
        self._at_once = at_once
        self._run = run
        self._waiting: list[tuple[Asked, Callable[[Given | Exception], object]]] = []
        self._next: asyncio.Handle | None = None
        """When the next batch begins, if it is known."""
        self._at_last: asyncio.TimerHandle | None = None
        """When it begins if only what is patient waits; not moved by each of these."""
        self._first_at = self.asked_at = 0.0
        """When the first of those that wait was asked, and when the first of the batch that is done now was."""
        self._gather_for = gather
        self._gather_until = 0.0
        self._running: asyncio.Task[None] | None = None
        self._submitted = self._done = 0
        self._waits: deque[tuple[int, asyncio.Future[None]]] = deque()
        """Who waits until so many operations are done; in order."""

    def ask(self, asked: Asked, tell: Callable[[Given | Exception], object], *, patient: bool = False) -> None:
        """Raises Unavailable at once when too much is waiting; what is patient is never refused."""
        if not patient and len(self._waiting) >= MOST_WAITING:
            raise Unavailable(detail="too many operations wait for the store")
        if not self._waiting:
            self._first_at = monotonic()
        self._waiting.append((asked, tell))
        self._submitted += 1
        if self._running is not None or self._next is not None:
            return
        if not patient:
            self._begin_soon()
        elif self._at_last is None:
            self._at_last = asyncio.get_running_loop().call_later(PATIENCE, self._waited)

    async def settled(self) -> None:
        """Returns once all that was submitted before has been done, whatever is submitted meanwhile."""
        if self._done == self._submitted:
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waits.append((self._submitted, done))
        if self._running is None and self._next is None:
            self._begin_soon()
        await done

    def _waited(self) -> None:
        self._at_last = None
        if self._running is None and self._next is None and self._waiting:
            self._begin()

    def _begin_soon(self) -> None:
        self._next = asyncio.get_running_loop().call_soon(self._begin)

    def _gather(self, seen: int, turns: int) -> None:
        """Begins, unless more has come than was `seen` that many turns ago, and more may come."""
        loop, waiting = asyncio.get_running_loop(), len(self._waiting)
        turns = turns + 1 if waiting == seen else 0
        if turns == QUIET or waiting >= MOST_AT_ONCE or loop.time() >= self._gather_until:
            self._begin()
        else:
            self._next = loop.call_soon(self._gather, waiting, turns)

    def _begin(self) -> None:
        self._next = None
        if not self._waiting:
            return
        batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
        # The rest has not waited for a lock yet: where it never ends, its patience would be over for good.
        self.asked_at, self._first_at = self._first_at, monotonic()
        operations = [asked for asked, _ in batch]
        given = self._at_once(operations)
        if given is None:
            self._running = asyncio.create_task(self._wait_for(batch, operations))
        else:
            self._answer(batch, given)

    async def _wait_for(
        self, batch: list[tuple[Asked, Callable[[Given | Exception], object]]], operations: Sequence[Asked]
    ) -> None:
        given: Sequence[Given | Exception]
        try:
            given = await self._run(operations)
        except BrokerError as error:
            given = [error] * len(batch)
        except Exception as error:  # whatever it is, those who wait are told
            given = [Unavailable(detail=repr(error))] * len(batch)
        self._running = None
        self._answer(batch, given)

    def _answer(
        self,
        batch: list[tuple[Asked, Callable[[Given | Exception], object]]],
        given: Sequence[Given | Exception],
    ) -> None:
        if len(batch) > ALONE and len(self._waiting) < MOST_AT_ONCE:
            loop = asyncio.get_running_loop()
            self._gather_until = loop.time() + self._gather_for
            self._next = loop.call_later(PAUSE, self._gather, -1, 0)
        elif self._waiting:
            self._begin_soon()
        for (_, tell), answer in zip(batch, given, strict=True):
            tell(answer)
        self._done += len(batch)
        while self._waits and self._waits[0][0] <= self._done:
            _, waiting = self._waits.popleft()
            if not waiting.done():
                waiting.set_result(None)
