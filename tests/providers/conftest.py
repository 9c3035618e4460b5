"""What is said of the client holds on both kinds of loop: what suits one may be a fault on the other."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from broker.providers.client import Waits


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def waits() -> Waits:
    """Nothing ends by silence unless a test wants it to."""
    return Waits(connect=10, first_byte=20, silence=20)
