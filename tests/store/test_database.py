"""One transaction a unit of work, and one writer at a time, on both stores and over all who opened them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from time import monotonic

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable
from broker.store import facts
from broker.store.database import READERS, Database
from broker.store.tables import Setting
from tests.stores import Store


@pytest.fixture
async def db(store: Store) -> AsyncIterator[Database]:
    database = store.open()
    yield database
    await database.close()


@pytest.fixture
async def other(store: Store) -> AsyncIterator[Database]:
    """As another process, or another machine, has it open."""
    database = store.open()
    yield database
    await database.close()


async def count(tx: AsyncSession) -> int:
    """Read, decide, write: what only holds where writers wait for each other."""
    value = int(await facts.load(tx, "count") or 0) + 1
    await asyncio.sleep(0)
    await facts.save(tx, "count", str(value))
    return value


async def test_whoever_writes_has_the_database_for_itself(db: Database, other: Database) -> None:
    counted = await asyncio.gather(*(each.write(count) for _ in range(25) for each in (db, other)))
    assert sorted(counted) == list(range(1, 51))


async def test_what_was_written_is_read_by_all(db: Database, other: Database) -> None:
    await db.write(count)
    assert await other.read(lambda tx: facts.load(tx, "count")) == "1"


async def test_what_fails_leaves_nothing(db: Database) -> None:
    async def twice(tx: AsyncSession) -> None:
        await count(tx)
        tx.add(Setting(name="count", value="2"))

    with pytest.raises(IntegrityError):
        await db.write(twice)
    assert await db.read(lambda tx: facts.load(tx, "count")) is None


async def test_a_caller_that_goes_away_leaves_its_transaction_whole(db: Database) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(tx: AsyncSession) -> None:
        begun.set()
        await go_on.wait()
        await count(tx)

    caller = asyncio.create_task(db.write(slow))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    assert await db.write(count) == 2


async def test_a_page_reads_one_moment_whatever_is_written_meanwhile(db: Database) -> None:
    await db.write(count)
    read, go_on = asyncio.Event(), asyncio.Event()

    async def page(tx: AsyncSession) -> tuple[str | None, str | None]:
        first = await facts.load(tx, "count")
        read.set()
        await go_on.wait()
        tx.expire_all()
        return first, await facts.load(tx, "count")

    reading = asyncio.create_task(db.read(page))
    await read.wait()
    await db.write(count)
    go_on.set()
    assert await reading == ("1", "1")


async def test_a_writer_that_waited_in_vain_is_told_so_and_the_next_is_not(store: Store, db: Database) -> None:
    hasty, written, go_on = store.open(busy_ms=50), asyncio.Event(), asyncio.Event()

    async def long(tx: AsyncSession) -> None:
        await count(tx)
        written.set()
        await go_on.wait()

    writing = asyncio.create_task(db.write(long))
    await written.wait()
    with pytest.raises(Unavailable):
        await hasty.write(count)
    go_on.set()
    await writing
    assert await hasty.write(count) == 2
    await hasty.close()


async def test_those_in_line_wait_together_for_who_keeps_the_file_locked(fresh_sqlite: Store) -> None:
    """One after the other they would take two seconds."""
    db, asked_at = fresh_sqlite.open(busy_ms=250), monotonic()
    with closing(sqlite3.connect(make_url(db.url).database or "", isolation_level=None)) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        told = await asyncio.gather(*(db.write(count) for _ in range(8)), return_exceptions=True)
        assert {type(each) for each in told} == {Unavailable}
        assert monotonic() - asked_at < 1
        asyncio.get_running_loop().call_later(0.1, elsewhere.execute, "ROLLBACK")
        assert await db.write(count) == 1
    await db.close()


async def test_when_every_reader_is_busy_the_next_is_told_so_after_a_while(fresh_postgresql: Store) -> None:
    db, go_on = fresh_postgresql.open(busy_ms=200), asyncio.Event()

    async def page(tx: AsyncSession) -> None:
        await facts.load(tx, "count")
        await go_on.wait()

    reading = [asyncio.create_task(db.read(page)) for _ in range(READERS)]
    with pytest.raises(Unavailable):
        await asyncio.gather(db.read(page), db.read(page))
    go_on.set()
    await asyncio.gather(*reading)
    await db.close()
