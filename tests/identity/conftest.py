"""A database, and the cheapest argon2id."""

from collections.abc import AsyncIterator

import pytest

from broker.identity.passwords import Passwords
from broker.store.database import Database
from tests.stores import Store
from tests.turned_clock import TurnedClock


@pytest.fixture
async def db(store: Store) -> AsyncIterator[Database]:
    database = store.open()
    yield database
    await database.close()


@pytest.fixture
async def passwords() -> Passwords:
    return Passwords.cheap()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()
