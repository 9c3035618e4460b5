"""The file that archived rows go to: JSON lines, compressed, private, and on the disk before anybody deletes a row."""

import gzip
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.core.clock import SECOND
from broker.core.strict_json import dumps


class ArchiveFile:
    """Made with the first row. Each `write` is a gzip member of its own, so that a crash spoils none before it."""

    def __init__(self, folder: Path, now: int) -> None:
        begun = datetime.fromtimestamp(now // SECOND, UTC)
        self.path = folder / f"calls-{begun:%Y%m%dT%H%M%S}.{now % SECOND:06d}Z.jsonl.gz"
        self._file: int | None = None

    def write(self, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """One line a row, an object with the kind of the row as its only member; returns once the disk has it."""
        lines = b"".join(dumps({kind: dict(row)}) + b"\n" for row in rows)
        whole = memoryview(gzip.compress(lines, mtime=0))
        if self._file is None:
            self._file = self._open()
        while whole:
            whole = whole[os.write(self._file, whole) :]
        os.fsync(self._file)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        # A file is there after a crash only if its name is on the disk, too, and the folder's own.
        for folder in (self.path.parent, self.path.parent.parent):
            _sync(folder)
        return file


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
