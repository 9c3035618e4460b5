"""What the server and every command begin with: the clock, a private folder, a database of the present schema."""

import sqlite3
import time

from broker.core.errors import CannotStart
from broker.ops.folder import Lock, make_private, parent_lock
from broker.settings import Settings
from broker.store import schema
from broker.store.database import Database, sqlite_url
from broker.vault.master_key import read_master_key

NEWER = "The database was written by a newer version of Broker. Install that version, or a newer one."
OLDER = "The database is older than this command and a server is running. Stop it, then run broker migrate."


def system_clock() -> int:
    return time.time_ns() // 1000


def open_database(settings: Settings) -> Database:
    return Database(sqlite_url(settings.data_dir), synchronous=settings.sqlite_synchronous)


def look_over(settings: Settings) -> None:
    """The folder made private, and the key file judged before anything is written; raises CannotStart."""
    make_private(settings.data_dir)
    if settings.key_file.exists():
        read_master_key(settings.key_file)


def lock_folder(settings: Settings) -> Lock:
    """Raises FolderInUse."""
    return Lock.take(parent_lock(settings.data_dir))


def is_current(settings: Settings) -> bool:
    """Raises CannotStart when the schema is newer than this code, or the file no database."""
    try:
        revision = schema.revision_of(settings.database_file)
    except sqlite3.Error as error:
        raise CannotStart(f"The database {settings.database_file} cannot be read.", detail=str(error)) from error
    if revision is None or revision == schema.HEAD:
        return revision is not None
    from broker.store import migrate  # alembic is slow to import, and rarely needed

    if not migrate.is_known(revision):
        raise CannotStart(NEWER)
    return False


def bring_up_to_date(settings: Settings) -> bool:
    """Migrates an older database, with a backup beside it; to be called under the lock. False if nothing was to do."""
    if is_current(settings):
        return False
    from broker.store import migrate

    return migrate.upgrade(settings.database_file)
