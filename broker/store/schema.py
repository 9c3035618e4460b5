"""Which schema a database has, asked without the machinery that migrates it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

HEAD = "0005"
"""The revision this code is written for: the last of the migrations."""

_QUESTION = "SELECT version_num FROM alembic_version"


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


async def revision(tx: AsyncSession) -> str:
    """The revision of the database that is served right now."""
    connection = await tx.connection()
    return str((await connection.execute(text(_QUESTION))).scalar_one())
