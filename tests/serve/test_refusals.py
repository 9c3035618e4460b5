"""What keeps a server from starting: one clear line each, exit status 1, nothing half made."""

import asyncio
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from broker import cli
from broker.ops.folder import Lock, workers_lock
from broker.serve import prepare
from broker.settings import load_settings
from broker.start import system_clock
from broker.store.busy import LOCKED

KEY = b64encode(bytes(range(32))).decode()

Refused = Callable[..., str]


@pytest.fixture
def refused(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs `broker serve` in this process, where it must not come to serving; gives what it said."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BROKER_PORT", "0")

    def run(*, status: int = 1, **settings: str) -> str:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        mask = os.umask(0o077)
        try:
            assert cli.run(["serve"]) == status
        finally:
            os.umask(mask)
        told = capsys.readouterr()
        assert told.out == ""
        return told.err

    return run


def _put_key(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "data" / "master.key"
    path.write_text(text)
    path.chmod(mode)
    return path


def _first_start() -> None:
    asyncio.run(prepare.prepare(load_settings(), system_clock, {}))


def test_a_master_key_that_others_can_read(folder: Path, refused: Refused) -> None:
    _put_key(folder, KEY, 0o640)
    assert refused() == (
        "The master key file data/master.key can be read by others (mode 0640). Run: chmod 600 data/master.key\n"
    )


@pytest.mark.parametrize(
    "text", ["", b64encode(bytes(31)).decode(), "not base64!"], ids=["empty", "31 bytes", "not base64"]
)
def test_a_master_key_that_is_none(folder: Path, refused: Refused, text: str) -> None:
    shutil.rmtree(folder / "data")
    (folder / "data").mkdir()
    _put_key(folder, text)
    assert refused() == "The master key file data/master.key does not hold a master key (32 bytes in base64).\n"
    assert [path.name for path in (folder / "data").iterdir()] == ["master.key"]


def test_another_master_key_than_the_one_things_were_sealed_with(folder: Path, refused: Refused) -> None:
    _put_key(folder, KEY)
    _first_start()
    _put_key(folder, b64encode(bytes(32)).decode())
    assert refused() == "The master key in data/master.key is not the one this database was sealed with.\n"


def test_a_master_key_that_went_missing(folder: Path, refused: Refused) -> None:
    path = _put_key(folder, KEY)
    _first_start()
    path.unlink()
    assert refused() == "The master key file data/master.key cannot be read (No such file or directory).\n"
    assert not path.exists()


def test_a_database_that_another_process_keeps_locked(folder: Path, refused: Refused) -> None:
    _put_key(folder, KEY)
    _first_start()
    # In a process of its own: this one forks, and SQLite's locks are those of a process.
    hold = (
        "import sqlite3, sys; other = sqlite3.connect('data/broker.db', isolation_level=None)\n"
        "other.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", hold]
    with subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        said = refused()
        other.communicate()
    assert said == f"{LOCKED}\n"


def test_a_port_in_use(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(BROKER_PORT=str(port))
    assert (
        said == f"Cannot listen on 127.0.0.1:{port} (Address already in use). Choose another port with BROKER_PORT.\n"
    )


def test_a_database_of_a_newer_version(folder: Path, refused: Refused) -> None:
    with closing(sqlite3.connect(folder / "data" / "broker.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    assert refused().startswith("The database was written by a newer version of Broker.")


def test_a_file_that_is_no_database(folder: Path, refused: Refused) -> None:
    (folder / "data" / "broker.db").write_bytes(b"nothing of the kind" * 1000)
    assert refused() == "The database data/broker.db cannot be read.\n"


def test_workers_of_another_server_that_do_not_end(
    folder: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "ORPHANS_END_WITHIN_SECONDS", 0.1)
    held = Lock.take(workers_lock(folder / "data"), shared=True)
    assert refused() == "Workers of an earlier broker are still running in data.\n"
    held.release()


def test_settings_that_are_not_right_are_all_named_in_one_line_and_the_status_is_2(refused: Refused) -> None:
    said = refused(status=2, BROKER_WORKERS="none", BROKER_MAX_BUDGET="a lot", BROKER_CODE_SECONDS="0")
    assert said.count("\n") == 1
    named = [problem.split(":")[0] for problem in said.split("; ")]
    assert named == ["BROKER_WORKERS", "BROKER_CODE_SECONDS", "BROKER_MAX_BUDGET"]


def test_settings_that_others_can_read_are_warned_of(folder: Path, refused: Refused) -> None:
    (folder / ".env").write_text("BROKER_WORKERS=none\n")
    (folder / ".env").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused(BROKER_PORT=str(taken.getsockname()[1]), BROKER_WORKERS="1")
    assert said.startswith("Warning: .env can be read by others. Run: chmod 600 .env\n")
