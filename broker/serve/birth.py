"""How a worker comes to be: forked before the parent has a thread, a loop or a database, or, in a dead one's place, started anew.

Either way it begins with nothing but its line to the parent, on which it is given its descriptors when they are there.
"""

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Never

Work = Callable[[socket.socket, Sequence[int]], int]
"""What a worker does, with its line and its descriptors; gives its exit status."""

MOST_DESCRIPTORS = 8
_BEGIN = b"b"
_USUAL = (700, 10, 10)
"""Python's own thresholds of the collector, which the command line raised for its imports."""


@dataclass(frozen=True, slots=True)
class Born:
    pid: int
    line: socket.socket

    def give(self, descriptors: Sequence[int]) -> None:
        """It has them under other numbers, and begins."""
        with suppress(ConnectionError):
            socket.send_fds(self.line, [_BEGIN], descriptors)


def fork(count: int, work: Work) -> list[Born]:
    """What parent and workers have imported, they share: memory, and the time it took."""
    # The collector writes into what it looks through, and what is written to is shared no more.
    gc.freeze()
    gc.set_threshold(*_USUAL)
    sys.stdout.flush()
    sys.stderr.flush()
    brood: list[Born] = []
    for _ in range(count):
        line, theirs = socket.socketpair()
        pid = os.fork()
        if not pid:
            # The other ends of these lines are for the parent alone: by them its death is known.
            for held in (line, *(sister.line for sister in brood)):
                held.close()
            _live(theirs, work)
        theirs.close()
        line.setblocking(False)
        brood.append(Born(pid, line))
    return brood


def send_home(brood: Sequence[Born]) -> None:
    """Those that were never needed: each ends when its line does."""
    for born in brood:
        born.line.close()
    for born in brood:
        os.waitpid(born.pid, 0)


def program(module: str) -> list[str]:
    """The command of a new interpreter, which finds what it imports where this one does.

    Python looks first in the folder that it stands in, and whoever may write there would be in possession of all keys.
    """
    with suppress(OSError):
        if {"", str(Path.cwd())} & set(sys.path):
            return [sys.executable, "-m", module]
    return [sys.executable, "-P", "-m", module]


def start_anew() -> Born:
    """In a new interpreter: where there are threads, a fork may find any lock taken for ever."""
    line, theirs = socket.socketpair()
    with theirs:
        theirs.set_inheritable(True)
        command = [*program("broker.serve.worker"), str(theirs.fileno())]
        pid = os.posix_spawn(sys.executable, command, os.environ)
    line.setblocking(False)
    return Born(pid, line)


def begin(line: socket.socket, work: Work) -> int:
    """In the worker: waits for its descriptors, and works; 0 at once if the parent is gone before."""
    # Ctrl-C reaches the whole group; the parent tells its workers what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told, descriptors, _, _ = socket.recv_fds(line, 1, MOST_DESCRIPTORS)
    return work(line, descriptors) if told else 0


def _live(line: socket.socket, work: Work) -> Never:
    status = 1
    try:
        status = begin(line, work)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        # What was registered to be done at the end is the parent's to do.
        os._exit(status)
