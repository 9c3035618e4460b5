"""The master keys of the file, one a line: the first seals, and all of them open what they have sealed."""

import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from broker.core.errors import CannotStart, Unavailable
from broker.ops.swap import swap_in
from broker.vault.vault import KEY_BYTES, MasterKey

_NEXT = b"next "
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Ring:
    """`following` opens already and seals not yet: it is being brought to the other brokers."""

    keys: tuple[bytes, ...] = field(repr=False)
    following: bytes | None = field(default=None, repr=False)

    def every(self) -> tuple[bytes, ...]:
        return self.keys if self.following is None else (*self.keys, self.following)

    def led_by(self, key: bytes) -> "Ring":
        return Ring((key, *self.keys))

    def alone(self) -> "Ring":
        """With nothing left of those before the first."""
        return Ring(self.keys[:1], self.following)


def read_ring(path: Path) -> Ring:
    """Raises CannotStart with one clear line."""
    return _read(path)[0]


def write_ring(path: Path, ring: Ring) -> None:
    """In one step: whoever reads it, or loses power, has the old keys or the new ones. Raises CannotStart."""
    lines = [b64encode(key) for key in ring.keys]
    if ring.following is not None:
        lines.append(_NEXT + b64encode(ring.following))
    try:
        real = path.resolve(strict=True)
        found = real.stat()
        swap_in(real, b"".join(line + b"\n" for line in lines).decode(), owner=(found.st_uid, found.st_gid))
    except OSError as error:
        raise CannotStart(f"The master key file {path} cannot be replaced ({error.strerror}).") from error


class KeyFile:
    """The keys as they stand in the file now: looked at before each sealing, and for a name that is not known yet.

    A sealing that begins after a key was put first is done with that key. What a call was admitted with a moment ago
    still opens after the file was read again: the keys before are kept in memory until the time after that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()
        self._keys: tuple[MasterKey, ...] = ()
        self._before: tuple[MasterKey, ...] = ()
        self._load()

    def sealing(self) -> MasterKey:
        self._look()
        return self._keys[0]

    def opening(self, name: str) -> Iterator[MasterKey]:
        yield from self._named(name)
        if self._look():
            yield from self._named(name)

    def _named(self, name: str) -> Iterator[MasterKey]:
        return (key for key in (*self._keys, *self._before) if name in ("", key.name))

    def _look(self) -> bool:
        """Whether the file was another one, and was read. Raises Unavailable while it holds no keys."""
        try:
            found = _signature(self._path.stat())
        except OSError:
            return False  # A file that was there at the start only: what is known goes on.
        if found == self._seen:
            return False
        try:
            self._load()
        except CannotStart as error:
            raise Unavailable(detail=str(error)) from error
        return True

    def _load(self) -> None:
        ring, seen = _read(self._path)
        self._keys, self._before = tuple(MasterKey(key) for key in ring.every()), self._keys
        self._seen = seen


def _read(path: Path) -> tuple[Ring, tuple[int, ...]]:
    """With what tells this file from a later one: taken before it is read, so that a change meanwhile is seen."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            raw = file.read(_MOST_BYTES)
    except OSError as error:
        raise CannotStart(f"The master key file {path} cannot be read ({error.strerror}).") from error
    if (mode := stat.S_IMODE(found.st_mode)) & 0o077:
        raise CannotStart(f"The master key file {path} can be read by others (mode {mode:04o}). Run: chmod 600 {path}")
    ring = _parsed(raw)
    if ring is None:
        raise CannotStart(f"The master key file {path} does not hold a master key (32 bytes in base64).")
    return ring, _signature(found)


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _parsed(raw: bytes) -> Ring | None:
    lines = [line.strip() for line in raw.splitlines() if line.strip()]
    following = lines.pop()[len(_NEXT) :] if lines and lines[-1].startswith(_NEXT) else None
    try:
        keys = tuple(b64decode(line, validate=True) for line in lines)
        coming = None if following is None else b64decode(following, validate=True)
    except ValueError:
        return None
    if not keys or any(len(key) != KEY_BYTES for key in (*keys, *(() if coming is None else (coming,)))):
        return None
    return Ring(keys, coming)
