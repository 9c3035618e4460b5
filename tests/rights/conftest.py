"""A place for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rights.place import Place, open_place


@pytest.fixture
async def place(tmp_path: Path, migrated: Path) -> AsyncIterator[Place]:
    async with open_place(tmp_path, migrated) as made:
        yield made
