"""Group commit: what many callers ask of the store at about the same time is done in one transaction."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from broker.core.errors import BrokerError, Unavailable

Asked = TypeVar("Asked")
Given = TypeVar("Given")

MOST_AT_ONCE = 128
"""Operations a transaction: more would keep everything else in this process waiting for too long."""
MOST_WAITING = 4096
ALONE = 2
"""What one caller hands in at a time: the end of a call, and the next one."""
GATHER = 0.001
"""Seconds from one transaction to the next where several callers are at work: a transaction costs as much as many calls,
and without this pause most had two or three in them and the throughput was half."""
PATIENCE = 0.01
"""Seconds that what may wait does wait, for others to share its transaction."""


class Group(Generic[Asked, Given]):
    """`run` does a batch and gives one answer for each, which may be an exception; answers come after COMMIT."""

    def __init__(self, run: Callable[[Sequence[Asked]], Awaitable[Sequence[Given | Exception]]]) -> None:
        self._run = run
        self._waiting: list[tuple[Asked, asyncio.Future[Given]]] = []
        self._worker: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._submitted = self._done = 0
        self._waits: deque[tuple[int, asyncio.Future[None]]] = deque()
        """Who waits until so many operations are done; in order."""

    def submit(self, asked: Asked, *, patient: bool = False) -> "asyncio.Future[Given]":
        """Raises Unavailable at once when too much is waiting; what is patient is never refused."""
        if not patient and len(self._waiting) >= MOST_WAITING:
            raise Unavailable(detail="too many operations wait for the store")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Given] = loop.create_future()
        self._waiting.append((asked, answer))
        self._submitted += 1
        if self._worker is None:
            if not patient:
                self._begin()
            elif self._later is None:
                self._later = loop.call_later(PATIENCE, self._begin)
        return answer

    async def settled(self) -> None:
        """Returns once all that was submitted before has been done, whatever is submitted meanwhile."""
        if self._done == self._submitted:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waits.append((self._submitted, done))
        self._begin()
        await done

    def _begin(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._worker is None and self._waiting:
            self._worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await self._do(batch)
                if len(batch) > ALONE and len(self._waiting) < MOST_AT_ONCE:
                    await asyncio.sleep(GATHER)
        finally:
            self._worker = None
            self._begin()

    async def _do(self, batch: "list[tuple[Asked, asyncio.Future[Given]]]") -> None:
        given: Sequence[Given | Exception]
        try:
            given = await self._run([asked for asked, _ in batch])
        except BrokerError as error:
            given = [error] * len(batch)
        except Exception as error:  # whatever it is, those who wait are told
            given = [Unavailable(detail=repr(error))] * len(batch)
        self._answer(batch, given)
        self._done += len(batch)
        while self._waits and self._waits[0][0] <= self._done:
            _, waiting = self._waits.popleft()
            if not waiting.done():
                waiting.set_result(None)

    def _answer(self, batch: "list[tuple[Asked, asyncio.Future[Given]]]", given: "Sequence[Given | Exception]") -> None:
        for (_, answer), each in zip(batch, given, strict=True):
            if answer.cancelled():
                continue
            if isinstance(each, Exception):
                answer.set_exception(each)
            else:
                answer.set_result(each)
