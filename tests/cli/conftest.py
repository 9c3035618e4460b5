"""The command line, run in this process on a data directory of its own."""

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from broker import cli


@dataclass(frozen=True, slots=True)
class Told:
    status: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


Broker = Callable[..., Told]


@pytest.fixture
def data(tmp_path: Path, migrated: Path) -> Path:
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(migrated, tmp_path / "data" / "broker.db")
    return tmp_path / "data"


@pytest.fixture
def broker(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Broker]:
    """`broker("user", "list", said="…")`: what is said stands on its standard input."""
    for name in [name for name in os.environ if name.startswith("BROKER_") or name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(data.parent)
    mask = os.umask(0o077)

    def run(*words: str, said: str | bytes = "") -> Told:
        raw = said.encode() if isinstance(said, str) else said
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
        status = cli.run(words)
        told = capsys.readouterr()
        return Told(status, told.out, told.err)

    yield run
    os.umask(mask)


def refused(told: Told, line: str, status: int = 2) -> bool:
    """Nothing on standard output and this one line on standard error."""
    return (told.status, told.out, told.err) == (status, "", f"{line}\n")
