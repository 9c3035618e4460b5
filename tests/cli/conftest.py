"""The command line, run in this process on a data directory of its own."""

import io
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
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


@dataclass(slots=True)
class Upstream:
    """A provider that lists its models for each key it takes."""

    url: str
    keys: set[str]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    taken: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["authorization"].removeprefix("Bearer ") in taken
            self.send_response(200 if known and self.path == "/v1/models" else 401)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *said: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Upstream(f"http://127.0.0.1:{server.server_port}", taken)
        server.shutdown()
        thread.join()


def rows(data: Path, query: str) -> list[tuple[Any, ...]]:
    """What stands in the database, or what a test puts there."""
    with closing(sqlite3.connect(data / "broker.db")) as connection, connection:
        return connection.execute(query).fetchall()


def refused(told: Told, line: str, status: int = 2) -> bool:
    """Nothing on standard output and this one line on standard error."""
    return (told.status, told.out, told.err) == (status, "", f"{line}\n")
