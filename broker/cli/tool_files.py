"""Settings put into a program's own file, between what its owner keeps there, or not at all."""

import json
import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from broker.cli.command import wrong
from broker.cli.tools import JsonFile, Place, TomlFile
from broker.ops.swap import swap_in

OwnFile = JsonFile | TomlFile


def path_of(settings: OwnFile) -> Path:
    """Where the program looks for it; a link is followed, for there are those who keep such files elsewhere."""
    named = os.environ.get(settings.home, "")
    folder = Path(named) if named.startswith("/") else Path.home() / settings.otherwise
    return (folder / settings.file).resolve()


@dataclass(frozen=True, slots=True)
class Change:
    """What one file becomes; equal texts are no change."""

    path: Path
    before: str
    after: str

    def make(self) -> None:
        if self.after == self.before:
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            swap_in(self.path, self.after, stat.S_IMODE(self.path.stat().st_mode) if self.path.exists() else 0o600)
        except OSError as error:
            wrong(f"{self.path} cannot be written ({error.strerror}).")


def planned(settings: OwnFile, place: Place) -> Change:
    """Raises Wrong where the file says something else already or cannot be understood; nothing is written yet."""
    path = path_of(settings)
    try:
        before = path.read_text("utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError):
        _not_understood(path)
    if isinstance(settings, JsonFile):
        return Change(path, before, _merged_json(settings, place, before, path))
    return Change(path, before, _merged_toml(settings, place, before, path))


def _merged_json(settings: JsonFile, place: Place, before: str, path: Path) -> str:
    try:
        there = json.loads(before) if before.strip() else {}
    except ValueError:
        there = None
    if not isinstance(there, dict):
        _not_understood(path)
    merged = _merged(there, settings.members(place), path)
    return before if merged == there else json.dumps(merged, indent=2, ensure_ascii=False) + "\n"


def _merged_toml(settings: TomlFile, place: Place, before: str, path: Path) -> str:
    """The text of its owner stays as it is, comments and all: one line goes before it, the tables behind it."""
    there, wanted = _toml(before, path), tomllib.loads(settings.text(place))
    expected = _merged(there, wanted, path)
    if expected == there:
        return before
    gap = "\n" if before and not before.endswith("\n") else ""
    top = "".join(f"{line}\n" for line in settings.top.splitlines() if not tomllib.loads(line).keys() <= there.keys())
    after = f"{top}{before}{gap}\n{settings.tables(place)}"
    if _toml(after, path) != expected:
        _not_understood(path)
    return after


def _toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        _not_understood(path)


def _merged(there: dict[str, Any], wanted: dict[str, Any], path: Path, within: str = "") -> dict[str, Any]:
    """Raises Wrong for a value that would be lost."""
    merged = dict(there)
    for key, value in wanted.items():
        name = f"{within}{key}"
        if key not in there:
            merged[key] = value
        elif isinstance(there[key], dict) and isinstance(value, dict):
            merged[key] = _merged(there[key], value, path, f"{name}.")
        elif there[key] != value:
            wrong(f"{path} has another {name} already. Change it there yourself, or remove it; nothing was written.")
    return merged


def _not_understood(path: Path) -> Never:
    wrong(f"{path} cannot be understood. Nothing was written: put in yourself what is printed without --write.")
