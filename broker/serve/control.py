"""The line between the parent and a worker: a socket on which each side sends single bytes."""

import os
import socket
import threading
from collections.abc import Callable

READY = b"r"
DRAIN = b"d"
NOW = b"n"

CANNOT_START = 2
NEWER_SCHEMA = 3
"""Exit statuses of a worker after which another one would fare no better."""


def orphaned() -> None:
    """The parent is gone, and with it the lock on the data directory: nothing may be served or written any more."""
    os._exit(1)


def follow(line: socket.socket, said: Callable[[bytes], object], gone: Callable[[], object] = orphaned) -> None:
    """Listens in a thread of its own, so that even a worker whose loop is stuck ends with its parent."""

    def listen() -> None:
        try:
            while word := line.recv(1):
                said(word)
        except OSError:
            pass
        gone()

    threading.Thread(target=listen, name="parent", daemon=True).start()
