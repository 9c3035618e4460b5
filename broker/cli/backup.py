"""broker backup and broker restore: the database, without the key that opens what is sealed in it."""

import asyncio
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from broker.cli.command import say, settings, wrong
from broker.core.errors import CannotStart, Unavailable

if TYPE_CHECKING:
    from broker.settings import Settings

_ON_POSTGRESQL = "The database is on PostgreSQL: pg_dump and pg_restore do it there."


def backup(file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not be there yet.")]) -> None:
    """Copy the database to a file, also while a server runs. The master key is not in it."""
    from broker.ops.folder import make_private
    from broker.store.copying import copy_database
    from broker.store.schema import revision_of

    chosen = settings()
    if chosen.is_on_postgresql:
        wrong(_ON_POSTGRESQL)
    if not chosen.database_file.exists():
        wrong(f"There is no database in {chosen.data_dir}.")
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
    """Put a backup into a data directory. What was revoked or spent since then is not known there."""
    from broker.ops.folder import Lock, make_private, parent_lock
    from broker.store.copying import copy_database

    chosen = settings().model_copy(update={"data_dir": folder})
    _require_ours(file)
    if chosen.database_file.exists():
        wrong(f"There is a database in {folder} already. Move it away first.")
    make_private(folder)
    lock = Lock.take(parent_lock(folder))
    try:
        copy_database(file, chosen.database_file)
    finally:
        lock.release()
    say(f"{chosen.database_file}  {chosen.database_file.stat().st_size} bytes")
    say(_about_key(chosen))
    say(
        "What was spent, revoked or lowered after the backup was made is not in it: look at broker grant list before you serve."
    )


def _require_ours(file: Path) -> None:
    from broker.start import NEWER
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
