"""Many operations in one transaction: what breaks one breaks no other, and what is undone was never done."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.core.money import MicroUSD
from broker.ledger.ask import Ask
from broker.ledger.books import OwnBooks
from broker.ledger.reserve import Reservation, Reserver
from broker.ledger.settle import Close, Settled
from broker.store.sqlite_steps import QUICK_SECONDS, SqliteSteps
from tests.books.world import ESTIMATED, Books, Lent, demand, reported
from tests.stores import Store
from tests.turned_clock import TurnedClock

LIMITS: list[dict[str, Any]] = [
    {"budget": 4 * 200},
    {"max_requests": 4},
    {"requests_per_minute": 4},
    {"tokens_per_minute": 4 * 150},
    {"concurrent": 4},
]
"""Each leaves room for three calls beside one."""

DIES_AT_COMMIT = (
    """CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'""",
    """CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON reservation DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION die()""",
)


def ask(books: Books, jti: str, **changes: Any) -> Ask:
    return Ask(books.id("res"), jti, demand(**changes), books.lease.boot_id)


def same_id(books: Books, lent: Lent, held: Reservation) -> Ask | Close:
    return Ask(held.id, lent.jti, demand(), books.lease.boot_id)


def no_text(books: Books, lent: Lent, _held: Reservation) -> Ask | Close:
    return ask(books, lent.jti, model="gpt-4o-mini-\ud800")


def unknown(_books: Books, _lent: Lent, _held: Reservation) -> Ask | Close:
    return Close("res_nobody", ESTIMATED)


@pytest.mark.parametrize("broken", [same_id, no_text, unknown])
async def test_one_that_breaks_the_transaction_fails_alone(
    books: Books, broken: Callable[[Books, Lent, Reservation], Ask | Close]
) -> None:
    lent = await books.lend(budget=100 * 200, models='["gpt-*"]', requests_per_minute=50)
    held = await books.reserve(lent)
    asked = [books.own.submit(ask(books, lent.jti)) for _ in range(5)]
    bad: asyncio.Future[Any] = books.own.submit(broken(books, lent, held))
    asked += [books.own.submit(ask(books, lent.jti)) for _ in range(5)]
    closed = books.own.submit(Close(held.id, reported(10, 10)))
    given = await asyncio.gather(*asked)
    with pytest.raises((BrokerError, ValueError, sqlite3.IntegrityError, asyncpg.PostgresError)):
        await bad
    assert [each.hold for each in given] == [200] * 10
    assert await closed == Settled(MicroUSD(30), MicroUSD(0))
    assert len(await books.rows()) == 11


@pytest.mark.parametrize("took", [0.0, 2 * QUICK_SECONDS])
async def test_what_another_has_ended_keeps_no_other_from_its_end(books_on_sqlite: Books, took: float) -> None:
    """On a quick disk and on a slow one, which is waited for in a thread."""
    books = books_on_sqlite
    lent = await books.lend()
    held = [await books.reserve(lent) for _ in range(3)]
    await books.others.submit(Close(held[1].id, reported(1, 1)))
    runner = books.own._runner
    assert isinstance(runner, SqliteSteps)
    runner._commit_took = took
    asked = [books.own.submit(Close(each.id, reported(10, 10))) for each in held]
    costs = [settled.cost for settled in await asyncio.gather(*asked)]
    assert costs[0] == costs[2] > costs[1]
    assert {row.state for row in await books.rows()} == {"settled"}


async def test_a_full_disk_at_commit_leaves_no_hold_in_memory(books_on_sqlite: Books, fresh_sqlite: Store) -> None:
    log = Path(fresh_sqlite.url.removeprefix("sqlite+aiosqlite:///") + "-wal")
    await _undone(books_on_sqlite, lambda: _full(log))


async def test_a_connection_that_dies_at_commit_leaves_no_hold_in_memory(fresh_postgresql: Store) -> None:
    books = Books(fresh_postgresql.open(), TurnedClock())
    await books.open()
    fresh_postgresql.is_spoiled = True
    await _undone(books, lambda: _dying(books))
    assert not await books.fault()
    await books.db.close()


async def _undone(books: Books, failing: Callable[[], AbstractAsyncContextManager[None]]) -> None:
    """After a transaction that failed at its end, all is judged as by one who knows nothing of it."""
    all_lent = [await books.lend(**({"budget": 10**6} | limit)) for limit in LIMITS]
    first = [await books.reserve(lent) for lent in all_lent]
    async with failing():
        asked = [books.own.submit(ask(books, lent.jti)) for lent in all_lent for _ in range(3)]
        closed = [books.own.submit(Close(held.id, reported(100, 50))) for held in first]
        said = await asyncio.gather(*asked, *closed, return_exceptions=True)
    assert [type(each) for each in said if not isinstance(each, Unavailable)] == []
    for lent in all_lent:
        admitted = [await books.reserve(lent) for _ in range(3)]
        ours, theirs = await books.refused(lent), await _refused_by_another(books, lent)
        assert (ours.code, ours.retry_after, ours.extra) == (theirs.code, theirs.retry_after, theirs.extra)
        assert len({each.id for each in admitted}) == 3
    for held in first:
        assert await books.settle(held, reported(100, 50)) == Settled(MicroUSD(200), MicroUSD(0))
    assert len(await books.rows()) == 4 * len(LIMITS)


async def _refused_by_another(books: Books, lent: Lent) -> CallRefused:
    with pytest.raises(CallRefused) as refused:
        await Reserver(OwnBooks(books.db, books.clock), books.clock, books.lease)(lent.jti, demand())
    return refused.value


@asynccontextmanager
async def _full(log: Path) -> AsyncIterator[None]:
    """No file may grow beyond what the log of the database is now; nothing is written to it before COMMIT."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@asynccontextmanager
async def _dying(books: Books) -> AsyncIterator[None]:
    for statement in DIES_AT_COMMIT:
        await books.run(statement)
    yield
    await books.run("DROP TRIGGER dies ON reservation")
