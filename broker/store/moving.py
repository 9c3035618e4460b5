"""Copies an SQLite installation into an empty PostgreSQL database: all of it, proved, in one transaction, or nothing."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import BrokerError, Unavailable
from broker.store import migrate, postgresql
from broker.store.engines import postgresql_engine
from broker.store.postgresql import Connection

BATCH = 2_000
_CHANGE = "change"
"""Its one row is made by the migration; here it only moves on."""
_KEPT = {"alembic_version", _CHANGE}

Prove = Callable[[AsyncSession], Awaitable[str]]
"""Gives the first fault of the books, or nothing."""
Row = tuple[Any, ...]


class NotMoved(BrokerError):
    """The first thing wrong; nothing of what was copied stays."""


@dataclass(slots=True)
class Tally:
    """How many rows there are, and a sum over what each of them holds, in whatever order they come."""

    rows: int = 0
    sum: int = 0

    def add(self, row: Row) -> None:
        self.rows += 1
        self.sum = (self.sum + int.from_bytes(sha256(repr(row).encode()).digest(), "big")) % 2**256


async def move(source: Path, url: str, prove: Prove) -> dict[str, int]:
    """The number of rows of each table. The source has the present schema and nobody writes to it. Raises NotMoved."""
    engine = postgresql_engine(url, pool_size=1, busy_ms=migrate.TURN_MS, statement_ms=0)
    try:
        with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old:
            async with engine.begin() as new:
                await _refuse_unless_empty(await _driver(new))
                await new.run_sync(migrate.upgraded)
                moved = {table.name: await _moved(old, await _driver(new), table) for table in _tables()}
                await _go_on(old, await _driver(new))
                async with AsyncSession(new) as tx:
                    fault = await prove(tx)
                if fault:
                    raise NotMoved(f"What was copied does not hold: {fault}")
                return moved
    except (Unavailable, DBAPIError) as error:
        detail = error.detail if isinstance(error, Unavailable) else str(error.orig)
        raise NotMoved("The database of --to does not answer, or refuses.", detail=detail) from error
    finally:
        await engine.dispose()


def _tables() -> list[Table]:
    """Those that others refer to first."""
    return [table for table in migrate.METADATA.sorted_tables if table.name != _CHANGE]


async def _driver(connection: AsyncConnection) -> Connection:
    found: Connection = (await connection.get_raw_connection()).driver_connection
    return found


async def _refuse_unless_empty(new: Connection) -> None:
    names = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema() AND tablename <> ALL($1)"
    for (name,) in await new.fetch(names, list(_KEPT)):
        if await new.fetchval(f"SELECT EXISTS (SELECT 1 FROM {name})"):  # noqa: S608 - quoted by the database
            raise NotMoved(f"The database of --to is not empty: its table {name} has rows.")
    if await new.fetchval("SELECT to_regclass('alembic_version')") is not None:
        revision = await new.fetchval("SELECT version_num FROM alembic_version")
        if revision is not None and not migrate.is_known(revision):
            raise NotMoved("The database of --to was made by a newer version of Broker.")


async def _moved(old: sqlite3.Connection, new: Connection, table: Table) -> int:
    columns = [column.name for column in table.columns]
    told, sent, kept = ", ".join(f'"{name}"' for name in columns), Tally(), Tally()
    rows = old.execute(f'SELECT {told} FROM "{table.name}" {_as_made(table)}')  # noqa: S608 - our own names
    try:
        for batch in _batches(_counted(rows, sent)):
            with postgresql.translated():
                await new.copy_records_to_table(table.name, records=batch, columns=columns)
    except (Unavailable, *postgresql.Broken, sqlite3.Error) as error:
        detail = error.detail if isinstance(error, Unavailable) else str(error)
        raise NotMoved(f"The rows of {table.name} could not be copied.", detail=detail) from error
    async for row in new.cursor(f'SELECT {told} FROM "{table.name}"', prefetch=BATCH):  # noqa: S608 - our own names
        kept.add(tuple(row))
    if kept != sent:
        raise NotMoved(f"The table {table.name} is not what it was: {sent.rows} rows were sent, {kept.rows} are there.")
    return kept.rows


def _as_made(table: Table) -> str:
    """In the order they were made: a row may refer to an older one of its own table. One without rowid never does."""
    return "ORDER BY rowid" if table.dialect_options["sqlite"]["with_rowid"] else ""


def _counted(rows: Iterable[Row], tally: Tally) -> Iterator[Row]:
    for row in rows:
        tally.add(row)
        yield row


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


async def _go_on(old: sqlite3.Connection, new: Connection) -> None:
    """Numbers given out by the database, and those of changes, go on where they were."""
    for table in _tables():
        (key, *more) = table.primary_key.columns
        if not more and table.autoincrement_column is key:
            sequence = await new.fetchval("SELECT pg_get_serial_sequence($1, $2)", f'"{table.name}"', key.name)
            last = await new.fetchval(f'SELECT max("{key.name}") FROM "{table.name}"')  # noqa: S608 - our own names
            await new.fetchval("SELECT setval($1::text::regclass, $2, $3)", sequence, last or 1, last is not None)
    ((count, epoch),) = old.execute("SELECT count, epoch FROM change").fetchall()
    await new.execute("UPDATE change SET count = $1, epoch = $2", count + 1, epoch + 1)
