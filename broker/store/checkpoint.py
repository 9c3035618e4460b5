"""Moves what is in SQLite's write-ahead log into the database itself, so that no transaction has to."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from sqlalchemy.engine import make_url

from broker.store.database import Database

LOOK_SECONDS = 1.0
LONG = 8_000
"""Pages of log (32 MB) from which on writing pauses for a moment, so that it can begin again at its start."""


class Checkpointer:
    """A loop with a connection of its own, in a thread: what it does to the disk nobody waits for."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.checkpoint()

    async def checkpoint(self) -> None:
        move = partial(asyncio.get_running_loop().run_in_executor, self._thread, self._move)
        if await move() >= LONG:
            # Little is left by now. With nobody writing all of it is moved, and the next writer begins anew.
            async with self._db.turn:
                await move()

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        # Whoever was cancelled while it waited has left a thread behind, and the connection is in use there.
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()

    def _move(self) -> int:
        """Gives the pages that are in the log; 0 when the database cannot say now, and is asked again later."""
        try:
            if self._connection is None:
                path = make_url(self._db.url).database or ""
                self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            return 0
        return int(pages)
