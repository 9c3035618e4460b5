"""One broker for all clients."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.clients.meeting import Meeting


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def meeting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Meeting]:
    settings = {
        "BROKER_CLIENT_REGISTRATION": "true",
        "BROKER_DPOP_NONCE": "true",
        "BROKER_DEVICE_POLL_SECONDS": "1",
        "BROKER_SQLITE_SYNCHRONOUS": "normal",
    }
    async with Meeting.open(tmp_path_factory.mktemp("clients"), **settings) as opened:
        yield opened
