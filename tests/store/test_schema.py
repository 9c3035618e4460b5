"""Asking a database which schema it has."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from broker.store import migrate, schema
from broker.store.database import Database, sqlite_url


def test_the_revision_this_code_is_written_for_is_the_last_migration() -> None:
    assert migrate.head() == schema.HEAD


def test_a_file_that_is_not_there_has_none_and_is_not_made(tmp_path: Path) -> None:
    assert schema.revision_of(tmp_path / "broker.db") is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_tables_has_none(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "broker.db").close()
    assert schema.revision_of(tmp_path / "broker.db") is None


async def test_both_ways_of_asking_say_the_same(tmp_path: Path, migrated: Path) -> None:
    path = Path(shutil.copy(migrated, tmp_path / "broker.db"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    db = Database(sqlite_url(tmp_path))
    assert schema.revision_of(path) == await db.read(schema.revision) == "9999"
    await db.close()
