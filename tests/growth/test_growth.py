"""Pages cost what they show, and not what was ever spent."""

import os
import sys
from time import perf_counter
from typing import Any

import pytest
from sqlalchemy import event

from broker.ledger.verify import verify
from broker.store.database import Database
from broker.store.tables import User
from tests.growth.pages import PAGES, seconds
from tests.growth.seed import USER
from tests.web_grants.conftest import BrowserOf

CALLS = int(os.environ.get("GROWTH", "0"))
AT_LENGTH = CALLS > 0
SIZES = [(1, CALLS), (1_000, CALLS)] if AT_LENGTH else [(1, 100_000), (200, 20_000)]
ROUNDS = 5 if AT_LENGTH else 1
MOST_SECONDS = 0.2 if AT_LENGTH else 1.5
"""At length it is what was promised; else a page that reads every row is found on a busy machine all the same."""

LONG = {"reservation", "usage_quarter", "spending_quarter", "counter", "refusal", "access_token", "audit_entry"}
"""Tables that grow with every call, grant or token: nobody may read the whole of one to show a page."""


def say(line: str) -> None:
    if AT_LENGTH:
        sys.stderr.write(f"{line}\n")


@pytest.mark.parametrize("grown", SIZES, indirect=True, ids=str)
async def test_every_page_is_quick(db: Database, browser_of: BrowserOf, request: pytest.FixtureRequest) -> None:
    browser = await browser_of(await db.read(lambda tx: tx.get_one(User, USER)))
    taken = await seconds(browser, ROUNDS)
    say(f"\n{request.node.callspec.id}: grants, calls")
    for path, time in sorted(taken.items(), key=lambda item: -item[1]):
        say(f"{time * 1000:8.1f} ms  {path}")
    assert {path: time for path, time in taken.items() if time > MOST_SECONDS} == {}


@pytest.mark.parametrize("grown", SIZES[1:], indirect=True, ids=str)
async def test_no_page_reads_a_long_table_from_end_to_end(db: Database, browser_of: BrowserOf) -> None:
    browser = await browser_of(await db.read(lambda tx: tx.get_one(User, USER)))
    asked: dict[str, Any] = {}

    def hear(_c: object, _k: object, statement: str, values: Any, _x: object, _m: object) -> None:
        if statement.startswith("SELECT"):
            asked[statement] = values

    event.listen(db._reader.sync_engine, "before_cursor_execute", hear)
    for path in PAGES:
        await browser.go(path)
    event.remove(db._reader.sync_engine, "before_cursor_execute", hear)
    assert len(asked) > 20
    scans = {statement: steps for statement in asked if (steps := await _scans(db, statement, asked[statement]))}
    assert scans == {}


async def _scans(db: Database, statement: str, values: Any) -> list[str]:
    async def work(connection: Any) -> list[str]:
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        return [str(tuple(row)[3]) for row in rows]

    steps = await db.read_core(work)
    # What is held is an index of few rows, which may well be read from end to end.
    return [
        step
        for step in steps
        if step.startswith("SCAN") and step.split()[1] in LONG and "ix_reservation_held" not in step
    ]


@pytest.mark.parametrize("grown", SIZES if AT_LENGTH else SIZES[1:], indirect=True, ids=str)
async def test_books_that_have_grown_are_right(db: Database, request: pytest.FixtureRequest) -> None:
    begun = perf_counter()
    verdict = await verify(db)
    say(f"{perf_counter() - begun:8.1f} s   ledger verify, {request.node.callspec.id}: {verdict}")
    assert not verdict.fault
