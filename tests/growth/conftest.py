"""Pages on books that have grown."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from broker.store import migrate, sessions
from broker.store.database import Database, sqlite_url
from tests.growth.seed import USER, Size, seed
from tests.turned_clock import NOON
from tests.web_grants.conftest import app, browser_of, clock, provider, vault, web

__all__ = ["app", "browser_of", "clock", "provider", "vault", "web"]


@pytest.fixture(scope="module")
def grown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a database of (grants, calls), made once for each size: pages only read it."""
    grants, calls = request.param
    folder = tmp_path_factory.mktemp(f"grown-{grants}-{calls}")
    migrate.upgrade(folder / "broker.db")
    seed(folder / "broker.db", Size(grants, calls, NOON))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def db(grown: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(grown), synchronous="normal")
    await database.write(lambda tx: sessions.end_of_user(tx, USER))
    yield database
    await database.close()
