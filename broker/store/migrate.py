"""Brings a database to the schema that this code is written for."""

import sqlite3
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlmodel import SQLModel

from broker.store import grant_tables, ledger_tables, limit_tables, object_tables, pool_tables, tables, token_tables
from broker.store.copying import copy_database
from broker.store.database import BUSY_MS
from broker.store.engines import postgresql_engine

SCRIPTS = Path(__file__).parent / "migrations"
METADATA = SQLModel.metadata
TABLE_MODULES = (tables, grant_tables, ledger_tables, limit_tables, object_tables, pool_tables, token_tables)
"""Named so that importing this module is importing every table."""

TURN_MS = 60_000
"""How long migrating waits for the brokers that write to the same database of PostgreSQL."""


def head() -> str:
    """The revision this code is written for."""
    return _scripts().get_current_head() or ""


def current(path: Path) -> str | None:
    """The revision of a database file; None while it has no schema."""
    if not path.exists():
        return None
    engine = sync_engine(path)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def is_known(revision: str) -> bool:
    """Whether a revision belongs to this code, or to a newer one."""
    return revision in {script.revision for script in _scripts().walk_revisions()}


def upgrade(path: Path) -> bool:
    """Migrates a database file, with a backup beside it if there was anything in it; False if nothing was to do."""
    before = current(path)
    if before == head():
        return False
    if before is not None:
        _back_up(path, before)
    engine = sync_engine(path)
    try:
        with engine.connect() as connection, connection.begin():
            _run(connection)
    finally:
        engine.dispose()
    return True


async def upgrade_postgresql(url: str) -> bool:
    """Migrates in one transaction, in its turn among all that write there; False if nothing was to do.

    There is no backup: one that would be worth its name is the server's own.
    """
    engine = postgresql_engine(url, pool_size=1, busy_ms=TURN_MS, statement_ms=0)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(upgraded)
    finally:
        await engine.dispose()


def upgraded(connection: Connection) -> bool:
    if MigrationContext.configure(connection).get_current_revision() == head():
        return False
    _run(connection)
    return True


def sync_engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _run(connection: Connection) -> None:
    scripts = _scripts()
    if connection.dialect.name == "sqlite":
        _make_strict(connection)

    def steps(revision: object, _context: object) -> object:
        return scripts._upgrade_revs("head", revision)  # type: ignore[arg-type]  # noqa: SLF001 - alembic's own command does this

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=METADATA)
        environment.run_migrations()


def _make_strict(connection: Connection) -> None:
    """The one table that is alembic's own, which would make it like no other here."""
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT NOT NULL PRIMARY KEY) STRICT")
    if revision is not None:
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (revision,))


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(SCRIPTS))


def _back_up(path: Path, revision: str) -> None:
    """Over what an earlier attempt has left."""
    beside = path.with_name(f"{path.name}.before-{revision}")
    beside.unlink(missing_ok=True)
    copy_database(path, beside)
