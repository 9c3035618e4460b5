"""The books of this process, kept for its workers too: what they ask of it, each over a line of its own."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from broker.core.errors import BrokerError
from broker.ledger.books import OwnBooks
from broker.ledger.distant import ASK, CLOSE, FLUSH, GO_ON, TURN, TURN_OVER
from broker.ledger.transaction import Answer, Operation
from broker.ledger.wire import answer_to_plain, ask_of, close_of, go_on_of
from broker.ops.log import logger
from broker.store.database import Database
from broker.store.frames import Frames

log = logger("ledger")

LONGEST_TURN = 10.0
"""Seconds: a worker that hangs in its turn loses it, and whoever runs it ends it."""


class Hosted(Frames):
    """One worker's line to the books."""

    def __init__(self, db: Database, books: OwnBooks) -> None:
        super().__init__()
        self._db = db
        self._books = books
        self._turns: dict[int, asyncio.Event] = {}
        """Those that are waited for or kept, each with the event that ends it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.lost: Callable[[], object] = lambda: None
        """Is called when its worker loses its turn."""

    @classmethod
    async def on(cls, line: socket.socket, db: Database, books: OwnBooks) -> "Hosted":
        _, hosted = await asyncio.get_running_loop().create_unix_connection(lambda: cls(db, books), sock=line)
        return hosted

    def told(self, message: tuple[Any, ...]) -> None:
        number, kind = message[:2]
        if kind == ASK:
            self._submit(number, ask_of(message[2:]))
        elif kind == CLOSE:
            self._submit(number, close_of(message[2:]))
        elif kind == GO_ON:
            self._submit(number, go_on_of(message[2:]))
        elif kind == FLUSH:
            self._start(self._flushed(number))
        elif kind == TURN:
            self._turns[number] = asyncio.Event()
            self._start(self._in_turn(number, self._turns[number]))
        elif kind == TURN_OVER and number in self._turns:
            self._turns[number].set()

    def gone(self) -> None:
        for over in self._turns.values():
            over.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _submit(self, number: int, operation: Operation) -> None:
        try:
            self._books.ask(operation, partial(self._answer, number))
        except BrokerError as error:
            self._answer(number, error)

    def _answer(self, number: int, answer: Answer) -> None:
        self.tell((number, *answer_to_plain(answer)))

    async def _flushed(self, number: int) -> None:
        await self._books.settled()
        self.tell((number,))

    async def _in_turn(self, number: int, over: asyncio.Event) -> None:
        async with self._db.turn:
            if not over.is_set():
                self.tell((number,))
            try:
                async with asyncio.timeout(LONGEST_TURN):
                    await over.wait()
            except TimeoutError:
                # It may have SQLite's lock, which only its end takes from it: one that was stopped would keep all others out.
                log.warning("turn.lost", seconds=LONGEST_TURN)
                self.lost()
        del self._turns[number]
