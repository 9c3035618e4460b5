"""A transaction as steps without I/O: it yields statements and is sent rows, so that one text of it runs on every store."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from broker.core.errors import Unavailable

T = TypeVar("T")
Params = Sequence[tuple[Any, ...]]
Rows = list[tuple[Any, ...]]


class Clashed(Unavailable):
    """Two transactions stood in each other's way and this one was undone: it may be tried again."""


class Doubtful(Unavailable):
    """The answer to COMMIT was lost: the transaction is whole, done or not."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement for many rows of parameters; what it gives is the rows of them all."""

    sqlite: str
    """Run once for each row of parameters: there is no way to the database to save. Empty for what only PostgreSQL is asked."""
    postgresql: str
    """Run once for all rows: its parameters are arrays. Empty for what only SQLite can tell."""
    echo: int | None = None
    """Of a write that tells what it changed: the place of the parameter that it gives for each row changed.

    On SQLite the count of rows says it: RETURNING would cost as much again as the write.
    """
    reads: bool = False
    waits: bool = False
    """Of a write that gives nothing: on PostgreSQL it goes with the next write, of another table, and so has no way of its own."""


Step = tuple[Statement, Params]
Steps = Generator[Step, Rows, T]

_TYPES = {"t": "text", "n": "bigint"}


def reading(sql: str, types: str) -> Statement:
    """A SELECT with a question mark for each parameter; `types` has a letter for each, t for text and n for a number.

    Its rows come in the order of the parameters that they answer.
    """
    if not types:
        return Statement(sql, sql, reads=True)
    places = _unnested(types, ordinality=True)
    grouped = f"SELECT x.* FROM {places}, LATERAL ({_named(sql)}) AS x ORDER BY v.place"
    return Statement(sql, grouped, reads=True)


def updating(table: str, changes: str, where: str, types: str, *, echo: int) -> Statement:
    """An UPDATE of at most one row for each row of parameters."""
    parts = _named(f"{changes} WHERE {where}").split(" WHERE ", 1)
    return Statement(
        f'UPDATE "{table}" SET {changes} WHERE {where}',
        f'UPDATE "{table}" SET {parts[0]} FROM {_unnested(types)} WHERE {parts[1]} RETURNING v.p{echo + 1}',
        echo,
    )


def inserting(
    table: str,
    columns: Sequence[str],
    types: str,
    *,
    once: bool = False,
    always: Mapping[str, str] = {},
    waits: bool = False,
) -> Statement:
    """An INSERT; with `once` a row that is there already is left alone, and not among those given back.

    `always` has the columns that are the same in all rows, with what SQL says of them.
    """
    names = ", ".join(f'"{column}"' for column in (*columns, *always))
    tail = " ON CONFLICT DO NOTHING" if once else ""
    marks = ", ".join([*("?" for _ in columns), *always.values()])
    given = ", ".join(["*", *always.values()])
    return Statement(
        f'INSERT INTO "{table}" ({names}) VALUES ({marks}){tail}',
        f'INSERT INTO "{table}" ({names}) SELECT {given} FROM {_unnested(types)}{tail}'
        + (" RETURNING 1" if once else ""),
        0 if once else None,
        waits=waits,
    )


def shared(statement: Statement, tail: str = "") -> Statement:
    """What is asked only where several brokers share the database."""
    return replace(statement, sqlite="", postgresql=f"{statement.postgresql} {tail}".rstrip())


def arrays(params: Params) -> list[tuple[Any, ...]]:
    """Rows of parameters as one array for each parameter."""
    return list(zip(*params, strict=True))


async def run_steps(connection: AsyncConnection, steps: Steps[T]) -> T:
    """Runs steps in a transaction that is open already."""
    on_sqlite = connection.dialect.name == "sqlite"
    rows: Rows = []
    try:
        step = next(steps)
        while True:
            statement, params = step
            rows = []
            for each in _calls(statement, params, on_sqlite=on_sqlite):
                result = await connection.exec_driver_sql(*each)
                if result.returns_rows:
                    rows += [tuple(row) for row in result]
                elif statement.echo is not None and result.rowcount:
                    rows.append((each[1][statement.echo],))
            step = steps.send(rows)
    except StopIteration as done:
        value: T = done.value
        return value


def _calls(statement: Statement, params: Params, *, on_sqlite: bool) -> Iterable[tuple[str, tuple[Any, ...]]]:
    if on_sqlite:
        return [(statement.sqlite, each) for each in params]
    return [(statement.postgresql, tuple(arrays(params)))] if params else []


def _unnested(types: str, *, ordinality: bool = False) -> str:
    casts = ", ".join(f"${place}::{_TYPES[kind]}[]" for place, kind in enumerate(types, 1))
    names = ", ".join(f"p{place}" for place in range(1, len(types) + 1))
    return f"unnest({casts}) WITH ORDINALITY AS v({names}, place)" if ordinality else f"unnest({casts}) AS v({names})"


def _named(sql: str) -> str:
    places = count(1)
    head, *rest = sql.split("?")
    return head + "".join(f"v.p{next(places)}{part}" for part in rest)
