"""On the loop that serves in earnest; where all tests run on hypercorn's own reader, without those of ours alone."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from broker.serve import http1
from tests.serve.running import PARSER

_STOCK = PARSER == "h11"


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Which reader is used is said once a process."""
    yield
    http1.uninstall()


@pytest.fixture(params=["h11"] if _STOCK else ["httptools", "h11"])
def parser(request: pytest.FixtureRequest) -> str:
    """For what must hold on both."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _of_ours_alone(request: pytest.FixtureRequest) -> None:
    """What does not ask for `parser` is about the reader of our own."""
    if _STOCK and "parser" not in request.fixturenames:
        pytest.skip("about our own reader of HTTP/1.1, and BROKER_HTTP_PARSER chose hypercorn's")
