"""The two stores, for tests that hold on each of them: a fresh database of the newest schema for every test."""

import asyncio
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest

from broker.start import asked
from broker.store import migrate, postgresql
from broker.store.database import Database, sqlite_url
from tests import postgresql_server

ANOTHER = "BROKER_TEST_DATABASE_URL"
"""The address of a server to be used instead of the one the tests start; its user must be able to make databases."""


_KEEPERS: list["subprocess.Popen[bytes]"] = []
_END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}"
_EMPTY = "; ".join(
    [
        f"{_END_ALL.format('current_database()')} AND pid <> pg_backend_pid()",
        "TRUNCATE audit_entry",  # from which nothing can be deleted
        *(f'DELETE FROM "{table.name}"' for table in reversed(migrate.METADATA.sorted_tables)),
        "INSERT INTO change (id, count, epoch) VALUES (1, 0, 0)",
        "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences",
    ]
)

PAGES = "TEST_PAGES_ON"
PATIENCE_MS = 60_000


@asynccontextmanager
async def beside(db: Database) -> AsyncIterator[postgresql.Connection]:
    """A connection to the same PostgreSQL that no part of the program knows of."""
    connection = await postgresql.connect(db.url)
    try:
        with postgresql.translated():
            yield connection
    finally:
        with suppress(*postgresql.LOST):
            await connection.close(timeout=5)


class Broom:
    """A connection that is kept from test to test, in a loop of its own: a new one would have to look up every table."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        self._connection: postgresql.Connection | None = None

    def tell(self, statements: str) -> None:
        with ThreadPoolExecutor(1) as apart:  # the test may have a loop of its own here
            apart.submit(self._runner.run, self._told(statements)).result()

    def put_away(self) -> None:
        with ThreadPoolExecutor(1) as apart:
            apart.submit(self._end).result()

    async def _told(self, statement: str) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await postgresql.connect(self._url, busy_ms=PATIENCE_MS, statement_ms=0)
        await self._connection.execute(statement)

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._runner.close()


@dataclass(slots=True)
class Store:
    url: str
    server: str = ""
    template: Path | None = None
    broom: Broom | None = None
    is_spoiled: bool = False
    """Set by a test that leaves more behind than rows."""

    @property
    def _file(self) -> Path:
        return Path(urlsplit(self.url).path[1:])

    @property
    def is_postgresql(self) -> bool:
        return self.url.startswith(postgresql.SCHEME)

    def clear(self) -> None:
        """As it was when the test began; to be called while nobody has it open."""
        if self.template is not None:
            shutil.copy(self.template, self._file)
            return
        self._tell(_EMPTY)

    def fill(self, rows: str) -> None:
        """By statements that are right for both; to be called while nobody has it open."""
        if self.is_postgresql:
            self._tell(rows)
            return
        with closing(sqlite3.connect(self._file)) as connection:
            connection.executescript(f"PRAGMA synchronous=OFF; BEGIN; {rows}; COMMIT")

    def _tell(self, statements: str) -> None:
        self.broom = self.broom or Broom(self.url)
        self.broom.tell(statements)

    def drop(self) -> None:
        if self.broom is not None:
            self.broom.put_away()
        asked(_told(self.server, f"DROP DATABASE {_name(self.url)} WITH (FORCE)"))

    def take_down(self) -> None:
        """From now on it answers nobody."""
        if not self.is_postgresql:
            self._file.write_bytes(b"this is no database" * 100)
            return
        self.is_spoiled = True
        asked(_told(self.server, f"ALTER DATABASE {_name(self.url)} ALLOW_CONNECTIONS false"))
        asked(_told(self.server, _END_ALL.format(f"'{_name(self.url)}'")))

    def open(self, **options: Any) -> Database:
        return Database(self.url, **({"synchronous": "normal"} | options))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the newest schema, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "broker.db"
    migrate.upgrade(path)
    return path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a PostgreSQL server, the same for all workers of this run."""
    if ANOTHER in os.environ:
        return os.environ[ANOTHER]
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    place = tmp_path_factory.getbasetemp().parent if is_worker else tmp_path_factory.getbasetemp()
    with (place / "postgresql.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = place / "postgresql.folder"
        if not note.exists():
            note.write_text(str(_started(os.getppid() if is_worker else os.getpid())), "utf-8")
    return postgresql_server.address(Path(note.read_text("utf-8")))


@pytest.fixture(scope="session")
def kept(server: str) -> Iterator[list[Store]]:
    """The database that the tests of this worker use one after the other: making one takes a second of a busy machine."""
    stores: list[Store] = []
    yield stores
    for store in stores:
        store.drop()


@pytest.fixture
def empty_postgresql(server: str) -> Iterator[str]:
    """The address of a database without a schema."""
    with database(server) as url:
        yield url


@pytest.fixture
def fresh_postgresql(server: str, kept: list[Store]) -> Iterator[Store]:
    """The newest schema without a row of anybody."""
    if not kept:
        store = Store(_made(server), server)
        asked(migrate.upgrade_postgresql(store.url))
        kept.append(store)
    yield kept[0]
    if kept[0].is_spoiled:
        kept.pop().drop()
    else:
        kept[0].clear()


@pytest.fixture
def fresh_sqlite(migrated: Path, tmp_path: Path) -> Store:
    shutil.copy(migrated, tmp_path / "broker.db")
    return Store(sqlite_url(tmp_path), template=migrated)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store:
    """What asks for it is run once on each store."""
    chosen: Store = request.getfixturevalue(f"fresh_{request.param}")
    return chosen


@pytest.fixture
def page_store(request: pytest.FixtureRequest) -> Store:
    """For tests of what is above the store: SQLite, or the other one where the environment asks for it."""
    chosen: Store = request.getfixturevalue(f"fresh_{os.environ.get(PAGES, 'sqlite')}")
    return chosen


def _started(session: int) -> Path:
    """In a folder with a short name: the path of a socket holds some hundred bytes."""
    folder = Path(tempfile.mkdtemp(prefix="broker-"))
    checkout = Path(__file__).parents[1]
    keeper = [sys.executable, "-m", postgresql_server.__name__, str(folder), str(session)]
    _KEEPERS.append(subprocess.Popen(keeper, cwd=checkout, start_new_session=True, stdin=subprocess.DEVNULL))
    postgresql_server.wait_until_up(folder)
    return folder


@contextmanager
def database(server: str) -> Iterator[str]:
    """The address of an empty one, for as long as it is needed."""
    url = _made(server)
    try:
        yield url
    finally:
        asked(_told(server, f"DROP DATABASE {_name(url)} WITH (FORCE)"))


def _made(server: str) -> str:
    name = f"test_{uuid4().hex}"
    asked(_told(server, f"CREATE DATABASE {name}"))
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


async def _told(server: str, statement: str) -> None:
    connection = await postgresql.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
