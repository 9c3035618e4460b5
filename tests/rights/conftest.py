"""A place for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.core.secret import Secret
from tests.rights.place import Place, open_place
from tests.stores import Store


@pytest.fixture
async def place(tmp_path: Path, migrated: Path, page_store: Store) -> AsyncIterator[Place]:
    url = Secret(page_store.url if page_store.is_postgresql else "")
    async with open_place(tmp_path, migrated, database_url=url) as made:
        yield made
