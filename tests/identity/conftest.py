"""A database, and the cheapest argon2id."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.identity.passwords import Passwords
from broker.store import migrate
from broker.store.database import Database, sqlite_url
from tests.turned_clock import TurnedClock


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    migrate.upgrade(tmp_path / "broker.db")
    database = Database(sqlite_url(tmp_path), synchronous="normal")
    yield database
    await database.close()


@pytest.fixture
async def passwords() -> Passwords:
    return Passwords.cheap()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()
