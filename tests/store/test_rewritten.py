"""What SQLite knows of a table after a constraint was taken out of its text."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from sqlite3 import SQLITE_DENY, SQLITE_OK

import pytest
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event

from broker.store import migrate

_KEYS = "SELECT \"from\" FROM pragma_foreign_key_list('reservation') ORDER BY 1"


def test_a_call_names_its_token_without_a_foreign_key(tmp_path: Path, migrated: Path) -> None:
    fresh = Path(shutil.copy(migrated, tmp_path / "broker.db"))
    with closing(sqlite3.connect(fresh)) as connection:
        assert [key for (key,) in connection.execute(_KEYS)] == [
            "access_id",
            "boot_id",
            "credential_id",
            "grant_id",
            "user_id",
        ]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (trigger,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'usage_noted'").fetchone()
        assert trigger == 1


def test_the_key_may_come_back_and_go_again(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    migrate.upgrade(path)
    before = _table(path)
    assert "fk_reservation_jti" not in before
    _back(path, "0005")
    assert "fk_reservation_jti" in _table(path)
    migrate.upgrade(path)
    assert _table(path) == before


def test_a_library_that_defends_its_schema_keeps_the_key(tmp_path: Path) -> None:
    def defend(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_authorizer(lambda _action, what, *_: SQLITE_DENY if what == "writable_schema" else SQLITE_OK)

    event.listen(Engine, "connect", defend)
    try:
        migrate.upgrade(tmp_path / "broker.db")
    finally:
        event.remove(Engine, "connect", defend)
    assert migrate.current(tmp_path / "broker.db") == migrate.head()
    assert "fk_reservation_jti" in _table(tmp_path / "broker.db")


def _back(path: Path, revision: str) -> None:
    scripts = ScriptDirectory(str(migrate.SCRIPTS))

    def steps(now: object, _context: object) -> object:
        return scripts._downgrade_revs(revision, now)  # type: ignore[arg-type]

    engine = migrate.sync_engine(path)
    environment = EnvironmentContext(Config(), scripts, fn=steps)
    with engine.connect() as connection, connection.begin(), environment:
        environment.configure(connection=connection, target_metadata=migrate.METADATA)
        environment.run_migrations()
    engine.dispose()


def _table(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT sql FROM sqlite_master WHERE name = 'reservation'").fetchone()[0])


def test_the_words_of_a_call_are_said_one_by_one_and_no_others_are_taken(tmp_path: Path, migrated: Path) -> None:
    path = tmp_path / "broker.db"
    migrate.upgrade(path)
    since = _table(path)
    assert " IN ('held'" not in since
    _back(path, "0023")
    assert "state IN ('held', 'settled', 'released')" in _table(path)
    migrate.upgrade(path)
    assert _table(path) == since
    with closing(sqlite3.connect(Path(shutil.copy(migrated, tmp_path / "another.db")))) as connection:
        for column, word in (("state", "lost"), ("mark", "lost")):
            with pytest.raises(sqlite3.IntegrityError, match=f"ck_reservation_{column}_known"):
                connection.execute(_CALL.format(**{"state": "settled", "mark": "reported", column: word}))
        connection.execute(_CALL.format(state="settled", mark="reported"))


_CALL = (
    "INSERT INTO reservation VALUES ('res_1', 'g', 'a', 'j', 'u', 'c', 'openai', 'm', 'chat', 0, '{state}', '{mark}', 5, '[]', "
    "'', 0, 0, 0, 'b', 1, 2, 0, 0, 0, 0, 0, 0, 200, 'ok', 1, 0, '')"
)
