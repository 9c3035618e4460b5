"""A worker as its parent sees it."""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from broker.ledger.host import Hosted
from broker.ops.folder import Lock, workers_lock
from broker.serve import control
from broker.serve.nursery import Nursery
from broker.serve.scribe import Scribe
from broker.settings import Settings

NEVER_LEARNT = 1
"""The status of a worker that outlived the process that would have been told."""


@dataclass(slots=True)
class Child:
    pid: int
    nursery: Nursery
    line: socket.socket
    hosted: Hosted | None

    @classmethod
    async def start(cls, settings: Settings, nursery: Nursery, listening: socket.socket, scribe: Scribe | None) -> Self:
        """Raises CannotStart when the nursery is gone."""
        ours, theirs = socket.socketpair()
        desk, seat = socket.socketpair()
        # Held through the descriptor that the worker is given, so that there is no moment at which it runs without.
        lock = Lock.take(workers_lock(settings.data_dir), shared=True)
        given = [listening.fileno(), theirs.fileno(), lock.descriptor, *([] if scribe is None else [seat.fileno()])]
        ours.setblocking(False)
        try:
            pid = await nursery.worker(given)
        finally:
            theirs.close()
            seat.close()
            lock.release()
        if scribe is None:
            desk.close()
            return cls(pid, nursery, ours, None)
        return cls(pid, nursery, ours, await scribe.host(desk))

    def tell(self, word: bytes) -> None:
        with suppress(OSError):
            self.line.send(word)

    async def is_ready(self) -> bool:
        """True once it serves; False when it ended before."""
        return await self._word() == control.READY

    async def ended(self) -> int:
        """Its exit status; negative for a signal."""
        status = await self.nursery.ended(self.pid)
        if status is None:
            status = NEVER_LEARNT
            while await self._word():
                pass
        self.line.close()
        if self.hosted is not None:
            self.hosted.close()
        return status

    def kill(self) -> None:
        with suppress(OSError):
            self.line.shutdown(socket.SHUT_RDWR)
        if self.nursery.lives(self.pid):
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def _word(self) -> bytes:
        """Empty at the end of its life."""
        try:
            return await asyncio.get_running_loop().sock_recv(self.line, 1)
        except OSError:
            return b""
