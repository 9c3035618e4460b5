"""What a command says while another process keeps the database locked, as a worker does that was stopped in its middle."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from broker.store import copying, migrate
from broker.store.database import Database
from tests.cli.conftest import Broker, refused, rows

LOCKED = (
    "Another process has kept the database locked for several seconds, so this was not finished. "
    "Try again; if it stays so, that process hangs and has to be ended."
)


@contextmanager
def locked(data: Path, *first: str) -> Iterator[None]:
    with closing(sqlite3.connect(data / "broker.db", isolation_level=None)) as other:
        for statement in (*first, "BEGIN IMMEDIATE", "UPDATE change SET count = count + 1"):
            other.execute(statement)
        yield


def test_a_command_that_would_write_ends_and_says_why(
    broker: Broker, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.start.Database", partial(Database, busy_ms=100))
    with locked(data):
        assert refused(broker("price", "set", "openai", "mine", "--input", "1", "--output", "1"), LOCKED, 1)
        assert broker("price", "list").status == 0
    assert rows(data, "SELECT * FROM own_price") == []
    assert broker("price", "set", "openai", "mine", "--input", "1", "--output", "1").status == 0


def test_migrating_ends_and_says_why(broker: Broker, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "BUSY_MS", 100)
    with locked(data, "UPDATE alembic_version SET version_num = '0023'"):
        assert refused(broker("migrate"), LOCKED, 1)


def test_a_backup_of_a_database_that_nobody_may_read_ends_and_says_why(
    broker: Broker, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "TURN_SECONDS", 0.1)
    with locked(data, "PRAGMA journal_mode = WAL", "PRAGMA locking_mode = EXCLUSIVE"):
        assert refused(broker("backup", "copy.db"), LOCKED, 1)
    assert not (data.parent / "copy.db").exists()
    assert broker("backup", "copy.db").status == 0
