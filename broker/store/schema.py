"""Which schema a database has, asked without the machinery that migrates it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store.ledger_tables import LASTING

if TYPE_CHECKING:
    from broker.store.database import Database
    from broker.store.postgresql import Connection

HEAD = "0025"
"""The revision this code is written for: the last of the migrations."""

_QUESTION = "SELECT version_num FROM alembic_version"
_IS_SERVED = "SELECT EXISTS (SELECT 1 FROM boot WHERE id <> :lasting AND ended_at IS NULL AND lease_ends_at > :now)"


def revision_of(path: Path) -> str | None:
    """The revision of a database file; None while it has no schema."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        try:
            row = connection.execute(_QUESTION).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
    return None if row is None else str(row[0])


async def revision_at(url: str) -> str | None:
    """The revision of a PostgreSQL database; None while it has no schema. Raises Unavailable."""
    async with _asking(url) as connection:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            return None
        found = await connection.fetchval(_QUESTION)
        return None if found is None else str(found)


async def is_served_at(url: str, now: int) -> bool:
    """Whether a broker is alive on a PostgreSQL database that has a schema. Raises Unavailable."""
    async with _asking(url) as connection:
        live = _IS_SERVED.replace(":now", "$1").replace(":lasting", "$2")
        return bool(await connection.fetchval(live, now, LASTING))


async def is_served(db: "Database", now: int) -> bool:
    """The same of a database of either kind that is open."""
    live = {"now": now, "lasting": LASTING}
    return bool(await db.read_core(lambda connection: connection.scalar(text(_IS_SERVED), live)))


@asynccontextmanager
async def _asking(url: str) -> "AsyncIterator[Connection]":
    from broker.store import postgresql  # the driver is an extra

    with postgresql.translated():
        connection = await postgresql.connect(url, read_only=True)
        try:
            yield connection
        finally:
            await connection.close()


async def revision_now(db: "Database") -> str:
    """As `revision`, for those who look again and again."""
    return str(await db.glance(_QUESTION))


async def revision(tx: AsyncSession) -> str:
    """The revision of the database that is served right now."""
    connection = await tx.connection()
    return str((await connection.execute(text(_QUESTION))).scalar_one())
