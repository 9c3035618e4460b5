"""Runs transactions made of steps on PostgreSQL: one statement a step, whatever the number of its rows."""

from typing import TypeVar

from broker.store.database import Database
from broker.store.postgresql import Connection
from broker.store.steps import Step, Steps, arrays

T = TypeVar("T")


class PostgresSteps:
    """At READ COMMITTED: what may not change until COMMIT is locked by the step that reads it."""

    locks_by_reading = True

    def __init__(self, db: Database) -> None:
        self._db = db

    async def run(self, steps: Steps[T]) -> T:
        """One transaction. Raises what the steps raise, Clashed or Unavailable; then nothing of it stays."""
        async with self._db.driver() as connection, connection.transaction():
            return await _drive(connection, steps)

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
