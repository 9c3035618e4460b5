"""What the server and every command begin with: the clock, a private folder, a database of the present schema."""

import asyncio
import gc
import sqlite3
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any, TypeVar

from broker.core.errors import NEWER, CannotStart, Unavailable
from broker.ops.folder import Lock, make_private, parent_lock
from broker.settings import Settings
from broker.store import schema
from broker.store.database import Database, Turn, sqlite_url
from broker.vault.master_key import read_master_key

OLDER = "The database is older than this command and a server is running. Stop it, then run broker migrate."

UNREACHABLE = "The database of BROKER_DATABASE_URL cannot be reached."

T = TypeVar("T")


def system_clock() -> int:
    return time.time_ns() // 1000


def calm_collector() -> None:
    """What is there once a process serves stays there: looking through it again and again took a tenth of each call."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def open_database(settings: Settings, *, turn: Turn | None = None, autocheckpoint: bool = True) -> Database:
    """Inside `serve` the parent gives the turn to write, and moves the log into the database."""
    url = settings.database_url.reveal() or sqlite_url(settings.data_dir)
    return Database(url, synchronous=settings.sqlite_synchronous, turn=turn, autocheckpoint=autocheckpoint)


def look_over(settings: Settings) -> None:
    """The folder made private, and the key file judged before anything is written; raises CannotStart."""
    if settings.is_on_postgresql and find_spec("asyncpg") is None:
        raise CannotStart("BROKER_DATABASE_URL needs a driver. Run: pip install 'grant-broker[postgres]'")
    make_private(settings.data_dir)
    if settings.key_file.exists():
        read_master_key(settings.key_file)


def lock_folder(settings: Settings) -> Lock:
    """Raises FolderInUse."""
    return Lock.take(parent_lock(settings.data_dir))


def is_current(settings: Settings) -> bool:
    """Raises CannotStart when the schema is newer than this code, or the file no database."""
    revision = _revision(settings)
    if revision is None or revision == schema.HEAD:
        return revision is not None
    from broker.store import migrate  # alembic is slow to import, and rarely needed

    if not migrate.is_known(revision):
        raise CannotStart(NEWER)
    return False


def bring_up_to_date(settings: Settings, *, beside_others: bool = True) -> bool:
    """Migrates an older database, SQLite's with a backup beside it; to be called under the lock. False if nothing was to do.

    The lock keeps only the brokers of this machine away: what may not migrate beside others looks for their leases.
    """
    if is_current(settings):
        return False
    from broker.store import migrate

    if not settings.is_on_postgresql:
        return migrate.upgrade(settings.database_file)
    url = settings.database_url
    if (
        not beside_others
        and _revision(settings) is not None
        and asked(schema.is_served_at(url.reveal(), system_clock()))
    ):
        raise CannotStart(OLDER)
    return asked(migrate.upgrade_postgresql(url.reveal()))


def asked(question: Coroutine[Any, Any, T]) -> T:
    """What PostgreSQL answers, for code that runs before there is a loop, or in one that may wait. Raises CannotStart."""
    with ThreadPoolExecutor(1) as apart:
        try:
            return apart.submit(asyncio.run, question).result()
        except Unavailable as error:
            raise CannotStart(UNREACHABLE, detail=error.detail) from error


def _revision(settings: Settings) -> str | None:
    if settings.is_on_postgresql:
        return asked(schema.revision_at(settings.database_url.reveal()))
    try:
        return schema.revision_of(settings.database_file)
    except sqlite3.Error as error:
        raise CannotStart(f"The database {settings.database_file} cannot be read.", detail=str(error)) from error
