"""Reads the packaged lists in a process of its own, which takes their memory with it when it ends."""

import os
from contextlib import suppress

from broker.prices import packaged


class Errand:
    """To be begun while the process has one thread; what it brings back is there a half second later."""

    def __init__(self) -> None:
        self._line, line = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            _read_into(line)
        os.close(line)

    def done(self) -> None:
        """Waits for it. What it could not read, this process will read when it needs it, and say why not."""
        with os.fdopen(self._line, "rb") as line:
            lists = line.read()
        with suppress(ChildProcessError):
            _, status = os.waitpid(self._pid, 0)
            if status == 0:
                packaged.give(lists)


def _read_into(line: int) -> None:
    status = 1
    try:
        from broker.prices import snapshot

        with os.fdopen(line, "wb") as whole:
            whole.write(snapshot.read())
        status = 0
    finally:
        os._exit(status)
