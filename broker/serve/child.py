"""A worker as its parent sees it."""

import asyncio
import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from broker.ledger.host import Hosted
from broker.ops.folder import Lock, workers_lock
from broker.serve import control
from broker.serve.scribe import Scribe
from broker.settings import Settings


@dataclass(slots=True)
class Child:
    process: asyncio.subprocess.Process
    line: socket.socket
    hosted: Hosted | None

    @classmethod
    async def start(cls, settings: Settings, listening: socket.socket, scribe: Scribe | None) -> Self:
        ours, theirs = socket.socketpair()
        desk, seat = socket.socketpair()
        # Held through the descriptor that the worker inherits, so that there is no moment at which it runs without.
        lock = Lock.take(workers_lock(settings.data_dir), shared=True)
        inherited = (listening.fileno(), theirs.fileno(), seat.fileno(), lock.descriptor)
        environ = os.environ | {
            "BROKER_PORT": str(settings.port),
            control.SOCKET_VARIABLE: str(listening.fileno()),
            control.LINE_VARIABLE: str(theirs.fileno()),
            control.BOOKS_VARIABLE: "" if scribe is None else str(seat.fileno()),
        }
        ours.setblocking(False)
        try:
            command = (sys.executable, "-m", "broker.serve.worker")
            process = await asyncio.create_subprocess_exec(*command, env=environ, pass_fds=inherited)
        finally:
            theirs.close()
            seat.close()
            lock.release()
        if scribe is None:
            desk.close()
            return cls(process, ours, None)
        return cls(process, ours, await scribe.host(desk))

    def tell(self, word: bytes) -> None:
        with suppress(OSError):
            self.line.send(word)

    async def is_ready(self) -> bool:
        """True once it serves; False when it ended before."""
        try:
            return await asyncio.get_running_loop().sock_recv(self.line, 1) == control.READY
        except OSError:
            return False

    async def ended(self) -> int:
        """Its exit status; negative for a signal."""
        status = await self.process.wait()
        self.line.close()
        if self.hosted is not None:
            self.hosted.close()
        return status

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
