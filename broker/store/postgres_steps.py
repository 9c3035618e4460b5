"""Runs transactions made of steps on PostgreSQL: one statement a step, whatever the number of its rows."""

from contextlib import suppress
from typing import TypeVar

from broker.store.database import Database
from broker.store.postgresql import LOST, Connection
from broker.store.steps import Doubtful, Step, Steps, arrays

T = TypeVar("T")


class PostgresSteps:
    """At READ COMMITTED: what may not change until COMMIT is locked by the step that reads it."""

    locks_by_reading = True

    def __init__(self, db: Database) -> None:
        self._db = db

    async def run(self, steps: Steps[T]) -> T:
        """One transaction. Raises what the steps raise, Clashed or Unavailable, and then nothing of it stays; or Doubtful."""
        async with self._db.driver() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                value = await _drive(connection, steps)
            except BaseException:
                with suppress(*LOST):
                    await transaction.rollback()
                raise
            try:
                await transaction.commit()
            except LOST as error:
                raise Doubtful(detail=f"COMMIT: {type(error).__name__}") from error
            return value

    async def close(self) -> None:
        return None


async def _drive(connection: Connection, steps: Steps[T]) -> T:
    try:
        step: Step = next(steps)
        while True:
            statement, params = step
            found = await connection.fetch(statement.postgresql, *arrays(params)) if params else []
            step = steps.send([tuple(row) for row in found])
    except StopIteration as done:
        value: T = done.value
        return value
