"""broker backup and broker restore: the database, without the key that opens what is sealed in it."""

import asyncio
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from broker.cli.command import require_database, say, settings, wrong
from broker.core.counted import of_number
from broker.core.errors import NEWER, CannotStart, Unavailable

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from broker.settings import Settings
    from broker.store.database import Database
    from broker.store.restored import Ended

_ON_POSTGRESQL = "The database is on PostgreSQL: pg_dump and pg_restore do it there, and then broker restored."


def backup(file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not be there yet.")]) -> None:
    """Copy the database to a file, also while a server runs. The master key is not in it."""
    from broker.ops.folder import make_private
    from broker.store.copying import copy_database
    from broker.store.schema import revision_of

    chosen = settings()
    if chosen.is_on_postgresql:
        wrong(_ON_POSTGRESQL)
    require_database(chosen)
    if file.exists():
        wrong(f"{file} is there already.")
    make_private(chosen.data_dir)  # and with it whatever this process makes
    copy_database(chosen.database_file, file)
    say(f"{file}  {file.stat().st_size} bytes, schema {revision_of(file)}")
    say(f"The master key is not in it: keep a copy of {chosen.key_file} in another place.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What broker backup made.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The data directory; no database may be in it yet.")],
) -> None:
    """Put a backup into a data directory, with every token, code and session in it ended. What was spent since is not known there."""
    from broker.ops.folder import Lock, make_private, parent_lock

    chosen = settings().model_copy(update={"data_dir": folder})
    _require_ours(file)
    if chosen.database_file.exists():
        wrong(f"There is a database in {folder} already. Move it away first.")
    make_private(folder)
    lock = Lock.take(parent_lock(folder))
    try:
        ended = _put_back(file, chosen)
    finally:
        lock.release()
    say(f"{chosen.database_file}  {chosen.database_file.stat().st_size} bytes")
    say(_about_key(chosen))
    say(_words_of(ended))
    say(
        "What was spent, revoked or lowered after the backup was made is not in it: look at broker grant list before you serve."
    )


def restored() -> None:
    """End every token, code and session: what to do when an older database was put back by other means than broker restore."""
    from broker.cli.desk import at_desk

    say(_words_of(at_desk(lambda desk: _end(desk.db))))


def _put_back(file: Path, chosen: "Settings") -> "Ended":
    """It appears at its place when nothing in it lives any more that was given out."""
    from broker.start import open_database
    from broker.store import migrate
    from broker.store.copying import copy_database

    with TemporaryDirectory(prefix=".restore-", dir=chosen.data_dir) as name:
        beside = chosen.model_copy(update={"data_dir": Path(name)})
        copy_database(file, beside.database_file)
        migrate.upgrade(beside.database_file)
        ended = asyncio.run(_ended_in(open_database(beside)))
        copy_database(beside.database_file, chosen.database_file)
    return ended


async def _ended_in(db: "Database") -> "Ended":
    try:
        return await _end(db)
    finally:
        await db.close()


async def _end(db: "Database") -> "Ended":
    from broker.audit.record import OPERATOR, record
    from broker.start import system_clock
    from broker.store.restored import end_what_was_given_out

    async def work(tx: "AsyncSession") -> "Ended":
        now = system_clock()
        ended = await end_what_was_given_out(tx, now)
        await record(tx, now, "database.restored", OPERATOR, "", **ended._asdict())
        return ended

    return await db.write(work)


def _words_of(ended: "Ended") -> str:
    kinds = (
        (ended.access_tokens, "access token"),
        (ended.refresh_tokens, "refresh token"),
        (ended.sessions, "session"),
    )
    counts = ", ".join(f"{number} {of_number(number, noun)}" for number, noun in kinds)
    return f"Ended: {counts}, and all codes. Apps ask again, and people sign in again."


def _require_ours(file: Path) -> None:
    from broker.store import migrate
    from broker.store.schema import revision_of

    if not file.exists():
        wrong(f"There is no {file}.")
    try:
        revision = revision_of(file)
    except sqlite3.Error:
        revision = None
    if revision is None:
        wrong(f"{file} is no backup of a broker.")
    if not migrate.is_known(revision):
        raise CannotStart(NEWER)


def _about_key(chosen: "Settings") -> str:
    """Whether what is sealed can be opened here."""
    if not chosen.key_file.exists():
        return f"The master key belongs in {chosen.key_file}; without it no provider's key opens, and no server starts."
    try:
        asyncio.run(_open_check(chosen))
    except Unavailable:
        return f"The master key in {chosen.key_file} is not the one that this database was sealed with."
    return f"The master key in {chosen.key_file} opens it."


async def _open_check(chosen: "Settings") -> None:
    from broker.start import open_database
    from broker.vault.master_key import check_value_opens
    from broker.vault.ring import KeyFile
    from broker.vault.vault import Vault

    db, vault = open_database(chosen), Vault(KeyFile(chosen.key_file))
    try:
        await db.read(lambda tx: check_value_opens(tx, vault))
    finally:
        await db.close()
