"""A worker as its parent sees it."""

import asyncio
import os
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from broker.ops.folder import Lock, workers_lock
from broker.serve import control
from broker.serve.birth import Born

if TYPE_CHECKING:
    from broker.ledger.host import Hosted
    from broker.serve.scribe import Scribe


@dataclass(slots=True)
class Child:
    born: Born
    hosted: "Hosted | None"
    death: asyncio.Future[int]

    @classmethod
    async def adopt(cls, born: Born, folder: Path, listening: socket.socket, scribe: "Scribe | None") -> Self:
        desk, seat = socket.socketpair()
        # Held through the descriptor that the worker is given, so that there is no moment at which it runs without.
        lock = Lock.take(workers_lock(folder), shared=True)
        try:
            born.give([listening.fileno(), lock.descriptor, *([] if scribe is None else [seat.fileno()])])
        finally:
            seat.close()
            lock.release()
        death = _death(born.pid)
        if scribe is None:
            desk.close()
            return cls(born, None, death)
        child = cls(born, hosted := await scribe.host(desk), death)
        hosted.lost = child.kill
        return child

    def tell(self, word: bytes) -> None:
        with suppress(OSError):
            self.born.line.send(word)

    async def is_ready(self) -> bool:
        """True once it serves; False when it ended before."""
        try:
            return await asyncio.get_running_loop().sock_recv(self.born.line, 1) == control.READY
        except OSError:
            return False

    async def ended(self) -> int:
        """Its exit status; negative for a signal."""
        status = await self.death
        self.born.line.close()
        if self.hosted is not None:
            self.hosted.close()
        return status

    def kill(self) -> None:
        if not self.death.done():
            with suppress(ProcessLookupError):
                os.kill(self.born.pid, signal.SIGKILL)


def _death(pid: int) -> asyncio.Future[int]:
    """Learnt in a thread of its own: there is no other way to wait for a process that every system has."""
    loop = asyncio.get_running_loop()
    death: asyncio.Future[int] = loop.create_future()

    def wait() -> None:
        _, status = os.waitpid(pid, 0)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(death.set_result, os.waitstatus_to_exitcode(status))

    threading.Thread(target=wait, name=f"worker {pid}", daemon=True).start()
    return death
