"""What the tests of rotations begin with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stores import Store
from tests.vault.furnished import Fused


@pytest.fixture
async def db(store: Store) -> AsyncIterator[Fused]:
    opened = Fused(store.url, synchronous="normal")
    yield opened
    await opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "master.key"
