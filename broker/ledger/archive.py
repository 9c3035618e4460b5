"""Old calls leave the database for a file; what they were charged stays behind, so that the counters still verify.

A row is on the disk in the file before it is deleted, so a crash in between leaves it in both: its id tells. The sums of
a batch are added in the transaction that deletes it. Roll-ups know of these calls already, and are not touched.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from broker.core.errors import BrokerError
from broker.ledger.archive_file import ArchiveFile
from broker.ledger.keys import load_keys
from broker.store import grant_tables, ledger_tables, sums
from broker.store.database import Database

TABLE_MODULES = (grant_tables, ledger_tables)
"""Named so that importing this module is importing the tables."""

_TABLES = SQLModel.metadata.tables
CALL, REFUSAL, SUM = _TABLES["reservation"], _TABLES["refusal"], _TABLES["archived_sum"]

PARENTS = 200
READ = 1_000
WRITE = 100
"""Rows a transaction: a few milliseconds in which nothing else is written."""
PAUSE = 0.02
"""Seconds between two such transactions, in which a server writes."""


class Changed(BrokerError):
    description = "A call changed while it was archived. It is still in the database: run cleanup again."


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows of one table; each belongs to a parent, by which and by its instant it is found in an index."""

    name: str
    table: Table
    parent: Table
    link: ColumnElement[str]
    old: Callable[[int], ColumnElement[bool]]

    def rows(self, parents: Any, until: int) -> Any:
        return parents.join(self.table, and_(self.link == parents.c.id, self.old(until)))


CALLS = Kind(
    "call",
    CALL,
    _TABLES["access"],
    CALL.c.access_id,
    lambda until: and_(CALL.c.admitted_at <= until, CALL.c.ended_at <= until, CALL.c.state != "held"),
)
REFUSALS = Kind("refusal", REFUSAL, _TABLES["grant"], REFUSAL.c.grant_id, lambda until: REFUSAL.c.at <= until)


async def count(db: Database, kind: Kind, until: int) -> int:
    """How many rows `archive` would move."""
    query = select(func.count()).select_from(kind.rows(kind.parent, until))

    async def work(connection: AsyncConnection) -> int:
        return int((await connection.execute(query)).scalar_one())

    return await db.read_core(work)


async def archive(db: Database, kind: Kind, until: int, file: ArchiveFile, pause: float = PAUSE) -> int:
    """Moves what ended up to an instant, in short transactions; gives the number of rows. Raises Changed."""
    moved = 0
    async for rows in _old(db, kind, until):
        file.write(kind.name, [row._asdict() for row in rows])
        for start in range(0, len(rows), WRITE):
            moved += await db.write_core(partial(_remove, kind=kind, rows=rows[start : start + WRITE]))
            await asyncio.sleep(pause)
    return moved


async def _old(db: Database, kind: Kind, until: int) -> AsyncIterator[Sequence[Row[Any]]]:
    """By parents in the order of their ids; the rows given must be gone before the next are asked for."""
    last = ""
    while True:
        some = select(kind.parent.c.id).where(kind.parent.c.id > last).order_by(kind.parent.c.id).limit(PARENTS)
        rows, end = await db.read_core(partial(_read, kind=kind, parents=some, until=until))
        if rows:
            yield rows
        if len(rows) < READ:
            if end is None:
                return
            last = end


async def _read(
    connection: AsyncConnection, kind: Kind, parents: Any, until: int
) -> tuple[Sequence[Row[Any]], str | None]:
    some = parents.subquery()
    rows = (await connection.execute(select(kind.table).select_from(kind.rows(some, until)).limit(READ))).all()
    return rows, (await connection.execute(select(func.max(some.c.id)))).scalar_one()


async def _remove(connection: AsyncConnection, kind: Kind, rows: Sequence[Row[Any]]) -> int:
    """Rows that another cleanup has removed are its own to count."""
    written = {row.id: tuple(row) for row in rows}
    gone = delete(kind.table).where(kind.table.c.id.in_(written)).returning(kind.table)
    removed = (await connection.execute(gone)).all()
    if any(written[row.id] != tuple(row) for row in removed):
        raise Changed
    if kind is CALLS:
        await _add_sums(connection, removed)
    return len(removed)


async def _add_sums(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> None:
    found: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: {"calls": 0, "settled": 0, "overrun": 0})
    for row in rows:
        for key in load_keys(row.charged):
            found[key]["calls"] += 1
            found[key]["settled"] += row.cost if key.is_money() else int(row.state == "settled")
            found[key]["overrun"] += row.overrun if key.is_money() else 0
    await sums.add(connection, SUM, found)
