"""A COMMIT whose answer never comes: it may have been done, and the books are right in both cases."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.core.errors import Unavailable
from broker.core.money import MicroUSD
from broker.ledger.books import OwnBooks
from broker.ledger.reserve import Reserver
from broker.ledger.settle import Close, Settled
from broker.store.database import Database
from tests.books.lossy import Lossy, lossy
from tests.books.world import Books, Lent, demand, reported, standing
from tests.stores import Store
from tests.turned_clock import TurnedClock


class Far:
    """A process whose way to the books may lose a COMMIT, and the books as another one sees them."""

    def __init__(self, books: Books, way: Lossy) -> None:
        self.books, self.way = books, way
        self.db = Database(way.url)
        self.own = OwnBooks(self.db, books.clock)
        self.reserve = Reserver(self.own, books.clock, books.lease)

    async def held(self, lent: Lent) -> tuple[int, int, int]:
        return standing(await self.books.money(lent.access_id))


@pytest.fixture
async def far(fresh_postgresql: Store) -> AsyncIterator[Far]:
    books = Books(fresh_postgresql.open(), TurnedClock())
    await books.open()
    # With a short name: the path of a socket holds some hundred bytes.
    with tempfile.TemporaryDirectory(prefix="broker-") as folder:
        async with lossy(fresh_postgresql.url, Path(folder)) as way:
            far = Far(books, way)
            yield far
            await far.db.close()
    fault = await books.fault()
    await books.db.close()
    assert not fault, fault


async def test_a_hold_that_nobody_was_told_of_is_given_back(far: Far) -> None:
    lent = await far.books.lend(budget=200)
    far.way.loses = True
    with pytest.raises(Unavailable):
        await far.reserve(lent.jti, demand())
    assert await far.held(lent) == (0, 200, 0)
    await far.reserve.give_back()
    assert await far.held(lent) == (0, 0, 0)
    assert (await far.reserve(lent.jti, demand())).hold == 200


async def test_a_settlement_that_nobody_was_told_of_is_asked_for_again_and_counts_once(far: Far) -> None:
    lent = await far.books.lend(budget=400, requests_per_minute=2)
    held = await far.reserve(lent.jti, demand())
    far.way.loses = True
    with pytest.raises(Unavailable):
        await far.own.submit(Close(held.id, reported(100, 20)))
    assert await far.held(lent) == (140, 0, 0)
    assert await far.own.submit(Close(held.id, reported(100, 20))) == Settled(MicroUSD(140), MicroUSD(0))
    assert await far.held(lent) == (140, 0, 0)
    assert (await far.reserve(lent.jti, demand())).hold == 200
