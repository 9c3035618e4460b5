"""What holds for every command."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
import typer

from broker import cli
from broker.ops.folder import Lock, parent_lock
from broker.start import OLDER
from tests.cli.conftest import Broker, refused

COMMANDS = [
    *(["serve"], ["migrate"], ["demo"]),
    *(["user", "add"], ["user", "list"], ["user", "set"], ["user", "disable"]),
    *(["tier", "add"], ["tier", "list"], ["tier", "set"], ["tier", "remove"]),
    *(["key", "add"], ["key", "list"], ["key", "limit"], ["key", "check"], ["key", "remove"]),
    *(["provider", "add"], ["provider", "list"], ["provider", "oauth"], ["provider", "set"]),
    *(["client", "add"], ["client", "list"], ["client", "show"], ["client", "remove"]),
    *(["grant", "add"], ["grant", "list"], ["grant", "show"], ["grant", "pause"], ["grant", "resume"]),
    *(
        ["grant", "revoke"],
        ["price", "list"],
        ["price", "show"],
        ["price", "set"],
        ["price", "remove"],
        ["price", "load"],
    ),
    *(
        ["ledger", "verify"],
        ["ledger", "sweep"],
        ["ledger", "limits"],
        ["ledger", "thresholds"],
        ["audit", "verify"],
        ["audit", "export"],
    ),
    *(["signing", "rotate"], ["signing", "list"], ["vault", "rotate"], ["cleanup"], ["connect"], ["token"]),
    *(["grant", "keys"], ["grant", "calls"], ["price", "markup"], ["backup"], ["restore"], ["restored"]),
]


def test_these_are_the_commands() -> None:
    root = typer.main.get_command(cli.commands(cli.NOUNS))
    found = {
        (name, *((inner,) if inner else ()))
        for name, command in root.commands.items()  # type: ignore[attr-defined]
        for inner in getattr(command, "commands", {"": None})
    }
    assert found == {tuple(words) for words in COMMANDS}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_has_help(broker: Broker, words: list[str]) -> None:
    told = broker(*words, "--help")
    assert told.status == 0
    assert told.out.startswith(f"Usage: broker {' '.join(words)}")


def test_help_lists_what_there_is(broker: Broker) -> None:
    told = broker("--help")
    assert told.status == 0
    assert all(f"  {noun} " in told.out for noun in cli.NOUNS)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["lend"], "No such command 'lend'."),
        (["user", "list", "--all"], "No such option: --all"),
        (["key", "add"], "Missing option '--provider'."),
        (["grant", "show"], "Missing argument 'ID'."),
        (["user", "add", "a@example.com", "--role", "king"], "Invalid value for '--role': 'king' is not"),
    ],
    ids=["command", "option", "missing option", "missing argument", "value"],
)
def test_what_cannot_be_understood_is_one_line_and_status_2(broker: Broker, words: list[str], line: str) -> None:
    told = broker(*words)
    assert (told.status, told.out) == (2, "")
    assert told.err.startswith(line)
    assert told.err.count("\n") == 1


def test_a_setting_that_is_not_right_is_named_and_the_status_is_2(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_WORKERS", "many")
    told = broker("user", "list")
    assert (told.status, told.out) == (2, "")
    assert told.err.startswith("BROKER_WORKERS: ")
    assert told.err.count("\n") == 1


def test_a_command_makes_a_new_database_that_only_its_owner_can_read(broker: Broker, data: Path) -> None:
    (data / "broker.db").unlink()
    assert broker("user", "list").status == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()}
    assert modes["broker.db"] == 0o600
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def _make_old(data: Path) -> None:
    """As before the first migration."""
    (data / "broker.db").unlink()


def test_an_older_database_beside_a_running_server_is_left_alone(
    broker: Broker, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.cli.desk.ANOTHER_COMMAND_SECONDS", 0.1)
    _make_old(data)
    lock = Lock.take(parent_lock(data))
    assert refused(broker("user", "list"), OLDER, status=1)
    lock.release()
    assert not (data / "broker.db").exists()
    assert broker("user", "list").status == 0


def test_a_newer_database_is_left_alone(broker: Broker, data: Path) -> None:
    with closing(sqlite3.connect(data / "broker.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    assert broker("user", "list").err.startswith("The database was written by a newer version")
    assert broker("migrate").status == 1


def test_migrate_says_what_it_did(broker: Broker, data: Path) -> None:
    assert broker("migrate").out == "The database is up to date.\n"
    _make_old(data)
    assert broker("migrate").out == "The database has been migrated.\n"


def test_migrate_beside_a_running_server_has_nothing_to_do(broker: Broker, data: Path) -> None:
    lock = Lock.take(parent_lock(data))
    told = broker("migrate")
    lock.release()
    assert (told.status, told.out) == (0, "The database is up to date.\n")


def test_an_older_database_is_not_migrated_while_a_server_runs(broker: Broker, data: Path) -> None:
    _make_old(data)
    lock = Lock.take(parent_lock(data))
    assert refused(broker("migrate"), "A broker is already running in data.", status=1)
    lock.release()


def test_a_command_works_while_a_server_runs(broker: Broker, data: Path) -> None:
    lock = Lock.take(parent_lock(data))
    assert broker("client", "add", "Notes", "--public", "--json").json()["client_id"].startswith("cli_")
    lock.release()


def test_a_folder_that_cannot_be_used_is_one_line(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BROKER_DATA_DIR", str(tmp_path / "file" / "data"))
    assert refused(
        broker("user", "list"), f"The data directory {tmp_path}/file/data cannot be used (Not a directory).", status=1
    )


def test_settings_may_stand_in_a_file(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"BROKER_DATA_DIR={tmp_path / 'elsewhere'}\nOPENAI_API_KEY=sk-from-the-file-1234\n")
    assert broker("user", "list").status == 0
    assert (tmp_path / "elsewhere" / "broker.db").exists()
    assert "OPENAI_API_KEY" not in os.environ
