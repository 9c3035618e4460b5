"""broker backup and broker restore."""

import shutil
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest

from broker.store import copying
from tests.canary import KEY, leaks_in
from tests.cli.conftest import Broker, rows
from tests.cli.once import once
from tests.cli.stage import furnished

PASSWORD = "violet-kettle-orbit-47\n"


@pytest.fixture
def lived_in(broker: Broker, data: Path) -> Path:
    _live_in(broker)
    return data


@once
def _live_in(broker: Broker) -> None:
    """A person and a key of theirs."""
    assert broker("user", "add", "ana@example.com", "--password-stdin", said=PASSWORD).status == 0
    words = ("key", "add", "--provider", "openai", "--user", "ana@example.com", "--no-check")
    assert broker(*words, said=KEY + "\n").status == 0


def test_what_was_backed_up_is_there_again(broker: Broker, lived_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = broker("backup", "copy.db")
    assert told.status == 0
    assert "The master key is not in it" in told.out
    broker("user", "add", "ben@example.com", "--password-stdin", said=PASSWORD)
    shutil.copy(lived_in / "master.key", "kept.key")
    shutil.rmtree(lived_in)

    monkeypatch.setenv("BROKER_MASTER_KEY_FILE", "kept.key")
    told = broker("restore", "copy.db", "data")
    assert told.status == 0
    assert "opens it" in told.out
    assert [user["email"] for user in broker("user", "list", "--json").json()] == ["ana@example.com"]
    assert [key["provider"] for key in broker("key", "list", "--json").json()] == ["openai"]
    assert broker("ledger", "verify").out.startswith("OK")
    assert broker("audit", "verify").out.startswith("OK")


def test_nothing_that_was_given_out_comes_to_life_again(broker: Broker, data: Path) -> None:
    stage = furnished(broker)
    grant_id = stage.add("--token").json()["grant_id"]
    _give_out(data, grant_id, stage.client_id)
    assert _lives(data) == [1, 1, 1, 1, 1, 1]
    broker("backup", "copy.db")
    shutil.rmtree(data)
    told = broker("restore", "copy.db", "data")
    assert "Ended: 1 access token, 1 refresh token, 1 session, and all codes." in told.out
    assert _lives(data) == [0, 0, 0, 0, 0, 0]
    assert [path.name for path in data.iterdir() if path.name.startswith(".restore")] == []
    assert stage.show(grant_id)["state"] == "active"
    assert rows(data, "SELECT actor FROM audit_entry WHERE event = 'database.restored'") == [("operator",)]
    assert broker("audit", "verify").out.startswith("OK")
    assert broker("ledger", "verify").out.startswith("OK")


def test_what_was_put_back_by_other_means_is_ended_by_a_command(broker: Broker, data: Path) -> None:
    stage = furnished(broker)
    _give_out(data, stage.add("--token").json()["grant_id"], stage.client_id)
    assert broker("restored").out.startswith("Ended: 1 access token, 1 refresh token, 1 session,")
    assert _lives(data) == [0, 0, 0, 0, 0, 0]
    assert broker("restored").out.startswith("Ended: 0 access tokens, 0 refresh tokens, 0 sessions,")


def _give_out(data: Path, grant_id: str, client_id: str) -> None:
    """Of each kind one, besides the access token."""
    [(user_id,)] = rows(data, "SELECT id FROM user")
    later = 4_000_000_000_000_000
    given: dict[str, dict[str, str | int]] = {
        "session": {"digest": "s", "user_id": user_id, "created_at": 1, "seen_at": 1, "ends_at": later},
        "token_family": {"id": "fam", "grant_id": grant_id, "client_id": client_id, "created_at": 1},
        "refresh_token": {"digest": "r", "family_id": "fam", "created_at": 1, "ends_at": later},
        "grant_request": {"id": "req", "client_id": client_id, "state": "pending", "created_at": 1, "ends_at": later},
        "code": {"digest": "c", "request_id": "req", "grant_id": grant_id, "client_id": client_id, "ends_at": later},
    }
    with closing(sqlite3.connect(data / "broker.db")) as db, db:
        for table, values in given.items():
            empty = [
                name
                for _, name, kind, needed, default, _ in db.execute(f"PRAGMA table_info({table})")
                if needed and default is None and kind == "TEXT" and name not in values
            ]
            whole = values | dict.fromkeys(empty, "")
            marks = ", ".join("?" * len(whole))
            db.execute(f"INSERT INTO {table} ({', '.join(whole)}) VALUES ({marks})", list(whole.values()))


def _lives(data: Path) -> list[int]:
    now = time.time_ns() // 1_000
    return [
        rows(data, f"SELECT count(*) FROM {each}")[0][0]
        for each in (
            f"access_token WHERE revoked_at IS NULL AND ends_at > {now}",
            "token_family WHERE revoked_at IS NULL",
            f"refresh_token WHERE ends_at > {now}",
            f"code WHERE ends_at > {now}",
            f"grant_request WHERE ends_at > {now}",
            "session",
        )
    ]


def test_a_backup_is_one_private_file_without_the_master_key(broker: Broker, lived_in: Path) -> None:
    broker("backup", "copy.db")
    copy = Path("copy.db")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert (lived_in / "master.key").read_bytes().strip() not in copy.read_bytes()
    assert not leaks_in(copy.read_bytes())
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sorted(path.name for path in Path().glob("*copy*")) == ["copy.db"]


def test_what_is_committed_beside_it_is_in_it_and_what_is_not_is_not(broker: Broker, lived_in: Path) -> None:
    with closing(sqlite3.connect(lived_in / "broker.db", isolation_level=None)) as writer:
        writer.execute("UPDATE user SET email = 'committed'")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE user SET email = 'not yet'")
        assert broker("backup", "copy.db").status == 0
        writer.execute("ROLLBACK")
    with closing(sqlite3.connect("copy.db")) as db:
        assert db.execute("SELECT email FROM user").fetchall() == [("committed",)]


def test_nothing_is_written_over(broker: Broker, lived_in: Path) -> None:
    Path("copy.db").write_text("mine")
    told = broker("backup", "copy.db")
    assert (told.status, told.err) == (2, "copy.db is there already.\n")
    assert Path("copy.db").read_text() == "mine"
    assert broker("backup", "other.db").status == 0
    told = broker("restore", "other.db", "data")
    assert told.status == 2
    assert "Move it away first" in told.err


def test_a_file_that_appears_meanwhile_is_left_alone(lived_in: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("mine")
    with pytest.raises(copying.NotCopied):
        copying.copy_database(lived_in / "broker.db", target)
    assert target.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if "copy.db" in path.name] == ["copy.db"]


def test_a_damaged_database_is_no_backup(broker: Broker, lived_in: Path) -> None:
    with closing(sqlite3.connect(lived_in / "broker.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = bytearray((lived_in / "broker.db").read_bytes())
    page = 4096
    raw[5 * page : 9 * page] = b"\xff" * (4 * page)
    (lived_in / "broker.db").write_bytes(raw)
    told = broker("backup", "copy.db")
    assert told.status == 1
    assert list(Path().glob("*copy*")) == []


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00" + bytes(100), b"hello" * 100])
def test_what_is_no_backup_is_not_restored(broker: Broker, tmp_path: Path, content: bytes) -> None:
    Path("odd.db").write_bytes(content)
    told = broker("restore", "odd.db", "elsewhere")
    assert (told.status, told.err) == (2, "odd.db is no backup of a broker.\n")
    assert not Path("elsewhere").exists()


def test_a_backup_of_a_newer_version_is_not_restored(broker: Broker, lived_in: Path) -> None:
    broker("backup", "copy.db")
    with closing(sqlite3.connect("copy.db")) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
        db.commit()
    told = broker("restore", "copy.db", "elsewhere")
    assert told.status == 1
    assert "newer version" in told.err


def test_another_master_key_is_said_to_be_another(
    broker: Broker, lived_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker("backup", "copy.db")
    assert "belongs in elsewhere/master.key" in broker("restore", "copy.db", "elsewhere").out
    monkeypatch.setenv("BROKER_DATA_DIR", "second")
    broker("user", "list")
    broker("key", "add", "--provider", "openai", "--no-check", said=KEY + "\n")
    monkeypatch.setenv("BROKER_MASTER_KEY_FILE", "second/master.key")
    monkeypatch.setenv("BROKER_DATA_DIR", "data")
    assert "is not the one" in broker("restore", "copy.db", "third").out
