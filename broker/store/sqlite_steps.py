"""Runs transactions made of steps on SQLite: in this thread, but for a COMMIT that waits for the disk."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic, perf_counter
from typing import TypeVar

from sqlalchemy.engine import make_url

from broker.core.errors import Unavailable
from broker.store.database import Database
from broker.store.steps import Clashed, Params, Rows, Statement, Step, Steps

T = TypeVar("T")
Said = Callable[[sqlite3.Cursor, Statement, Params], Rows]

_LOOK_SECONDS = 0.002
QUICK_SECONDS = 0.002
"""A COMMIT that took less is sooner done than handed to a thread: nothing else can be written meanwhile.

One that took longer keeps no other call waiting, nor a stream.
"""
_FORGETS = 0.9
"""With each COMMIT: one of fifty milliseconds is remembered over thirty quick ones, as a disk is seldom slow only once."""
_KEPT_STATEMENTS = 256
_CACHE_KILOBYTES = 16_000
"""What a thousand grants write to in turn; it is taken as it is used."""


class _Uneven(Clashed):
    """A row did not change what it was to change: which one, only asking one by one tells."""


class SqliteSteps:
    """A connection of its own, used in the turn of its database: another process that writes is waited for."""

    locks_by_reading = False

    def __init__(self, db: Database) -> None:
        self._db = db
        self._connection: sqlite3.Connection | None = None
        self._disk = ThreadPoolExecutor(1, "commit")
        self._commit_took = 0.0

    def is_ready(self) -> bool:
        return self._db.is_free() and (self._commit_took < QUICK_SECONDS or not self._db.is_durable)

    def at_once(self, steps: Steps[T]) -> T:
        """One transaction, if another process does not write just now; raises whatever stands in its way."""
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            value = _drive(connection, steps, _said_by_all)
            self._commit(connection)
        except BaseException:
            _undo(connection)
            raise
        return value

    async def run(self, steps: Steps[T], *, singly: bool, asked_at: float) -> T:
        """One transaction. Raises what the steps raise, Clashed or Unavailable; then nothing of it stays."""
        async with self._db.turn:
            try:
                connection = self._open()
                await self._begin(connection, asked_at + self._db.busy_ms / 1000)
                return await self._through(connection, steps, _said if singly else _said_by_all)
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:
                raise Unavailable(detail=f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        self._disk.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _through(self, connection: sqlite3.Connection, steps: Steps[T], said: Said) -> T:
        try:
            value = _drive(connection, steps, said)
            await asyncio.get_running_loop().run_in_executor(self._disk, self._commit, connection)
        except BaseException:
            _undo(connection)
            raise
        return value

    def _commit(self, connection: sqlite3.Connection) -> None:
        began = perf_counter()
        connection.execute("COMMIT")
        self._commit_took = max(perf_counter() - began, _FORGETS * self._commit_took)

    async def _begin(self, connection: sqlite3.Connection, give_up_at: float) -> None:
        """The lock is asked for again and again: waiting inside SQLite would stop everything in this thread."""
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() >= give_up_at:
                    raise
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            path = make_url(self._db.url).database or ""
            connection = sqlite3.connect(
                path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=_KEPT_STATEMENTS
            )
            for pragma in self._db.pragmas:
                connection.execute(pragma)
            connection.execute("PRAGMA busy_timeout=0")
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KILOBYTES}")
            self._connection = connection
        return self._connection


def _said(cursor: sqlite3.Cursor, statement: Statement, params: Params) -> Rows:
    sql, echo = statement.sqlite, statement.echo
    execute = cursor.execute
    if statement.reads:
        return [row for each in params for row in execute(sql, each).fetchall()]
    if echo is not None:
        return [(each[echo],) for each in params if execute(sql, each).rowcount]
    cursor.executemany(sql, params)
    return []


def _said_by_all(cursor: sqlite3.Cursor, statement: Statement, params: Params) -> Rows:
    """As `_said`, where every row changes what it is to change: that all did can be counted, and costs less than to ask each."""
    if statement.reads:
        return _said(cursor, statement, params)
    cursor.executemany(statement.sqlite, params)
    echo = statement.echo
    if echo is None:
        return []
    if cursor.rowcount != len(params):
        raise _Uneven
    return [(each[echo],) for each in params]


def _undo(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        connection.execute("ROLLBACK")


def _drive(connection: sqlite3.Connection, steps: Steps[T], said: Said) -> T:
    cursor = connection.cursor()
    try:
        step: Step = next(steps)
        while True:
            step = steps.send(said(cursor, *step))
    except StopIteration as done:
        value: T = done.value
        return value
