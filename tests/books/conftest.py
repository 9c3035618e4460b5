from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.books.world import Books
from tests.stores import Store
from tests.turned_clock import TurnedClock


@pytest.fixture
async def books(store: Store) -> AsyncIterator[Books]:
    """Each test leaves its books right, whatever it did to them."""
    async with right(store) as opened:
        yield opened


@pytest.fixture
async def books_on_sqlite(fresh_sqlite: Store) -> AsyncIterator[Books]:
    async with right(fresh_sqlite) as opened:
        yield opened


@asynccontextmanager
async def right(store: Store) -> AsyncIterator[Books]:
    opened = Books(store.open(), TurnedClock())
    await opened.open()
    yield opened
    fault = await opened.fault()
    await opened.db.close()
    assert not fault, fault
