"""The books: every reservation and every settlement goes through here, those of many calls in one transaction."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar, overload

from broker.core.clock import Clock
from broker.core.errors import Unavailable
from broker.ledger.ask import Ask, GoOn, Reservation, WentOn
from broker.ledger.memory import Memory
from broker.ledger.rates import Kept
from broker.ledger.settle import Close, Settled
from broker.ledger.tally import Stale
from broker.ledger.transaction import Answer, Operation, Transaction
from broker.ops.log import logger
from broker.store.database import Database
from broker.store.group import GATHER, Group
from broker.store.sqlite_steps import SqliteSteps
from broker.store.steps import Clashed, Steps

T = TypeVar("T")
log = logger("ledger")

Tell = Callable[[Answer], object]
"""Is given the answer to an operation, once it is committed or refused."""


class Runner(Protocol):
    """Runs one transaction made of steps; raises what they raise, or Unavailable, and then nothing of it stays."""

    locks_by_reading: bool
    """Whether a counter that was read cannot be changed by others until COMMIT, and has to be read to be sure of that."""

    def is_ready(self) -> bool:
        """Whether `at_once` may be called: nobody else writes, and no disk is waited for."""

    def at_once(self, steps: Steps[T]) -> T: ...

    async def run(self, steps: Steps[T], *, singly: bool, asked_at: float) -> T:
        """`singly` asks of each row whether it was changed; without it, that one was not is Clashed.

        `asked_at`, of the monotonic clock, is since when its wait for who keeps a file locked counts.
        """

    async def close(self) -> None: ...


class Books(Protocol):
    def ask(self, operation: Operation, tell: Tell) -> None:
        """Raises Unavailable when too much is waiting; a settlement is never turned away."""

    @overload
    def submit(self, operation: Ask) -> "asyncio.Future[Reservation]": ...
    @overload
    def submit(self, operation: GoOn) -> "asyncio.Future[WentOn]": ...
    @overload
    def submit(self, operation: Close) -> "asyncio.Future[Settled]": ...

    async def settled(self) -> None:
        """Returns once all that was submitted before is in the database."""


def _runner(db: Database) -> Runner:
    if not db.is_postgres:
        return SqliteSteps(db)
    from broker.store.postgres_steps import PostgresSteps  # its driver is an extra

    return PostgresSteps(db)


def into(answer: "asyncio.Future[Any]", given: Answer) -> None:
    if answer.cancelled():
        return
    if isinstance(given, Exception):
        answer.set_exception(given)
    else:
        answer.set_result(given)


class OwnBooks:
    """The books as this process writes them."""

    def __init__(self, db: Database, clock: Clock, runner: Runner | None = None, gather: float = GATHER) -> None:
        self._clock = clock
        self._runner: Runner = runner or _runner(db)
        self._memory = Memory(rates=Kept(is_shared=self._runner.locks_by_reading))
        # On PostgreSQL company comes while a transaction is under way, as the loop goes on meanwhile.
        gather = 0.0 if db.is_postgres else gather
        self._group: Group[Operation, Reservation | Settled | WentOn] = Group(self._at_once, self._run, gather)
        db.before_read.append(self.settled)
        db.before_close.append(self.close)

    def ask(self, operation: Operation, tell: Tell) -> None:
        self._group.ask(operation, tell, patient=isinstance(operation, Close))

    @overload
    def submit(self, operation: Ask) -> "asyncio.Future[Reservation]": ...
    @overload
    def submit(self, operation: GoOn) -> "asyncio.Future[WentOn]": ...
    @overload
    def submit(self, operation: Close) -> "asyncio.Future[Settled]": ...
    def submit(self, operation: Operation) -> "asyncio.Future[Any]":
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ask(operation, partial(into, answer))
        return answer

    async def settled(self) -> None:
        await self._group.settled()

    async def close(self) -> None:
        await self.settled()
        await self._runner.close()

    def _at_once(self, batch: Sequence[Operation]) -> Sequence[Answer] | None:
        """None where that cannot be; whatever went wrong, it is done again in the way that waits, and says so."""
        if not self._runner.is_ready():
            return None
        transaction = Transaction(batch, self._memory, self._clock(), anew=self._runner.locks_by_reading)
        try:
            answers = self._runner.at_once(transaction.steps())
        except Exception:
            transaction.undone()
            return None
        transaction.committed()
        return answers

    async def _run(self, batch: Sequence[Operation]) -> Sequence[Answer]:
        try:
            return await self._transact(batch)
        except Unavailable:
            raise
        except Exception as error:
            if len(batch) == 1:
                log.exception("books.broke", exc_info=error)
                return [error]
        # One of them breaks the transaction of all: each is done by itself, and only that one fails.
        return [answer for operation in batch for answer in await self._alone(operation)]

    async def _alone(self, operation: Operation) -> Sequence[Answer]:
        try:
            return await self._run([operation])
        except Unavailable as error:
            return [error]

    async def _transact(self, batch: Sequence[Operation]) -> Sequence[Answer]:
        why = ""
        for anew in (self._runner.locks_by_reading, True, True):
            transaction = Transaction(batch, self._memory, self._clock(), anew=anew)
            try:
                answers = await self._runner.run(transaction.steps(), singly=anew, asked_at=self._group.asked_at)
            except (Stale, Clashed) as error:
                transaction.undone()
                why = repr(error)
            except BaseException:
                transaction.undone()
                raise
            else:
                transaction.committed()
                return answers
        raise Unavailable(detail=f"tried three times: {why}")
