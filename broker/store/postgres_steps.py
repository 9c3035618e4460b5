"""Runs transactions made of steps on PostgreSQL: one statement a step, whatever the number of its rows."""

import re
from contextlib import suppress
from functools import cache
from time import monotonic
from typing import TypeVar

from broker.store.database import Database
from broker.store.postgresql import LOST, Connection, connect, translated
from broker.store.steps import Clashed, Doubtful, Rows, Step, Steps, arrays

T = TypeVar("T")

LONGEST_SECONDS = 10.0
"""What a transaction was judged by may have changed long ago, when it took longer until it had all its locks."""


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
        began = monotonic()
        with translated():
            connection = await self._begun()
            try:
                value = await _drive(connection, steps)
                if monotonic() - began > LONGEST_SECONDS:
                    raise Clashed(detail="the transaction took too long")
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
    waiting: list[Step] = []
    try:
        step: Step = next(steps)
        while True:
            statement, params = step
            rows: Rows = []
            if not params or not statement.postgresql:
                pass
            elif statement.waits:
                waiting.append(step)
            else:
                rows, waiting = await _said(connection, step, waiting), []
            step = steps.send(rows)
    except StopIteration as done:
        if waiting:
            *before, last = waiting
            await _said(connection, last, before)
        value: T = done.value
        return value


async def _said(connection: Connection, step: Step, waiting: list[Step]) -> Rows:
    """The rows of a step, once what waited for it is done; in one statement where it writes, too."""
    statement, params = step
    sql, values = statement.postgresql, arrays(params)
    earlier = [(before.postgresql, arrays(rows)) for before, rows in waiting]
    if statement.reads:
        for each, its_values in earlier:
            await connection.fetch(each, *its_values)
    elif earlier:
        sql = _together(tuple((each, len(its_values)) for each, its_values in earlier), sql)
        values = [value for _, its_values in earlier for value in its_values] + values
    return [tuple(row) for row in await connection.fetch(sql, *values)]


@cache
def _together(writes: tuple[tuple[str, int], ...], last: str) -> str:
    """Writes, each with the number of its parameters, as one statement with the last of them."""
    parts, taken = [], 0
    for number, (sql, places) in enumerate(writes):
        parts.append(f"write_{number} AS ({_moved(sql, taken)})")
        taken += places
    return f"WITH {', '.join(parts)} {_moved(last, taken)}"


def _moved(sql: str, places: int) -> str:
    """Its parameters after so many of others."""
    return re.sub(r"\$(\d+)", lambda place: f"${int(place[1]) + places}", sql)
