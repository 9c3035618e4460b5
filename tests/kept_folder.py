"""A data directory that was furnished once and is copied from then on: to hash a password takes longer than most tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class KeptFolder:
    """What a data directory held while nobody had it open."""

    files: dict[str, bytes]

    @classmethod
    def of(cls, folder: Path) -> Self:
        found = sorted(folder.iterdir()) if folder.exists() else []
        return cls({path.name: path.read_bytes() for path in found if path.name != "lock"})

    def copy_to(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(content)
