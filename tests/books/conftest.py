import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.store.database import Database, sqlite_url
from tests.books.world import Books
from tests.turned_clock import TurnedClock


@pytest.fixture
async def books(migrated: Path, tmp_path: Path) -> AsyncIterator[Books]:
    """Each test leaves its books right, whatever it did to them."""
    shutil.copy(migrated, tmp_path / "broker.db")
    db = Database(sqlite_url(tmp_path), synchronous="normal")
    opened = Books(db, TurnedClock())
    await opened.open()
    yield opened
    fault = await opened.fault()
    await db.close()
    assert not fault, fault
