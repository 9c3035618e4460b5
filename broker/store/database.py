"""The engine, and one transaction a unit of work."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable
from broker.store.engines import is_postgresql, postgresql_engine, pragmas, sqlite_engine
from broker.store.glance import Glance
from broker.store.steps import Steps, run_steps

T = TypeVar("T")
Work = Callable[[AsyncSession], Awaitable[T]]
CoreWork = Callable[[AsyncConnection], Awaitable[T]]

Turn = AbstractAsyncContextManager[None]
"""Waits for the turn, keeps it while it is open, and may be opened any number of times."""

BUSY_MS = 5_000
READERS = 4
TRIES = 3
"""A transaction that PostgreSQL undid because of another one is run anew: what it does is a closure over arguments."""
_CLASHES = {"40001", "40P01", "23505"}
"""The last is a row that the books, which do not wait for a turn, made since it was looked for."""


def sqlite_url(data_dir: Path) -> str:
    return f"sqlite+aiosqlite:///{data_dir / 'broker.db'}"


class Database:
    """The one door for reading and writing; every answer of `write` comes after COMMIT.

    A transaction runs in a task of its own: a caller that is cancelled leaves it whole, committed or rolled back.
    Raises Unavailable when the store cannot answer.
    """

    def __init__(
        self,
        url: str,
        *,
        synchronous: str = "full",
        busy_ms: int = BUSY_MS,
        turn: Turn | None = None,
        autocheckpoint: bool = True,
    ) -> None:
        self.url = url
        self.busy_ms = self._patience_ms = busy_ms
        self.pragmas = pragmas(synchronous, busy_ms, autocheckpoint=autocheckpoint)
        self.is_durable = synchronous == "full"
        self.turn: Turn = turn or asyncio.Lock()
        """Who may write now; there is one writer at a time."""
        self.before_read: list[Callable[[], Awaitable[None]]] = []
        """What has to be written before anything is read: what was done here is what is read here."""
        self.before_close: list[Callable[[], Awaitable[None]]] = []
        self.is_postgres = is_postgresql(url)
        self._glance = Glance(url)
        self._tasks: set[asyncio.Task[Any]] = set()

    # Made when they are used: the process that keeps the books has a connection of its own, and needs neither.

    @cached_property
    def _writer(self) -> AsyncEngine:
        if self.is_postgres:
            return postgresql_engine(self.url, busy_ms=self.busy_ms, pool_size=1)
        return sqlite_engine(
            self.url, "BEGIN IMMEDIATE", self.pragmas, pool_size=1, patience_ms=lambda: self._patience_ms
        )

    @cached_property
    def _reader(self) -> AsyncEngine:
        if self.is_postgres:
            return postgresql_engine(self.url, read_only=True, busy_ms=self.busy_ms, pool_size=READERS)
        return sqlite_engine(self.url, "BEGIN", [*self.pragmas, "PRAGMA query_only=ON"], pool_size=READERS)

    def is_free(self) -> bool:
        """Whether it is nobody's turn to write, here where turns are given."""
        return isinstance(self.turn, asyncio.Lock) and not self.turn.locked()

    async def write(self, work: Work[T]) -> T:
        return await self._apart(self._in_turn(lambda: self._in_session(self._writer, work)))

    async def write_core(self, work: CoreWork[T]) -> T:
        """As `write`, without an ORM session."""
        return await self._apart(self._in_turn(lambda: self._in_connection(self._writer, work)))

    async def read_core(self, work: CoreWork[T]) -> T:
        await self._ready_to_read()
        return await self._apart(self._in_connection(self._reader, work))

    async def read_steps(self, steps: Steps[T]) -> T:
        return await self.read_core(lambda connection: run_steps(connection, steps))

    async def read(self, work: Work[T]) -> T:
        await self._ready_to_read()
        return await self._apart(self._in_session(self._reader, work))

    async def glance(self, question: str) -> Any:
        """The one value of a SELECT without parameters, as it is committed now; what waits to be written is not waited for."""
        if not self.is_postgres:
            return self._glance(question)
        return await self._apart(self._in_connection(self._reader, lambda c: c.scalar(text(question))))

    async def _ready_to_read(self) -> None:
        for ready in self.before_read:
            await ready()

    async def close(self) -> None:
        for ending in self.before_close:
            await ending()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._glance.close()
        for engine in {"_writer", "_reader"} & vars(self).keys():
            await vars(self)[engine].dispose()

    async def _apart(self, running: Awaitable[T]) -> T:
        # Measured: a cancelled aiosqlite transaction may have committed although its caller saw CancelledError.
        task = asyncio.ensure_future(running)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with _outages():
            return await asyncio.shield(task)

    async def _in_turn(self, transaction: Callable[[], Awaitable[T]]) -> T:
        asked_at = monotonic()
        async with self.turn:
            # The wait for the turn counts: else each in the line would wait anew for whoever keeps the file locked.
            self._patience_ms = max(0, self.busy_ms - int((monotonic() - asked_at) * 1000))
            for _ in range(TRIES - 1):
                try:
                    return await transaction()
                except DBAPIError as error:
                    if getattr(error.orig, "sqlstate", None) not in _CLASHES:
                        raise
            return await transaction()

    async def _in_session(self, engine: AsyncEngine, work: Work[T]) -> T:
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            # BEGIN goes before all of the work, also before what is sealed ahead of the first statement.
            await session.connection()
            return await work(session)

    async def _in_connection(self, engine: AsyncEngine, work: CoreWork[T]) -> T:
        async with engine.begin() as connection:
            return await work(connection)


@contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (DatabaseError, DBAPIError, PoolTimeout, ConnectionError, TimeoutError) as error:
        raise Unavailable(detail=f"{type(error).__name__}: {getattr(error, 'orig', error)}") from error
