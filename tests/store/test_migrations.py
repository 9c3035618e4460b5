"""The migrations make what the tables in code say."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from broker.store import migrate, schema


@pytest.fixture
def fresh(tmp_path: Path, migrated: Path) -> Path:
    return Path(shutil.copy(migrated, tmp_path / "broker.db"))


def test_a_new_database_is_what_the_tables_say(fresh: Path) -> None:
    engine = migrate.sync_engine(fresh)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), migrate.METADATA) == []
    engine.dispose()


def _tables_that_are_not_strict(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        lax = connection.execute("SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict").fetchall()
    return {name for (name,) in lax if not name.startswith("sqlite_")}


def test_every_table_is_strict_and_holds_texts_and_whole_numbers_only(fresh: Path) -> None:
    assert _tables_that_are_not_strict(fresh) == set()
    with closing(sqlite3.connect(fresh)) as connection:
        kinds = connection.execute(
            "SELECT DISTINCT c.type FROM pragma_table_list AS t, pragma_table_info(t.name) AS c"
            " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
        ).fetchall()
    assert {kind for (kind,) in kinds} == {"TEXT", "INTEGER"}


def go_back(connection: sqlite3.Connection, revision: str) -> None:
    """What later migrations make, and what a test has not taken away itself."""
    connection.execute("DROP TABLE rate_window")
    connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def test_an_older_database_becomes_strict_where_it_was_not(fresh: Path) -> None:
    with closing(sqlite3.connect(fresh)) as connection, connection:
        connection.executescript(
            "DROP TABLE alembic_version;"
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
            " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));"
            "INSERT INTO alembic_version VALUES ('')"
        )
        go_back(connection, "0023")
    assert migrate.upgrade(fresh)
    assert _tables_that_are_not_strict(fresh) == set()
    assert migrate.current(fresh) == schema.revision_of(fresh) == migrate.head()


def test_a_migrated_database_is_left_alone(fresh: Path) -> None:
    before = fresh.read_bytes()
    assert not migrate.upgrade(fresh)
    assert fresh.read_bytes() == before


def test_of_what_is_paused_the_trail_says_who_did(fresh: Path) -> None:
    with closing(sqlite3.connect(fresh)) as connection, connection:
        for number, (state, actors) in enumerate(
            [("paused", "operator"), ("paused", "p"), ("paused", "p operator"), ("active", "operator"), ("paused", "")]
        ):
            connection.execute(
                'INSERT INTO "grant" (id, user_id, client_id, state, origin, created_at, changed_at, ended_by, dpop_required)'
                " VALUES (?, ?, ?, ?, ?, 1, 1, '', 0)",
                (f"g{number}", "u", "c", state, "consent"),
            )
            for actor in actors.split():
                connection.execute(
                    "INSERT INTO audit_entry (seq, at, event, actor, object_id, details, digest)"
                    " SELECT count(*) + 1, 1, 'grant.paused', ?, ?, '{}', hex(randomblob(32)) FROM audit_entry",
                    (actor, f"g{number}"),
                )
        connection.execute('ALTER TABLE "grant" DROP COLUMN paused_by')
        go_back(connection, "0021")
    assert migrate.upgrade(fresh)
    with closing(sqlite3.connect(fresh)) as connection:
        told = connection.execute('SELECT paused_by FROM "grant" ORDER BY id').fetchall()
    assert [by for (by,) in told] == ["operator", "p", "operator", "", ""]


def test_what_is_kept_at_providers_stays_when_there_are_conversations_too(fresh: Path) -> None:
    kept = "INSERT INTO provider_object VALUES (?, 'openai', ?, 'g', 'a', 'c', 'm', 31, '{}', 1, NULL)"
    with closing(sqlite3.connect(fresh)) as connection, connection:
        connection.execute(kept, ("before", "response"))
        go_back(connection, "0022")
    assert migrate.upgrade(fresh)
    with closing(sqlite3.connect(fresh)) as connection:
        connection.execute(kept, ("since", "conversation"))
        with pytest.raises(sqlite3.IntegrityError, match="kind_known"):
            connection.execute(kept, ("never", "container"))
        told = connection.execute("SELECT digest, kind, tokens FROM provider_object ORDER BY digest").fetchall()
    assert told == [("before", "response", 31), ("since", "conversation", 31)]
