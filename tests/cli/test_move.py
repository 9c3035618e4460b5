"""broker migrate --to: everything arrives and the books still hold, or nothing arrives."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from broker.audit.record import SYSTEM, record
from broker.core.grant import GrantEvent
from broker.ops.folder import Lock, parent_lock
from broker.store import migrate, postgresql, schema
from broker.store.database import Database, sqlite_url
from tests.books.world import NOT_RUN, Books, reported
from tests.cli.conftest import Broker, refused, rows
from tests.turned_clock import NOON, TurnedClock

TABLES = [table.name for table in migrate.METADATA.sorted_tables if table.name != "change"]


@pytest.fixture
def used(data: Path) -> Path:
    """An installation with calls of every state, a token below another, and odd letters."""

    async def use() -> None:
        books = Books(Database(sqlite_url(data), synchronous="normal"), TurnedClock())
        await books.open()
        lent = await books.lend(max_requests=9)
        below = await books.token(lent.grant_id, parent_jti=lent.jti)
        await books.reserve(below)
        await books.settle(await books.reserve(lent), reported(10, 5))
        await books.settle(await books.reserve(lent), NOT_RUN)
        await books.move(lent.grant_id, GrantEvent.PAUSE)
        await books.db.write(lambda tx: record(tx, NOON, "grant.paused", SYSTEM, lent.grant_id, why="“ñ” 𝄞"))
        await books.db.close()

    asyncio.run(use())
    return data


async def _asked(url: str, query: str) -> list[tuple[Any, ...]]:
    connection = await postgresql.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def there(url: str, query: str) -> list[tuple[Any, ...]]:
    return asyncio.run(_asked(url, query))


def test_all_of_an_installation_arrives_and_goes_on(
    broker: Broker, used: Path, empty_postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = broker("migrate", "--to", empty_postgresql)
    assert (told.status, told.err) == (0, "")
    for table in TABLES:
        before = rows(used, f'SELECT * FROM "{table}"')
        assert Counter(before) == Counter(there(empty_postgresql, f'SELECT * FROM "{table}"')), table
        assert f"{table}  {len(before)}\n" in told.out
    assert "OK: 3 calls, " in told.out
    assert "audit OK: " in told.out
    monkeypatch.setenv("BROKER_DATABASE_URL", empty_postgresql)
    assert broker("ledger", "verify").out.startswith("OK: 3 calls, ")
    entries = len(rows(used, "SELECT * FROM audit_entry"))
    assert broker("user", "add", "new@example.com", "--password-stdin", said="correct horse battery staple").status == 0
    assert len(there(empty_postgresql, "SELECT seq FROM audit_entry")) > entries
    assert broker("migrate").out == "The database is up to date.\n"


def test_what_moved_is_seen_as_a_change(broker: Broker, used: Path, empty_postgresql: str) -> None:
    ((count, epoch),) = rows(used, "SELECT count, epoch FROM change")
    assert broker("migrate", "--to", empty_postgresql).status == 0
    assert there(empty_postgresql, "SELECT count, epoch FROM change") == [(count + 1, epoch + 1)]


def test_a_database_with_a_row_in_it_is_refused(broker: Broker, used: Path, empty_postgresql: str) -> None:
    there(empty_postgresql, "CREATE TABLE theirs AS SELECT 1 AS x")
    told = broker("migrate", "--to", empty_postgresql)
    assert refused(told, "The database of --to is not empty: its table theirs has rows.", 1)
    assert asyncio.run(schema.revision_at(empty_postgresql)) is None


def test_a_database_that_was_moved_to_is_not_moved_to_again(broker: Broker, used: Path, empty_postgresql: str) -> None:
    assert broker("migrate", "--to", empty_postgresql).status == 0
    assert broker("migrate", "--to", empty_postgresql).status == 1


def test_a_migrated_database_without_rows_is_taken(broker: Broker, used: Path, empty_postgresql: str) -> None:
    asyncio.run(migrate.upgrade_postgresql(empty_postgresql))
    assert broker("migrate", "--to", empty_postgresql).status == 0


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (
            "UPDATE counter SET settled = settled - 1 WHERE measure = 'money'",
            "What was copied does not hold: Counter access/acc_5/money/grant/0: ",
        ),
        (
            "DROP TRIGGER audit_kept_update; UPDATE audit_entry SET details = 'a' || char(0)",
            "The rows of audit_entry could not be copied.",
        ),
        (
            "DROP TRIGGER audit_kept_update; UPDATE audit_entry SET actor = 'nobody' WHERE seq = 1",
            "What was copied does not hold: Entry 1 is not what was recorded, or one before it is not.",
        ),
        ("UPDATE access_token SET grant_id = 'gone'", "The rows of access_token could not be copied."),
    ],
    ids=[
        "books that do not add up",
        "a letter that PostgreSQL does not take",
        "a trail that was changed",
        "a row that refers to nothing",
    ],
)
def test_what_is_wrong_is_named_and_nothing_stays(
    broker: Broker, used: Path, empty_postgresql: str, spoil: str, fault: str
) -> None:
    with closing(sqlite3.connect(used / "broker.db")) as connection, connection:
        connection.executescript(spoil)
    told = broker("migrate", "--to", empty_postgresql)
    assert (told.status, told.out, told.err[: len(fault)]) == (1, "", fault)
    assert asyncio.run(schema.revision_at(empty_postgresql)) is None


def test_a_running_server_is_left_alone(broker: Broker, used: Path, empty_postgresql: str) -> None:
    lock = Lock.take(parent_lock(used))
    told = broker("migrate", "--to", empty_postgresql)
    lock.release()
    assert refused(told, f"A broker is already running in {Path('data')}.", 1)


def test_what_is_no_address_of_postgresql_is_not_taken_and_not_repeated(broker: Broker, used: Path) -> None:
    told = broker("migrate", "--to", "mysql://me:hidden@db/broker")
    assert refused(told, "--to takes postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE.")


def test_a_server_that_does_not_answer_is_said_so(broker: Broker, used: Path, tmp_path: Path) -> None:
    told = broker("migrate", "--to", f"postgresql+asyncpg://me:hidden@/broker?host={tmp_path}")
    assert refused(told, "The database of --to does not answer, or refuses.", 1)
