"""Two processes on one database, many calls at once, and one of them killed."""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests import rooms
from tests.books.world import LONG_LEASE, Books, Lent, standing
from tests.stores import Store

SHORT_LEASE = 20
"""Seconds: longer than the test, which turns its own clock."""


@asynccontextmanager
async def worker(store: Store, lent: Lent, lease: int, task: str, number: int) -> AsyncIterator[Process]:
    """Ready to begin, and gone at the end whatever happened."""
    words = [store.url, lent.jti, str(lease), task, str(number)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.books.worker", *words, cwd=rooms.CHECKOUT, stdin=PIPE, stdout=PIPE
    )
    try:
        assert await said(process) == "ready"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


def go(*processes: Process) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")


async def test_a_budget_for_ten_admits_exactly_ten_of_forty_over_two_processes(books: Books, store: Store) -> None:
    books.clock.now = time.time_ns() // 1_000
    lent = await books.lend(budget=10 * 200)
    async with (
        worker(store, lent, LONG_LEASE, "hold", 20) as one,
        worker(store, lent, LONG_LEASE, "hold", 20) as other,
    ):
        go(one, other)
        admitted = [int(await said(one)), int(await said(other))]
        assert sum(admitted) == 10
        assert standing(await books.money(lent.access_id)) == (0, 10 * 200, 0)


async def test_ten_on_one_key_are_exactly_ten_however_many_apps_and_processes_there_are(
    books: Books, store: Store
) -> None:
    books.clock.now = time.time_ns() // 1_000
    await books.limit("credential", books.own_key, "grant", budget=10 * 200)
    async with AsyncExitStack() as stack:
        apps = [await books.lend(budget=10**6) for _ in range(2)]
        workers = [await stack.enter_async_context(worker(store, lent, LONG_LEASE, "hold", 20)) for lent in apps]
        go(*workers)
        assert sum([int(await said(each)) for each in workers]) == 10
    [row] = [row for row in await books.counters() if row.scope_kind == "credential"]
    assert standing(row) == (0, 10 * 200, 0)


async def test_a_process_killed_in_the_middle_leaves_books_that_the_sweep_makes_right(
    books: Books, store: Store
) -> None:
    books.clock.now = time.time_ns() // 1_000
    lent = await books.lend(budget=60 * 200)
    async with (
        worker(store, lent, LONG_LEASE, "work", 64) as survivor,
        worker(store, lent, SHORT_LEASE, "work", 4_000) as victim,
    ):
        go(survivor, victim)
        for _ in range(20):
            assert await said(victim) == "ended"
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        while await said(survivor) != "done":
            pass
    left = sum(row.state == "held" for row in await books.rows())
    assert not await books.fault()
    books.clock.turn(3600)
    assert await books.sweep() == left
    rows = await books.rows()
    assert {row.state for row in rows} == {"settled", "released"}
    assert sum(row.mark == "unresolved" for row in rows) == left
    money = await books.money(lent.access_id)
    assert (money.held, money.overrun) == (0, 0)
    assert money.settled == sum(row.cost for row in rows) <= 60 * 200
