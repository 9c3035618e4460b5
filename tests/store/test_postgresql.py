"""What PostgreSQL has that SQLite has in another way: the schema, the triggers, the listener, its own connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from broker.core.errors import Unavailable
from broker.store import changes, migrate, postgresql, schema
from broker.store.database import Database
from broker.store.engines import postgresql_engine
from broker.store.listen import Listener
from broker.store.postgres_steps import PostgresSteps
from broker.store.steps import Clashed, Rows, Step, Steps, inserting, reading, updating
from broker.store.tables import Setting, User
from tests.stores import Store, beside
from tests.turned_clock import NOON


@pytest.fixture
async def db(fresh_postgresql: Store) -> AsyncIterator[Database]:
    database = fresh_postgresql.open()
    yield database
    await database.close()


def user(name: str) -> User:
    seen: dict[str, Any] = {"pseudonym": name, "role": "user", "password_hash": "-", "created_at": NOON}
    return User(id=f"usr_{name}", email=f"{name}@example.com", **seen)


async def epoch(db: Database) -> int:
    return await db.read_core(lambda tx: _number(tx, "SELECT epoch FROM change"))


async def _number(connection: Any, sql: str) -> int:
    return int((await connection.execute(text(sql))).scalar_one())


async def test_a_new_database_is_what_the_tables_say(fresh_postgresql: Store) -> None:
    def difference(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), migrate.METADATA))

    engine = postgresql_engine(fresh_postgresql.url, pool_size=1, busy_ms=1_000)
    async with engine.connect() as connection:
        assert await connection.run_sync(difference) == []
    await engine.dispose()


async def test_an_empty_database_has_no_revision_and_two_that_migrate_it_do_it_once(empty_postgresql: str) -> None:
    assert await schema.revision_at(empty_postgresql) is None
    both = await asyncio.gather(*(migrate.upgrade_postgresql(empty_postgresql) for _ in range(2)))
    assert sorted(both) == [False, True]
    assert await schema.revision_at(empty_postgresql) == schema.HEAD


async def test_what_tokens_are_worth_moves_the_epoch_on_whoever_changes_it(db: Database) -> None:
    await db.write_core(lambda tx: tx.execute(text("SELECT 1")))
    assert await epoch(db) == 0

    async def add(tx: Any) -> None:
        tx.add(user("ana"))

    await db.write(add)
    assert await epoch(db) == 0
    async with beside(db) as connection:
        await connection.execute('UPDATE "user" SET disabled_at = $1', NOON)
    assert await epoch(db) == 1
    async with beside(db) as connection:
        await connection.execute('UPDATE "user" SET zone = $1', "UTC")
    assert await epoch(db) == 1


async def test_whoever_listens_is_told_once_it_is_committed_and_again_after_a_lost_connection(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.store.listen.AGAIN_SECONDS", 0.01)
    told = asyncio.Event()
    listener = Listener(db.url, told.set)
    listener.start()
    await asyncio.wait_for(listener.listens.wait(), 20)
    for _ in range(2):
        told.clear()
        await db.write(changes.bump)
        await asyncio.wait_for(told.wait(), 20)
        told.clear()
        async with beside(db) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
        await asyncio.wait_for(told.wait(), 20)
        await asyncio.wait_for(listener.listens.wait(), 20)
    await listener.stop()


async def test_what_only_reads_cannot_write(db: Database) -> None:
    with pytest.raises(Unavailable):
        await db.read_core(lambda tx: tx.execute(text("DELETE FROM setting")))


async def test_a_deadlock_with_what_is_not_serial_is_tried_again(db: Database) -> None:
    async def two(tx: Any) -> None:
        tx.add(Setting(name="a", value="0"))
        tx.add(Setting(name="b", value="0"))

    await db.write(two)
    locked, tried = asyncio.Event(), 0

    async def b_then_a(tx: Any) -> None:
        nonlocal tried
        tried += 1
        # A second try in the same order could meet the other one once more, which has not ended yet.
        for name in "ba" if tried == 1 else "ab":
            await tx.execute(text(f"UPDATE setting SET value = 'w' WHERE name = '{name}'"))
            locked.set()

    async def a_then_b() -> None:
        async with beside(db) as connection, connection.transaction():
            await connection.execute("SELECT 1 FROM setting WHERE name = 'a' FOR UPDATE")
            writing = asyncio.create_task(db.write_core(b_then_a))
            await locked.wait()
            await connection.execute("SELECT 1 FROM setting WHERE name = 'b' FOR UPDATE")
        await writing

    try:
        await a_then_b()
    except Clashed:
        assert tried == 1
    else:
        assert tried > 1


async def test_an_address_no_one_answers_at_is_unavailable_and_not_told(tmp_path: Any) -> None:
    db = Database(f"postgresql+asyncpg://me:hidden@/broker?host={tmp_path}")
    with pytest.raises(Unavailable) as refused:
        await db.read(changes.count)
    assert "hidden" not in f"{refused.value.description} {refused.value.detail} {refused.value.__context__}"
    await db.close()


def test_words_of_both_kinds_name_the_encryption() -> None:
    assert (
        postgresql.dsn("postgresql+asyncpg://me@db/broker?ssl=require") == "postgresql://me@db/broker?sslmode=require"
    )


WAITS = inserting("setting", ("name", "value"), "tt", waits=True)
NAMED = reading("SELECT name, value FROM setting WHERE name = ?", "t")
MOVED = updating("change", "count = ?", "count = ?", "nn", echo=0)


async def told(db: Database, *every: Step) -> list[Rows]:
    """What a transaction of these steps is sent, one after the other."""

    def steps() -> Steps[list[Rows]]:
        sent: list[Rows] = []
        for each in every:
            sent += [(yield each)]
        return sent

    runner = PostgresSteps(db)
    try:
        return await runner.run(steps(), singly=True, asked_at=0.0)
    finally:
        await runner.close()


async def test_a_write_that_waits_is_there_for_what_reads_after_it_and_at_the_end(db: Database) -> None:
    one, other, last = [("a", "1"), ("b", "2")], [("c", "3")], [("d", "4")]
    sent = await told(db, (WAITS, one), (NAMED, [("b",)]), (WAITS, other), (WAITS, last))
    assert sent == [[], [("b", "2")], [], []]
    assert await told(db, (NAMED, [("a",), ("b",), ("c",), ("d",)])) == [[*one, *other, *last]]


async def test_a_write_that_waits_goes_with_the_next_one_which_says_what_it_changed(db: Database) -> None:
    assert await told(db, (WAITS, [("a", "1"), ("b", "2")]), (MOVED, [(7, 0), (8, 100)])) == [[], [(7,)]]
    assert await told(db, (NAMED, [("b",)])) == [[("b", "2")]]


async def test_nothing_of_two_writes_in_one_stays_where_one_of_them_breaks(db: Database) -> None:
    with pytest.raises(postgresql.Broken):
        await told(db, (MOVED, [(5, 0)]), (WAITS, [("a", "1"), ("a", "2")]), (MOVED, [(6, 5)]))
    assert await told(db, (NAMED, [("a",)]), (MOVED, [(9, 0)])) == [[], [(9,)]]
