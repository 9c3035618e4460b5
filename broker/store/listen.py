"""Hears from PostgreSQL at once that something was taken away; whoever is not told sees it at the next look all the same."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from broker.core.errors import Unavailable
from broker.store import postgresql

CHANNEL = "broker_change"
"""As the trigger on the table `change` names it."""
AGAIN_SECONDS = 1.0
ALIVE_SECONDS = 15.0
"""Between two signs of life: a server that vanished without a word is not listened to for longer."""


class Listener:
    """Calls back for each change, and whenever it begins to listen again; has a connection of its own."""

    def __init__(self, url: str, on_change: Callable[[], None]) -> None:
        self._url = url
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self.listens = asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._always())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _always(self) -> None:
        while True:
            with suppress(Unavailable):
                await self._until_lost()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _until_lost(self) -> None:
        connection = await postgresql.connect(self._url)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            with postgresql.translated():
                await connection.add_listener(CHANNEL, lambda *_: self._on_change())
                self.listens.set()
                self._on_change()
                while not lost.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(lost.wait(), ALIVE_SECONDS)
                    if not lost.is_set():
                        await connection.execute("SELECT 1")
        finally:
            self.listens.clear()
            connection.terminate()
