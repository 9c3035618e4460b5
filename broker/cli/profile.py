"""A connection of one tool on this computer to a broker, kept in a file that nobody else can read."""

import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.cli.command import wrong
from broker.core.errors import BrokerError
from broker.core.secret import Secret
from broker.ops.swap import swap_in

ENOUGH = 300
"""Seconds that a token which is handed out has left; half its life, where that is less."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_TEXTS = ("client", "issuer", "client_id", "grant_id", "token_endpoint", "refresh_token", "access_token")
_NUMBERS = ("taken_at", "ends_at")


class NoProfile(BrokerError):
    """A connection that is not there, or whose file is not to be trusted."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Instants are seconds since 1970; `wish` is what was asked for, an element of authorization_details."""

    name: str
    client: str
    issuer: str
    client_id: str
    grant_id: str
    token_endpoint: str
    refresh_token: Secret
    access_token: Secret
    taken_at: int
    ends_at: int
    wish: dict[str, Any] = field(default_factory=dict)

    def lasts(self, now: int) -> bool:
        """Whether its token can be handed out; a clock that was turned back says no."""
        enough = min(ENOUGH, (self.ends_at - self.taken_at) // 2)
        return self.taken_at <= now <= self.ends_at - enough


def folder() -> Path:
    """The directory of this user; it is made when the first connection is kept."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "broker"


def require_name(name: str) -> str:
    if _NAME.fullmatch(name) is None or name.endswith(".json"):
        wrong(f"{name!r} is no name of a connection: a to z, 0 to 9, dots, dashes, at most 64 characters.")
    return name


def names() -> list[str]:
    found = (path.name.removesuffix(".json") for path in folder().glob("*.json"))
    return sorted(name for name in found if _NAME.fullmatch(name))


def load(name: str) -> Profile:
    """Raises NoProfile."""
    path = folder() / f"{require_name(name)}.json"
    try:
        told = json.loads(_read_private(path))
    except FileNotFoundError:
        raise NoProfile(f"There is no connection {name!r}. Make one: broker connect CLIENT --name {name}") from None
    except OSError as error:
        raise NoProfile(f"{path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise _damaged(path) from error
    if not _is_profile(told):
        raise _damaged(path)
    texts = {key: told[key] for key in _TEXTS} | {key: Secret(told[key]) for key in _TEXTS[-2:]}
    return Profile(name, **texts, **{key: told[key] for key in _NUMBERS}, wish=told["wish"])


def keep(profile: Profile) -> None:
    """Raises NoProfile, and then what was kept before is still there."""
    told = {key: getattr(profile, key) for key in (*_TEXTS[:-2], *_NUMBERS, "wish")}
    secrets = {key: getattr(profile, key).reveal() for key in _TEXTS[-2:]}
    path = _own_folder() / f"{require_name(profile.name)}.json"
    if path.is_symlink():
        raise NoProfile(f"{path} is a link; connections are kept in files of their own.")
    try:
        swap_in(path, json.dumps(told | secrets, indent=2) + "\n")
    except OSError as error:
        raise NoProfile(f"{path} cannot be written ({error.strerror}).") from error


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time; the kernel opens the lock of one that dies."""
    path = _own_folder() / f"{require_name(name)}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NoProfile(f"{path} cannot be locked ({error.strerror}).") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _own_folder() -> Path:
    """Raises NoProfile for one into which others could put links or files."""
    place = folder()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = place.lstat()
    except OSError as error:
        raise NoProfile(f"{place} cannot be used ({error.strerror}).") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise NoProfile(f"{place} must be a directory of your own, no link, that nobody else can write to.")
    return place


def _read_private(path: Path) -> str:
    """Raises OSError, and NoProfile for a file that others can read, or have put there."""
    _own_folder()
    if path.is_symlink():
        raise NoProfile(f"{path} is a link; connections are kept in files of their own.")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise NoProfile(f"{path} must be a file of your own that nobody else can read. Run: chmod 600 {path}")
        return file.read()


def _is_profile(told: object) -> bool:
    return (
        isinstance(told, dict)
        and all(isinstance(told.get(key), str) for key in _TEXTS)
        and all(isinstance(told.get(key), int) for key in _NUMBERS)
        and isinstance(told.get("wish"), dict)
    )


def _damaged(path: Path) -> NoProfile:
    return NoProfile(f"{path} is damaged. Remove it and connect again.")
