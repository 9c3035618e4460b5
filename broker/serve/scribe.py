"""The parent as the one writer of SQLite: it keeps the books for several workers, and says whose turn it is to write."""

import socket

from broker.core.clock import Clock
from broker.ledger.books import OwnBooks
from broker.ledger.host import Hosted
from broker.settings import Settings
from broker.start import calm_collector, open_database
from broker.store.checkpoint import Checkpointer


class Scribe:
    """Neither the parent nor a worker outlives the other by more than a second, so no line is ever mended."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._db = open_database(settings, autocheckpoint=False)
        self._books = OwnBooks(self._db, clock, gather=0.0)
        self._checkpointer = Checkpointer(self._db)
        self._checkpointer.start()
        calm_collector()

    async def host(self, line: socket.socket) -> Hosted:
        return await Hosted.on(line, self._db, self._books)

    async def close(self) -> None:
        await self._checkpointer.close()
        await self._db.close()
