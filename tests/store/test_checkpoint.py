"""SQLite's log is moved into the database beside those who write, and does not grow for ever."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.store import checkpoint, facts
from broker.store.checkpoint import Checkpointer
from broker.store.database import Database
from tests.stores import Store

LONG = 60
"""Pages of log, instead of thousands."""
PAGE, FRAME, HEAD = 4_096, 24, 32
"""Bytes of a page, and what the log has before each and before all."""


@pytest.fixture
def file(fresh_sqlite: Store) -> Path:
    return fresh_sqlite._file


@pytest.fixture
async def db(fresh_sqlite: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """As whoever has a checkpointer opens it: those who write move nothing."""
    monkeypatch.setattr(checkpoint, "LONG", LONG)
    opened = fresh_sqlite.open(autocheckpoint=False)
    yield opened
    await opened.close()


@pytest.fixture
async def checkpointer(db: Database) -> AsyncIterator[Checkpointer]:
    made = Checkpointer(db)
    yield made
    await made.close()


async def write(db: Database, name: str, pages: int = 1) -> None:
    await db.write(lambda tx: facts.save(tx, name, "x" * pages * PAGE))


def log_pages(file: Path) -> int:
    size = Path(f"{file}-wal").stat().st_size
    return max(0, size - HEAD) // (PAGE + FRAME)


def without_its_log(file: Path, tmp_path: Path) -> set[str]:
    """What a copy of the database alone has."""
    alone = tmp_path / "alone.db"
    alone.write_bytes(file.read_bytes())
    with closing(sqlite3.connect(alone)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM setting")}


async def test_what_is_in_the_log_moves_into_the_database(
    db: Database, checkpointer: Checkpointer, file: Path, tmp_path: Path
) -> None:
    await write(db, "a")
    assert without_its_log(file, tmp_path) == set()
    await checkpointer.checkpoint()
    assert without_its_log(file, tmp_path) == {"a"}


async def test_a_short_log_makes_nobody_wait(db: Database, checkpointer: Checkpointer) -> None:
    await write(db, "a")
    async with db.turn:  # which is taken for a long log only
        await asyncio.wait_for(checkpointer.checkpoint(), 30)


async def test_a_long_log_begins_again_although_somebody_writes_all_the_time(
    db: Database, checkpointer: Checkpointer, file: Path
) -> None:
    """What is being written while the log is moved is moved, too, before the next may write."""
    written, go_on = asyncio.Event(), asyncio.Event()

    async def in_the_middle(tx: AsyncSession) -> None:
        await facts.save(tx, "middle", "x" * PAGE)
        await tx.flush()
        written.set()
        await go_on.wait()

    await write(db, "long", LONG)
    writing = asyncio.create_task(db.write(in_the_middle))
    await written.wait()
    moving = asyncio.create_task(checkpointer.checkpoint())
    await asyncio.sleep(0.05)
    has_waited = not moving.done()
    go_on.set()
    await asyncio.gather(writing, moving)
    before = log_pages(file)
    assert has_waited
    assert before > LONG
    await write(db, "next")
    assert log_pages(file) == before


async def test_the_log_does_not_grow_for_ever(db: Database, checkpointer: Checkpointer, file: Path) -> None:
    for number in range(30):
        await write(db, f"{number}", 20)
        await checkpointer.checkpoint()
    assert log_pages(file) < LONG + 60


async def test_who_reads_one_moment_for_long_keeps_the_log_and_breaks_nothing(
    db: Database, checkpointer: Checkpointer, file: Path, tmp_path: Path
) -> None:
    await write(db, "before")
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM setting").fetchone() == (1,)
        for number in range(5):
            await write(db, f"{number}", LONG)
            await asyncio.wait_for(checkpointer.checkpoint(), 30)
        assert log_pages(file) > 5 * LONG
        assert without_its_log(file, tmp_path) <= {"before"}
        assert reader.execute("SELECT count(*) FROM setting").fetchone() == (1,)
        reader.execute("COMMIT")
    await checkpointer.checkpoint()
    kept = log_pages(file)
    await write(db, "after", LONG)
    assert log_pages(file) == kept
    await checkpointer.checkpoint()
    assert without_its_log(file, tmp_path) == {"before", "after", *map(str, range(5))}
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_it_looks_by_itself_and_can_be_ended_at_any_moment(
    db: Database, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "LOOK_SECONDS", 0)
    others = set(threading.enumerate())
    for number in range(20):
        made = Checkpointer(db)
        made.start()
        await write(db, f"{number}", LONG)
        await asyncio.sleep(number / 2000)
        await made.close()
        begun = set(threading.enumerate()) - others
        assert [thread.name for thread in begun if thread.name.startswith("checkpoint")] == []
    made, all_of_it = Checkpointer(db), {str(number) for number in range(20)}
    made.start()
    async with asyncio.timeout(30):
        while _moved(file, tmp_path) != all_of_it:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    await made.close()


def _moved(file: Path, tmp_path: Path) -> set[str]:
    """Nothing where the copy was taken in the middle of it."""
    with suppress(sqlite3.DatabaseError):
        return without_its_log(file, tmp_path)
    return set()


async def test_it_ends_while_it_waits_for_its_turn(db: Database, file: Path) -> None:
    await write(db, "long", LONG)
    made = Checkpointer(db)
    async with db.turn:
        moving = asyncio.create_task(made.checkpoint())
        await asyncio.sleep(0.05)
        assert not moving.done()
        moving.cancel()
        await asyncio.wait_for(made.close(), 30)
    await write(db, "after")  # and leaves the turn to others


async def test_a_database_that_cannot_be_read_is_asked_again_later(fresh_sqlite: Store) -> None:
    fresh_sqlite.take_down()
    db = fresh_sqlite.open()
    made = Checkpointer(db)
    await made.checkpoint()
    fresh_sqlite.clear()
    await write(db, "a")
    await made.checkpoint()
    await made.close()
    await db.close()
