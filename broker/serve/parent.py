"""The parent of a running server: it holds the lock and the socket, starts workers, and replaces the one that dies."""

import asyncio
import os
import resource
import signal
import socket
from contextlib import suppress
from functools import partial

import uvloop

from broker.core.clock import Clock
from broker.core.errors import CannotStart
from broker.ops.log import logger
from broker.serve import control
from broker.serve.apart import apart
from broker.serve.birth import Born, fork, send_home, start_anew
from broker.serve.child import Child
from broker.serve.http import BACKLOG
from broker.serve.prepare import prepare
from broker.serve.scribe import Scribe
from broker.serve.worker import work
from broker.settings import Settings, environment
from broker.start import NEWER, lock_folder, look_over

SLOWEST_RESTART_SECONDS = 5.0
STEADY_SECONDS = 10.0
"""A worker that lived this long did not fail at its start: the next one is started at once."""
AT_ONCE_SECONDS = 5.0
OVERDUE_SECONDS = 30.0
"""After the drain: what a worker may need to settle what it cut. Later it is killed, and the sweep settles the rest."""

_HOPELESS = (control.CANNOT_START, control.NEWER_SCHEMA)


def run_until_told(settings: Settings, clock: Clock) -> int:
    """Serves until it is told to stop, or until no worker can; gives the exit status. Raises CannotStart."""
    # A core file of any process from here on would hold keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    look_over(settings)
    # Before the lock is taken, which whoever is forked later would hold, too.
    brood = fork(settings.workers, partial(work, settings))
    try:
        lock = lock_folder(settings)
        try:
            setup_code = apart(partial(_prepared, settings, clock))
            return uvloop.run(_run(settings, clock, brood, setup_code))
        finally:
            lock.release()
    finally:
        send_home(brood)


def _prepared(settings: Settings, clock: Clock) -> str:
    """The setup code, or nothing."""
    setup_code = asyncio.run(prepare(settings, clock, environment()))
    return "" if setup_code is None else setup_code.reveal()


async def _run(settings: Settings, clock: Clock, brood: list[Born], setup_code: str) -> int:
    listening = _listen(settings)
    bound = settings.model_copy(update={"port": listening.getsockname()[1]})
    if setup_code:
        _say(f"SETUP CODE  {setup_code}")
    # A single worker writes by itself: a line would only lead to a process that waits for it.
    scribe = Scribe(settings, clock) if settings.workers > 1 and not settings.is_on_postgresql else None
    try:
        return await _Parent(bound, brood, listening, scribe).run()
    finally:
        if scribe is not None:
            await scribe.close()


def _listen(settings: Settings) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
        raise CannotStart(f"Cannot listen on {settings.host}:{settings.port} ({why}).") from error


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - for whoever started it


class _Parent:
    """Runs `settings.workers` workers on one socket."""

    def __init__(self, settings: Settings, brood: list[Born], listening: socket.socket, scribe: Scribe | None) -> None:
        self._settings = settings
        self._brood = brood
        self._listening = listening
        self._scribe = scribe
        self._children: dict[int, Child] = {}
        self._unready = set(range(settings.workers))
        """Slots whose first worker does not serve yet."""
        self._stop = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        keepers = [asyncio.create_task(self._keep(slot)) for slot in range(self._settings.workers)]
        await self._stop.wait()
        # From here on a new connection is refused at once instead of waiting for a worker that will not come.
        self._listening.close()
        self._tell(control.DRAIN)
        overdue = loop.call_later(self._settings.drain_seconds + OVERDUE_SECONDS, self._kill)
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
        child = await Child.adopt(born, self._settings, self._listening, self._scribe)
        self._children[slot] = child
        if self._stop.is_set():
            child.tell(control.DRAIN)
        if await child.is_ready() and slot in self._unready:
            self._unready.remove(slot)
            if not self._unready:
                _say(f"Broker {self._settings.public_url}")
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
