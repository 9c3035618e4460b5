"""How the parent of a running server begins: workers to be, the lock, the present schema, the socket."""

import asyncio
import errno
import os
import resource
import socket
from functools import partial

import uvloop

from broker.core.clock import Clock
from broker.core.errors import CannotStart
from broker.serve import light
from broker.serve.apart import apart
from broker.serve.birth import Born, fork, send_home
from broker.serve.http import BACKLOG
from broker.serve.keeper import Charge, Keeper, say
from broker.serve.prepare import prepare
from broker.serve.scribe import Scribe
from broker.serve.worker import work
from broker.settings import Settings, environment
from broker.start import lock_folder, look_over
from broker.store.busy import LOCKED, is_locked


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
            listening = _listen(settings)
            if setup_code:
                say(f"SETUP CODE  {setup_code}")
            charge = _charge(settings, listening)
            # A single worker writes by itself: a line would only lead to a process that waits for it.
            if settings.workers == 1 or settings.is_on_postgresql:
                return light.go_on(charge, brood, listening, lock)
            return uvloop.run(_with_books(settings, clock, charge, brood, listening))
        finally:
            lock.release()
    finally:
        send_home(brood)


def _prepared(settings: Settings, clock: Clock) -> str:
    """The setup code, or nothing."""
    try:
        setup_code = asyncio.run(prepare(settings, clock, environment()))
    except Exception as error:
        if is_locked(error):
            raise CannotStart(LOCKED) from error
        raise
    return "" if setup_code is None else setup_code.reveal()


def _charge(settings: Settings, listening: socket.socket) -> Charge:
    bound = settings.model_copy(update={"port": listening.getsockname()[1]})
    return Charge(settings.workers, settings.data_dir, bound.public_url, settings.drain_seconds)


async def _with_books(
    settings: Settings, clock: Clock, charge: Charge, brood: list[Born], listening: socket.socket
) -> int:
    scribe = Scribe(settings, clock)
    try:
        return await Keeper(charge, brood, listening, scribe).run()
    finally:
        await scribe.close()


def _listen(settings: Settings) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
        is_taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
        choose = "Choose another port with BROKER_PORT." if is_taken else "BROKER_HOST and BROKER_PORT say where."
        raise CannotStart(f"Cannot listen on {settings.host}:{settings.port} ({why}). {choose}") from error
