"""A process that does nothing but fork workers: it has all the imports, and no thread, no loop and no database.

What it and the workers have read once, they share. The parent asks for a worker with the descriptors it is to have, and
is told its process id and, when it ends, its exit status.
"""

import asyncio
import gc
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Never

from broker.core.errors import CannotStart

Work = Callable[[Sequence[int]], int]
"""What a worker does with its descriptors; gives its exit status."""

_MOST_DESCRIPTORS = 8
_REPORT = struct.Struct("!cii")
_BORN, _ENDED = b"b", b"e"


class Nursery:
    """As the parent sees it; to be made before the process has a second thread, a loop, or anything open to write."""

    def __init__(self, work: Work) -> None:
        self._line, theirs = socket.socketpair()
        gc.collect()
        # The collector writes into what it looks through, and what is written is no longer shared.
        gc.freeze()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            self._line.close()
            _Tending(theirs, work).run()
        theirs.close()
        self._line.setblocking(False)
        self._asking = asyncio.Lock()
        self._births: asyncio.Queue[int] = asyncio.Queue()
        self._endings: dict[int, asyncio.Future[int | None]] = {}
        self._gone = False

    async def listen(self, gone: Callable[[], object]) -> None:
        """Hears what it reports; when it is gone, its workers live on and there will be no new ones."""
        loop, heard = asyncio.get_running_loop(), b""
        with suppress(OSError):
            while piece := await loop.sock_recv(self._line, 4096):
                heard += piece
                whole = len(heard) // _REPORT.size * _REPORT.size
                for kind, pid, status in _REPORT.iter_unpack(heard[:whole]):
                    self._told(kind, pid, status)
                heard = heard[whole:]
        self._gone = True
        gone()
        for ending in self._endings.values():
            if not ending.done():
                ending.set_result(None)
        self._births.put_nowait(0)

    def _told(self, kind: bytes, pid: int, status: int) -> None:
        ending = self._endings.setdefault(pid, asyncio.get_running_loop().create_future())
        if kind == _BORN:
            self._births.put_nowait(pid)
        else:
            ending.set_result(status)

    async def worker(self, descriptors: Sequence[int]) -> int:
        """The process id of a new one, which has these descriptors under other numbers. Raises CannotStart."""
        async with self._asking:
            pid = 0
            if not self._gone:
                with suppress(ConnectionError):
                    socket.send_fds(self._line, [b"w"], descriptors)
                pid = await self._births.get()
        if not pid:
            raise CannotStart("The process that starts workers has ended.")
        return pid

    async def ended(self, pid: int) -> int | None:
        """Its exit status, negative for a signal; None at once where nobody is left to learn it."""
        status = await self._endings[pid]
        del self._endings[pid]
        return status

    def lives(self, pid: int) -> bool:
        return pid in self._endings and not self._endings[pid].done()

    def close(self) -> None:
        """It ends when it hears no more of its parent."""
        self._line.close()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class _Tending:
    """The nursery's own side."""

    def __init__(self, line: socket.socket, work: Work) -> None:
        self._line = line
        self._work = work
        self._looking = selectors.DefaultSelector()
        self._lives: dict[int, int] = {}
        """The end of a pipe, which closes when the worker does, and the worker's process id."""

    def run(self) -> Never:
        try:
            # Ctrl-C and an end of service reach the whole group; the parent says what they mean.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            gc.disable()
            self._looking.register(self._line, selectors.EVENT_READ)
            self._tend()
        finally:
            os._exit(0)

    def _tend(self) -> None:
        while True:
            for key, _ in self._looking.select():
                if key.fd in self._lives:
                    self._bury(key.fd)
                    continue
                asked, descriptors, _, _ = socket.recv_fds(self._line, 1, _MOST_DESCRIPTORS)
                if not asked:
                    return
                self._bear(descriptors)

    def _bear(self, descriptors: list[int]) -> None:
        alive, held = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(alive)
            self._live(descriptors)
        for descriptor in (held, *descriptors):
            os.close(descriptor)
        self._lives[alive] = pid
        self._looking.register(alive, selectors.EVENT_READ)
        self._report(_BORN, pid, 0)

    def _live(self, descriptors: list[int]) -> Never:
        """In the worker; what its pipe says stays open until the kernel closes it."""
        status = 1
        try:
            self._looking.close()
            self._line.close()
            for alive in self._lives:
                os.close(alive)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            gc.enable()
            status = self._work(descriptors)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            # What is registered to be done at the end is the parent's to do.
            os._exit(status)

    def _bury(self, alive: int) -> None:
        self._looking.unregister(alive)
        os.close(alive)
        pid = self._lives.pop(alive)
        _, status = os.waitpid(pid, 0)
        self._report(_ENDED, pid, os.waitstatus_to_exitcode(status))

    def _report(self, kind: bytes, pid: int, status: int) -> None:
        self._line.sendall(_REPORT.pack(kind, pid, status))
