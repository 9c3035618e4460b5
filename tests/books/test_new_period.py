"""The moment a period begins: its counters are not there yet, and everybody makes them at once."""

import asyncio
import random

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import DAY
from broker.core.errors import CallRefused
from broker.ledger.books import OwnBooks
from broker.ledger.limits import change_limits
from broker.ledger.reserve import Reservation, Reserver
from broker.store.grant_tables import Access
from tests.books.world import NOT_RUN, Books, Lent, demand
from tests.stores import Store

BROKERS, ACCESSES, ROUNDS = 3, 12, 5


async def test_at_midnight_all_are_served_and_no_budget_is_passed(books: Books, store: Store) -> None:
    lent = [await books.lend(budget=2 * 200, budget_per="day") for _ in range(ACCESSES)]
    databases = [store.open() for _ in range(BROKERS)]
    brokers = [Reserver(OwnBooks(db, books.clock), books.clock, books.lease) for db in databases]
    for seed in range(ROUNDS):
        books.clock.now += DAY
        said = await asyncio.gather(*(_ask_for_all(broker, lent, seed * 10 + n) for n, broker in enumerate(brokers)))
        codes = [each.code for some in said for each in some if isinstance(each, CallRefused)]
        assert codes == ["budget_exhausted"] * ACCESSES
        assert not await books.fault()
    for db in databases:
        await db.close()


async def test_who_comes_second_at_midnight_is_told_the_limit_that_comes_first(books: Books, store: Store) -> None:
    lent = await books.lend(budget=200, budget_per="day", max_requests=1)
    databases = [store.open() for _ in range(BROKERS)]
    brokers = [Reserver(OwnBooks(db, books.clock), books.clock, books.lease) for db in databases]
    for _ in range(ROUNDS):
        books.clock.now += DAY
        said = await asyncio.gather(*(_outcome(broker, lent) for broker in brokers))
        assert [each.code for each in said if isinstance(each, CallRefused)] == ["budget_exhausted"] * (BROKERS - 1)
        for held in said:
            if isinstance(held, Reservation):
                await books.settle(held, NOT_RUN)
    for db in databases:
        await db.close()


async def _ask_for_all(reserve: Reserver, lent: list[Lent], seed: int) -> list[Reservation | CallRefused]:
    """Each broker in an order of its own, many in one transaction. Raises Unavailable."""
    mixed = random.Random(seed).sample(lent, len(lent))
    return await asyncio.gather(*(_outcome(reserve, each) for each in mixed))


async def _outcome(reserve: Reserver, lent: Lent) -> Reservation | CallRefused:
    try:
        return await reserve(lent.jti, demand())
    except CallRefused as refusal:
        return refusal


async def test_a_limit_typed_by_a_clock_that_lags_holds_for_the_new_period(books: Books) -> None:
    lent = await books.lend(budget=1_000, budget_per="day")
    books.clock.now += DAY
    assert (await books.refused(lent, input_bound=2_000)).code == "budget_exhausted"

    async def change(tx: AsyncSession) -> None:
        access = await tx.get_one(Access, lent.access_id)
        access.budget = 100
        await change_limits(tx, access, books.clock() - DAY)

    await books.db.write(change)
    assert (await books.refused(lent)).code == "budget_exhausted"
    assert (await books.reserve(lent, input_bound=60, own_output=20)).hold == 100
