"""A call that is admitted at sight is admitted as by a closer look: with the same row, the same figures, the same refusals after it."""

import threading
from typing import Any

import pytest

from broker.core.errors import CallRefused
from broker.core.grant import GrantEvent
from broker.ledger.books import OwnBooks
from broker.ledger.judge import NO_PRICE
from broker.ledger.reserve import Reservation, Reserver
from broker.store.sqlite_steps import QUICK_SECONDS, SqliteSteps
from tests.books.world import Books, Lent, demand, reported
from tests.stores import Store
from tests.turned_clock import TurnedClock

OWN = {"id", "jti", "admitted_at"}
"""What differs between two calls that are alike."""
WIDE: dict[str, Any] = {
    "budget": 10**6,
    "max_requests": 9,
    "requests_per_minute": 9,
    "tokens_per_minute": 10**6,
    "concurrent": 9,
}


async def both(books: Books, lent: Lent, **changes: Any) -> tuple[Reservation, Reservation]:
    """One by books that know nothing yet, and one at sight."""
    closely = await Reserver(OwnBooks(books.db, books.clock), books.clock, books.lease)(lent.jti, demand(**changes))
    await books.reserve(lent, **changes)
    assert books.own._memory.ready
    return closely, await books.reserve(lent, **changes)


@pytest.mark.parametrize(
    "changes", [{}, {"own_output": None}, {"streamed": True, "choices": 3}, {"covers_reasoning": False}]
)
async def test_the_row_is_the_same(books: Books, changes: dict[str, Any]) -> None:
    lent = await books.lend(max_output_tokens=40, **WIDE)
    closely, at_sight = await both(books, lent, **changes)
    first, second = await books.row(closely), await books.row(at_sight)
    assert first.model_dump(exclude=OWN) == second.model_dump(exclude=OWN)
    assert (at_sight.output_max, at_sight.ends_at, at_sight.credential) == (
        closely.output_max,
        closely.ends_at,
        closely.credential,
    )
    assert at_sight.money_left == closely.money_left - 2 * closely.hold
    assert closely.rate is not None
    assert at_sight.rate == closely.rate._replace(
        requests_left=closely.rate.requests_left - 2, tokens_left=closely.rate.tokens_left - 2 * first.rate_tokens
    )


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"budget": 3 * 200}, "budget_exhausted"),
        ({"max_requests": 3}, "requests_exhausted"),
        ({"requests_per_minute": 3}, "rate_limited"),
        ({"tokens_per_minute": 3 * 150}, "rate_limited"),
        ({"concurrent": 3}, "too_many_concurrent"),
    ],
)
async def test_no_limit_is_passed_at_sight(books: Books, limit: dict[str, int], code: str) -> None:
    lent = await books.lend(**(WIDE | limit))
    for _ in range(3):
        await books.reserve(lent)
    assert (await books.refused(lent)).code == code


@pytest.mark.parametrize("code", ["grant_paused", "model_not_granted", "provider_key_unavailable", "no_price"])
async def test_what_is_no_longer_so_is_not_taken_for_granted(books: Books, code: str) -> None:
    lent = await books.lend(**WIDE)
    for _ in range(2):
        await books.reserve(lent)
    changes: dict[str, Any] = {}
    if code == "grant_paused":
        await books.move(lent.grant_id, GrantEvent.PAUSE)
    elif code == "model_not_granted":
        await books.run("UPDATE access SET models = '[\"gpt-4o\"]' WHERE id = :id", id=lent.access_id)
    elif code == "provider_key_unavailable":
        await books.run("UPDATE credential SET removed_at = 1, sealed = ''")
    else:
        changes = {"price": NO_PRICE}
    assert (await books.refused(lent, **changes)).code == code


async def test_a_call_that_needs_more_than_the_last_one_is_looked_at(books: Books) -> None:
    lent = await books.lend(**WIDE)
    for _ in range(2):
        await books.reserve(lent)
    for changes in ({"extra_actions": frozenset(["vision"])}, {"unbounded": "No bound."}):
        with pytest.raises(CallRefused):
            await books.reserver(lent.jti, demand(**changes))


async def test_a_disk_that_was_slow_is_waited_for_in_a_thread(fresh_sqlite: Store) -> None:
    books = Books(fresh_sqlite.open(synchronous="full"), TurnedClock())
    await books.open()
    lent = await books.lend(**WIDE)
    runner = books.own._runner
    assert isinstance(runner, SqliteSteps)
    threads: list[int] = []
    runner._open().set_trace_callback(lambda said: threads.append(threading.get_ident()) if said == "COMMIT" else None)
    for took in (0.0, 2 * QUICK_SECONDS):
        runner._commit_took = took
        await books.settle(await books.reserve(lent), reported(1, 1))
        runner._commit_took = took
        await books.reserve(lent)
    runner._open().set_trace_callback(None)
    assert threads[0] == threading.get_ident()
    assert threads[-1] != threading.get_ident()
    await books.db.close()


async def test_a_disk_that_was_very_slow_is_not_trusted_for_one_quick_commit(fresh_sqlite: Store) -> None:
    books = Books(fresh_sqlite.open(synchronous="full"), TurnedClock())
    await books.open()
    lent = await books.lend(**WIDE)
    runner = books.own._runner
    assert isinstance(runner, SqliteSteps)
    runner._commit_took = 10 * QUICK_SECONDS
    await books.reserve(lent)
    assert not runner.is_ready()
    await books.db.close()
