"""Runs transactions made of steps on PostgreSQL: one statement a step, whatever the number of its rows."""

import re
from contextlib import suppress
from functools import cache
from typing import TypeVar

from broker.store.database import Database
from broker.store.postgresql import LOST, Connection, connect, translated
from broker.store.steps import Doubtful, Rows, Step, Steps, arrays

T = TypeVar("T")


class PostgresSteps:
    """On a connection of its own, at READ COMMITTED: what may not change until COMMIT is locked by the step that reads it."""

    locks_by_reading = True

    def __init__(self, db: Database) -> None:
        self._db = db
        self._connection: Connection | None = None

    def is_ready(self) -> bool:
        return False

    def at_once(self, steps: Steps[T]) -> T:
        raise NotImplementedError

    async def run(self, steps: Steps[T], *, singly: bool, asked_at: float) -> T:
        """One transaction. Raises what the steps raise, Clashed or Unavailable, and then nothing of it stays; or Doubtful."""
        with translated():
            connection = await self._begun()
            try:
                value = await _drive(connection, steps)
            except BaseException:
                await _undo(connection)
                raise
            try:
                await connection.execute("COMMIT")
            except LOST as error:
                connection.terminate()
                raise Doubtful(detail=f"COMMIT: {type(error).__name__}") from error
            return value

    async def close(self) -> None:
        if self._connection is not None:
            with suppress(*LOST):
                await self._connection.close(timeout=1)
            self._connection = None

    async def _begun(self) -> Connection:
        """The server may have been restarted since: then nothing was begun, and it is begun on another connection."""
        kept = self._connection
        if kept is not None and not kept.is_closed():
            try:
                await kept.execute("BEGIN")
            except LOST:
                kept.terminate()
            else:
                return kept
        self._connection = await connect(self._db.url, busy_ms=self._db.busy_ms)
        await self._connection.execute("BEGIN")
        return self._connection


async def _undo(connection: Connection) -> None:
    """A connection that cannot even say so must not be gone on with: what it has begun would be joined."""
    try:
        await connection.execute("ROLLBACK")
    except LOST:
        connection.terminate()


async def _drive(connection: Connection, steps: Steps[T]) -> T:
    waiting: Step | None = None
    try:
        step: Step = next(steps)
        while True:
            statement, params = step
            rows: Rows = []
            if not params or not statement.postgresql:
                pass
            elif statement.waits and waiting is None:
                waiting = step
            else:
                rows, waiting = await _said(connection, step, waiting), None
            step = steps.send(rows)
    except StopIteration as done:
        if waiting is not None:
            await _said(connection, waiting, None)
        value: T = done.value
        return value


async def _said(connection: Connection, step: Step, waiting: Step | None) -> Rows:
    """The rows of a step, once what waited for it is done; in one statement where both write."""
    statement, params = step
    sql, values = statement.postgresql, arrays(params)
    if waiting is not None:
        before, earlier = waiting[0].postgresql, arrays(waiting[1])
        if statement.reads:
            await connection.fetch(before, *earlier)
        else:
            sql, values = _both(before, len(earlier), sql), [*earlier, *values]
    return [tuple(row) for row in await connection.fetch(sql, *values)]


@cache
def _both(first: str, places: int, second: str) -> str:
    """Two writes as one statement, the parameters of the second after those of the first."""
    moved = re.sub(r"\$(\d+)", lambda place: f"${int(place[1]) + places}", second)
    return f"WITH first AS ({first}) {moved}"
