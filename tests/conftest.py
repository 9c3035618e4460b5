"""What every kind of test may ask for."""

import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests import compiled_once
from tests.canary import pytest_runtest_logreport, pytest_sessionfinish, pytest_testnodedown
from tests.sharing import pytest_collection_modifyitems, pytest_xdist_make_scheduler
from tests.stores import empty_postgresql, fresh_postgresql, fresh_sqlite, kept, migrated, page_store, server, store

__all__ = [
    "empty_postgresql",
    "fresh_postgresql",
    "fresh_sqlite",
    "kept",
    "migrated",
    "page_store",
    "pytest_collection_modifyitems",
    "pytest_runtest_logreport",
    "pytest_sessionfinish",
    "pytest_testnodedown",
    "pytest_xdist_make_scheduler",
    "server",
    "store",
]

# Nothing that is imported or collected is ever thrown away: to look through it again and again takes a quarter of that time.
gc.disable()

compiled_once.share()


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


# In place of the usual handler, which asyncio takes over for each run of a loop: asked whose it is, Python describes all
# that a fixture has made. Ctrl-C does the same here.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _interrupted)

# A test starts the program a hundred times: it is compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A busy machine is no fault of the code, so nothing here has a time limit.
settings.register_profile("broker", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("broker")


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _log_to_where_the_test_looks() -> None:
    """To the standard error of the moment: the one of an earlier test may be closed."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.KeyValueRenderer()],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


_log_to_where_the_test_looks()


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """A test that sends the log to a stream of its own leaves none behind for the next."""
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    yield
    _log_to_where_the_test_looks()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
