"""The engine, and one transaction a unit of work."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable

T = TypeVar("T")
Work = Callable[[AsyncSession], Awaitable[T]]
CoreWork = Callable[[AsyncConnection], Awaitable[T]]

BUSY_MS = 5_000
READERS = 4


def sqlite_url(data_dir: Path) -> str:
    return f"sqlite+aiosqlite:///{data_dir / 'broker.db'}"


class Database:
    """The one door for reading and writing; every answer of `write` comes after COMMIT.

    A transaction runs in a task of its own: a caller that is cancelled leaves it whole, committed or rolled back.
    Raises Unavailable when the store cannot answer.
    """

    def __init__(self, url: str, *, synchronous: str = "full", busy_ms: int = BUSY_MS) -> None:
        pragmas = _pragmas(synchronous, busy_ms)
        self._writer = _engine(url, "BEGIN IMMEDIATE", pragmas, pool_size=1)
        self._reader = _engine(url, "BEGIN", [*pragmas, "PRAGMA query_only=ON"], pool_size=READERS)
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def write(self, work: Work[T]) -> T:
        return await self._apart(self._in_session(self._writer, work, self._turn))

    async def write_core(self, work: CoreWork[T]) -> T:
        """As `write`, without an ORM session: for the hot path."""
        return await self._apart(self._in_connection(self._writer, work, self._turn))

    async def read_core(self, work: CoreWork[T]) -> T:
        return await self._apart(self._in_connection(self._reader, work, None))

    async def read(self, work: Work[T]) -> T:
        return await self._apart(self._in_session(self._reader, work, None))

    async def close(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._writer.dispose()
        await self._reader.dispose()

    async def _apart(self, running: Awaitable[T]) -> T:
        # Measured: a cancelled aiosqlite transaction may have committed although its caller saw CancelledError.
        task = asyncio.ensure_future(running)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except IntegrityError:
            raise
        except (DatabaseError, DBAPIError, PoolTimeout) as error:
            raise Unavailable(detail=f"{type(error).__name__}: {getattr(error, 'orig', error)}") from error

    async def _in_session(self, engine: AsyncEngine, work: Work[T], turn: asyncio.Lock | None) -> T:
        async with turn or nullcontext(), AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            return await work(session)

    async def _in_connection(self, engine: AsyncEngine, work: CoreWork[T], turn: asyncio.Lock | None) -> T:
        async with turn or nullcontext(), engine.begin() as connection:
            return await work(connection)


def _pragmas(synchronous: str, busy_ms: int) -> list[str]:
    if synchronous not in ("full", "normal"):
        raise ValueError(synchronous)
    return [
        "PRAGMA journal_mode=WAL",
        f"PRAGMA synchronous={synchronous}",
        "PRAGMA foreign_keys=ON",
        f"PRAGMA busy_timeout={int(busy_ms)}",
        "PRAGMA secure_delete=ON",
        "PRAGMA trusted_schema=OFF",
    ]


def _engine(url: str, begin: str, pragmas: list[str], *, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=10)

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        # The driver must not open transactions by itself: a read before the write would make it a deferred one.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
