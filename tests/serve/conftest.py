"""Data directories that need no migration any more."""

import shutil
from pathlib import Path

import pytest

from broker.store import migrate


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("migrated")
    migrate.upgrade(data / "broker.db")
    return data


@pytest.fixture
def folder(tmp_path: Path, migrated: Path) -> Path:
    """Where a server can be started: ./data has the present schema and nothing in it."""
    shutil.copytree(migrated, tmp_path / "data")
    return tmp_path
