"""A whole database file copied while others write to the original: what was committed when the copy began, and no more."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from broker.core.errors import BrokerError

TURN_SECONDS = 10.0
"""How long a copy waits for its first look at a database that is being recovered or closed."""


class NotCopied(BrokerError):
    """There is no copy, and nothing at its place that was not there before."""


def copy_database(source: Path, target: Path) -> None:
    """Makes `target`, which must not be there; looked through and on the disk when it appears. Raises NotCopied."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _copy(source, unfinished)
        _appear(unfinished, target)
    except FileExistsError as error:
        raise NotCopied(f"{target} is there already.") from error
    except (OSError, sqlite3.Error) as error:
        raise NotCopied(f"{source} cannot be copied to {target}.", detail=str(error)) from error
    finally:
        for left in (unfinished, unfinished.with_name(f"{unfinished.name}-journal")):
            left.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    address = f"{source.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=TURN_SECONDS)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        # A look of its own gives up after a while: a copy would wait for as long as the other process does.
        old.execute("BEGIN")
        old.execute("SELECT 1 FROM sqlite_master").fetchone()
        # In one step, so that no writer comes between and makes it begin anew.
        old.backup(new, pages=-1)
        # One file, wherever it is carried to: a server that takes it goes back to the log by itself.
        new.execute("PRAGMA journal_mode=DELETE")
        [(found,)] = new.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise NotCopied(f"{source} is damaged.", detail=str(found))


def _appear(unfinished: Path, target: Path) -> None:
    """Under its name at once and whole, and never over another file; raises FileExistsError."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    os.link(unfinished, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system keeps the names of a folder by themselves
            os.fsync(folder)
    finally:
        os.close(folder)
