"""On the loop that serves in earnest."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from broker.serve import http1


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Which reader is used is said once a process."""
    yield
    http1.uninstall()


@pytest.fixture(params=["httptools", "h11"])
def parser(request: pytest.FixtureRequest) -> str:
    """For what must hold on both."""
    return str(request.param)
