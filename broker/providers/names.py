"""The addresses of a stranger's host, looked up where nobody else waits."""

import asyncio
import socket
import threading
from contextlib import suppress

MOST_AT_ONCE = 8
"""Lookups that run, however long those who wanted them have been gone: a name server may take half a minute to be silent."""


class Unresolved(Exception):
    """The name has no address, or nobody could ask for it now."""


class Resolver:
    """Looks up so many names at once: those of one kind of stranger take no turn from those of another."""

    def __init__(self, most_at_once: int = MOST_AT_ONCE) -> None:
        self._slots = threading.BoundedSemaphore(most_at_once)

    async def __call__(self, host: str) -> list[str]:
        """In the order in which they are best tried; raises Unresolved.

        In a thread of its own: those of the loop also look up the providers, and a stranger's name server could hold them all.
        """
        if not self._slots.acquire(blocking=False):
            raise Unresolved("too many names are being looked up")
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def look_up() -> None:
            addresses = []
            try:
                with suppress(OSError, UnicodeError):
                    addresses = _ask(host)
            finally:
                self._slots.release()
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(_tell, found, addresses)

        threading.Thread(target=look_up, name="stranger's name", daemon=True).start()
        addresses = await found
        if not addresses:
            raise Unresolved("the name has no address")
        return addresses


resolve = Resolver()
"""For what apps name: their documents and their keys."""


def _ask(host: str) -> list[str]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(place[0]) for *_, place in answers))


def _tell(found: asyncio.Future[list[str]], addresses: list[str]) -> None:
    if not found.done():
        found.set_result(addresses)
