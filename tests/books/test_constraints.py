"""What the database itself refuses, whoever asks."""

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from broker.core.errors import Unavailable
from tests.books.world import Books, reported

COUNTER = (
    'INSERT INTO counter (scope_kind, scope_id, measure, period_kind, period_start, "limit", target, settled, held, overrun)'
    " VALUES (:scope_kind, 'x', :measure, :period_kind, 0, :limit, :target, :settled, :held, :overrun)"
)
REFUSED = (IntegrityError, Unavailable)
"""The second is how PostgreSQL's word for a value of another type arrives."""
GOOD: dict[str, Any] = {
    "scope_kind": "tier", "measure": "money", "period_kind": "grant", "limit": 10, "target": 10, "settled": 4, "held": 6,
    "overrun": 0,
}  # fmt: skip


async def test_a_counter_within_its_limit_is_taken(books: Books) -> None:
    await books.run(COUNTER, **GOOD)
    await books.run("DELETE FROM counter WHERE scope_id = 'x'")


@pytest.mark.parametrize(
    "wrong",
    [
        {"held": 7},
        {"settled": 11, "held": 0},
        {"settled": -1},
        {"held": -1},
        {"overrun": -1},
        {"target": -1},
        {"settled": "4x"},
        {"settled": None},
        {"limit": float("nan")},
        {"limit": 2**63 - 1, "settled": 2**63 - 1, "held": 2**63 - 1},
        {"scope_kind": "anybody"},
        {"measure": "euros"},
        {"period_kind": "year"},
    ],
    ids=str,
)
async def test_a_counter_that_is_wrong_is_refused(books: Books, wrong: dict[str, Any]) -> None:
    with pytest.raises(REFUSED):
        await books.run(COUNTER, **(GOOD | wrong))


async def test_a_part_of_a_micro_dollar_is_refused(books_on_sqlite: Books) -> None:
    with pytest.raises(IntegrityError):
        await books_on_sqlite.run(COUNTER, **(GOOD | {"settled": 1.5}))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE counter SET settled = settled + 1000",
        "UPDATE counter SET \"limit\" = 100 WHERE measure = 'money'",
        "UPDATE reservation SET cost = hold + 1",
        "UPDATE reservation SET cost = -1",
        "UPDATE reservation SET overrun = -1",
        "UPDATE reservation SET hold = -1, cost = -1",
        "UPDATE reservation SET state = 'held'",
        "UPDATE reservation SET ended_at = NULL",
        "UPDATE reservation SET mark = ''",
        "UPDATE reservation SET mark = 'lost'",
        "UPDATE reservation SET state = 'gone'",
        "UPDATE reservation SET state = 'released'",
        "UPDATE reservation SET cost = 'free'",
        "UPDATE reservation SET cost = NULL",
        "UPDATE reservation SET grant_id = 'nobody'",
        "UPDATE reservation SET boot_id = 'nobody'",
        "UPDATE grant SET state = 'open'",
        "UPDATE access SET budget = -1",
        "UPDATE access SET budget_per = 'hour'",
        "UPDATE user SET role = 'god'",
        "UPDATE change SET id = 2",
    ],
)
async def test_books_that_would_be_wrong_are_refused(books: Books, change: str) -> None:
    lent = await books.lend(max_requests=5)
    await books.reserve(lent)
    await books.settle(await books.reserve(lent), reported(10, 0))
    where = "" if "WHERE" in change or not change.startswith("UPDATE reservation") else " WHERE state = 'settled'"
    with pytest.raises(REFUSED):
        await books.run(
            change.replace("UPDATE grant", 'UPDATE "grant"').replace("UPDATE user", 'UPDATE "user"') + where
        )


async def test_every_table_is_strict(books_on_sqlite: Books) -> None:
    async def loose(connection: Any) -> list[str]:
        rows = await connection.exec_driver_sql("PRAGMA table_list")
        return [row[1] for row in rows if not row[5] and not row[1].startswith(("sqlite_", "alembic_"))]

    assert await books_on_sqlite.db.read_core(loose) == []


async def test_a_reader_cannot_write(books: Books) -> None:
    async def sly(connection: Any) -> None:
        await connection.exec_driver_sql("UPDATE change SET count = 9")

    with pytest.raises(Unavailable):
        await books.db.read_core(sly)
