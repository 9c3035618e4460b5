"""The data directory: readable by its owner only, and one server at a time."""

import fcntl
import os
from pathlib import Path
from typing import Self

from broker.core.errors import CannotStart


class FolderInUse(CannotStart):
    """Another process holds the lock."""


def make_private(folder: Path) -> None:
    """Makes the directory if need be, for its owner only; every file made later by this process is private, too."""
    os.umask(0o077)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise CannotStart(f"The data directory {folder} cannot be used ({error.strerror}).") from error


class Lock:
    """A lock on a file of the data directory; the kernel gives it back when its last holder dies."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def take(cls, path: Path, *, shared: bool = False) -> Self:
        """Raises FolderInUse at once when another process holds it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise FolderInUse(f"A broker is already running in {path.parent}.") from error
        return cls(descriptor)

    def release(self) -> None:
        """Closes our end; a child that inherited the descriptor goes on holding it."""
        os.close(self.descriptor)


def parent_lock(folder: Path) -> Path:
    """Held by the parent of a running server, or by a command while it migrates."""
    return folder / "lock"


def workers_lock(folder: Path) -> Path:
    """Shared by the workers of a server, which may outlive their parent for a moment."""
    return folder / "workers.lock"
