"""Keeps the workers of a server running on one socket until it is told to stop.

Nothing that only workers need is imported here: the parent of a single worker is this and no more (`light.py`).
"""

import asyncio
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from broker.core.errors import NEWER
from broker.ops.log import logger
from broker.serve import control
from broker.serve.birth import Born, start_anew
from broker.serve.child import Child

if TYPE_CHECKING:
    from broker.serve.scribe import Scribe

SLOWEST_RESTART_SECONDS = 5.0
STEADY_SECONDS = 10.0
"""A worker that lived this long did not fail at its start: the next one is started at once."""
AT_ONCE_SECONDS = 5.0
OVERDUE_SECONDS = 30.0
"""After the drain: what a worker may need to settle what it cut. Later it is killed, and the sweep settles the rest."""

_HOPELESS = (control.CANNOT_START, control.NEWER_SCHEMA)


class Charge(NamedTuple):
    """What a parent has to know of the settings."""

    workers: int
    folder: Path
    public_url: str
    drain_seconds: float


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - for whoever started it


class Keeper:
    """`scribe` is there where this process keeps the books of its workers."""

    def __init__(self, charge: Charge, brood: list[Born], listening: socket.socket, scribe: "Scribe | None") -> None:
        self._charge = charge
        self._brood = brood
        self._listening = listening
        self._scribe = scribe
        self._children: dict[int, Child] = {}
        self._unready = set(range(charge.workers))
        """Slots whose first worker does not serve yet."""
        self._stop = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        keepers = [asyncio.create_task(self._keep(slot)) for slot in range(self._charge.workers)]
        await self._stop.wait()
        # From here on a new connection is refused at once instead of waiting for a worker that will not come.
        self._listening.close()
        self._tell(control.DRAIN)
        overdue = loop.call_later(self._charge.drain_seconds + OVERDUE_SECONDS, self._kill)
        await asyncio.gather(*keepers)
        overdue.cancel()
        return self._status

    async def _keep(self, slot: int) -> None:
        clock = asyncio.get_running_loop().time
        failures = 0
        while not self._stop.is_set():
            started = clock()
            status = await self._one_life(slot)
            if self._stop.is_set():
                return
            logger("serve").error("worker ended", slot=slot, status=status)
            if status in _HOPELESS or slot in self._unready:
                self._give_up(status)
                return
            failures = 0 if clock() - started > STEADY_SECONDS else failures + 1
            await self._pause(min(0.1 * 2**failures, SLOWEST_RESTART_SECONDS) if failures else 0)

    async def _one_life(self, slot: int) -> int:
        born = self._brood.pop() if self._brood else start_anew()
        child = await Child.adopt(born, self._charge.folder, self._listening, self._scribe)
        self._children[slot] = child
        if self._stop.is_set():
            child.tell(control.DRAIN)
        if await child.is_ready() and slot in self._unready:
            self._unready.remove(slot)
            if not self._unready:
                say(f"Broker {self._charge.public_url}")
        status = await child.ended()
        del self._children[slot]
        return status

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def _give_up(self, status: int) -> None:
        if status == control.NEWER_SCHEMA:
            logger("serve").error(NEWER)
        self._status = 1
        self._stop.set()

    def _signalled(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            return
        self._tell(control.NOW)
        asyncio.get_running_loop().call_later(AT_ONCE_SECONDS, self._kill)

    def _tell(self, word: bytes) -> None:
        for child in self._children.values():
            child.tell(word)

    def _kill(self) -> None:
        for child in self._children.values():
            child.kill()
