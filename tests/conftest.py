"""What every kind of test may ask for."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from broker.store import migrate
from tests.canary import pytest_runtest_logreport, pytest_sessionfinish

__all__ = ["pytest_runtest_logreport", "pytest_sessionfinish"]

# A busy machine is no fault of the code, so nothing here has a time limit.
settings.register_profile("broker", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("broker")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the newest schema, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "broker.db"
    migrate.upgrade(path)
    return path
