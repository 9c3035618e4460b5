"""When the books cannot answer nothing is forwarded; once they can, all goes on by itself."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.store import group
from broker.store.sqlite_steps import SqliteSteps
from tests.fake_provider import Asked, answer_chat
from tests.proxy.world import World
from tests.stores import Store


@pytest.fixture
def page_store(fresh_sqlite: Store) -> Store:
    """These break a file."""
    return fresh_sqlite


@pytest.fixture
async def impatient(world: World) -> World:
    """It waits a tenth of a second for a lock."""
    world.db.busy_ms = 100
    return world


async def _pragma(connection: AsyncConnection, setting: str) -> None:
    await connection.execute(text(f"PRAGMA {setting}"))


async def test_a_locked_database_refuses_and_recovers(impatient: World, tmp_path: Path) -> None:
    token = await impatient.token()
    with closing(sqlite3.connect(tmp_path / "broker.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answered = await impatient.call(token)
        assert (answered.status, answered.code) == (503, "unavailable")
        assert answered.headers["retry-after"] == "1"
        assert impatient.provider.asked == []
        other.execute("ROLLBACK")
    assert (await impatient.call(token)).status == 200


async def test_a_call_behind_another_waits_no_longer_for_a_locked_database(world: World, tmp_path: Path) -> None:
    world.db.busy_ms = 1_000
    token = await world.token()
    with closing(sqlite3.connect(tmp_path / "broker.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asked_at = monotonic()
        first = asyncio.create_task(world.call(token))
        await asyncio.sleep(0.1)
        assert [(await call).status for call in (world.call(token), first)] == [503, 503]
        assert monotonic() - asked_at < 1.7
        other.execute("ROLLBACK")


async def test_a_full_disk_refuses_and_recovers(world: World) -> None:
    token = await world.token()
    await world.db.write_core(_fill)
    await _bounded(world)
    codes: list[int] = []
    while 503 not in codes and len(codes) < 100:
        codes.append((await world.call(token)).status)
    assert codes.count(200) == len(codes) - 1 == len(world.provider.asked)
    await world.db.write_core(_grow)
    await _bounded(world, "1000000")
    assert (await world.call(token)).status == 200
    assert {row.mark for row in await world.at_rest()} == {"reported"}
    assert (await world.verified()).startswith("OK")


async def _fill(connection: AsyncConnection) -> None:
    """From here on there is not one page more."""
    (pages,) = (await connection.execute(text("PRAGMA page_count"))).one()
    await _pragma(connection, f"max_page_count={pages}")


async def _bounded(world: World, pages: str = "(SELECT page_count FROM pragma_page_count)") -> None:
    """The books write through a connection of their own."""
    runner = world.books._runner
    assert isinstance(runner, SqliteSteps)
    connection = runner._open()
    (count,) = connection.execute(f"SELECT {pages}").fetchone()
    connection.execute(f"PRAGMA max_page_count={count}")


async def _grow(connection: AsyncConnection) -> None:
    await _pragma(connection, "max_page_count=1000000")


async def test_an_unreadable_database_refuses(world: World) -> None:
    token = await world.token()
    await world.db.write_core(_drop)
    answered = await world.call(token)
    assert (answered.status, answered.code) == (503, "unavailable")
    assert world.provider.asked == []


async def _drop(connection: AsyncConnection) -> None:
    await connection.execute(text("ALTER TABLE counter RENAME TO lost"))


async def test_a_settlement_that_cannot_be_written_is_tried_until_it_is(impatient: World, tmp_path: Path) -> None:
    token = await impatient.token()
    other = sqlite3.connect(tmp_path / "broker.db", isolation_level=None)

    async def lock_then_answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        other.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.4, other.execute, "ROLLBACK")
        await answer_chat(asked, writer)

    impatient.provider.script = lock_then_answer
    assert (await impatient.call(token)).status == 200
    [row] = await impatient.at_rest()
    assert (row.mark, row.cost) == ("reported", 5)
    other.close()


async def test_when_too_much_waits_for_the_books_a_call_is_refused_and_what_was_taken_is_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One may wait beside what is being written: of ten calls at least eight find no room."""
    token = await world.token()
    assert (await world.call(token)).status == 200
    await world.at_rest()
    monkeypatch.setattr(group, "MOST_WAITING", 1)
    async with world.db.turn:
        calls = [asyncio.create_task(world.call(token)) for _ in range(10)]
        await asyncio.wait(calls, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    answers = await asyncio.gather(*calls)
    refused = [answered for answered in answers if answered.status != 200]
    assert len(refused) >= 1
    assert {(answered.status, answered.code) for answered in refused} == {(503, "unavailable")}
    assert {answered.headers["retry-after"] for answered in refused} == {"1"}
    assert len(world.provider.asked) == 1 + len(answers) - len(refused)
    await world.at_rest()
    assert (await world.call(token)).status == 200
