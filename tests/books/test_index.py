"""A ledger that grew does not slow the next call down."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.store.sqlite_steps import SqliteSteps
from tests.books.world import Books, reported


async def plans(books: Books, statements: list[tuple[str, Any]]) -> list[str]:
    async def work(connection: AsyncConnection) -> list[str]:
        found: list[str] = []
        for statement, values in statements:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            found += [tuple(row)[3] for row in rows]
        return found

    return await books.db.read_core(work)


async def said(books: Books) -> list[tuple[str, Any]]:
    """The statements of a reservation with every rate, a settlement and of a sweep."""
    spoken: list[tuple[str, Any]] = []

    def hear(_c: object, _k: object, statement: str, values: Any, _x: object, _m: object) -> None:
        if "reservation" in statement:
            spoken.append((statement, values))

    def overhear(statement: str) -> None:
        if "reservation" in statement:
            spoken.append((statement, ()))

    lent = await books.lend(requests_per_minute=9, tokens_per_minute=9_000, concurrent=9)
    event.listen(books.db._reader.sync_engine, "before_cursor_execute", hear)
    runner = books.own._runner
    assert isinstance(runner, SqliteSteps)
    runner._open().set_trace_callback(overhear)
    try:
        await books.settle(await books.reserve(lent), reported(1, 1))
        await books.sweep()
    finally:
        runner._open().set_trace_callback(None)
        event.remove(books.db._reader.sync_engine, "before_cursor_execute", hear)
    return spoken


async def test_no_statement_of_a_call_reads_the_whole_ledger(books_on_sqlite: Books) -> None:
    steps = await plans(books_on_sqlite, await said(books_on_sqlite))
    scans = [step for step in steps if step.startswith("SCAN reservation") and "ix_reservation_held" not in step]
    assert scans == []
    assert any("ix_reservation_held (access_id=?)" in step for step in steps)
    assert any("ix_reservation_access_id_admitted_at (access_id=? AND admitted_at>?)" in step for step in steps)
