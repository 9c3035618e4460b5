"""A place to start a server in."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, migrated: Path) -> Path:
    """./data has the present schema and nothing in it."""
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(migrated, tmp_path / "data" / "broker.db")
    return tmp_path
