"""How a connection is opened: by the name of its host, or to an address of it that was judged first."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from broker.providers.asking import NotReached
from broker.providers.fetch import MOST_TRIED, Resolve
from broker.providers.http1 import Connection
from broker.providers.names import Resolver, Unresolved
from broker.providers.origin import Origin
from broker.providers.reach import Reach, is_literal

SECONDS = 5.0
"""For one of several addresses."""

NAMES_AT_ONCE = 32
"""Of people's own servers that are looked up."""

Make = Callable[[], Connection]


class Dial(Protocol):
    async def __call__(self, origin: Origin, tls: ssl.SSLContext | None, make: Make) -> Connection:
        """Raises OSError or NotReached."""


async def dial_by_name(origin: Origin, tls: ssl.SSLContext | None, make: Make) -> Connection:
    """To where the operator says that a provider is."""
    name = origin.host if tls else None
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(make, origin.host, origin.port, ssl=tls, server_hostname=name)
    return connection


class GuardedDial:
    """To where a person says that their server is: only to an address of it that was judged, each time anew.

    Asking for the name a second time might lead elsewhere (DNS rebinding), so that the address itself is connected to. Why
    it was not is for the log alone: nobody may look around in our network by it.
    """

    def __init__(self, reach: Reach, find: Resolve | None = None) -> None:
        self._reach = reach
        self._find = find or Resolver(NAMES_AT_ONCE)

    async def __call__(self, origin: Origin, tls: ssl.SSLContext | None, make: Make) -> Connection:
        problem: Exception | None = None
        for address in await self._addresses(origin):
            try:
                async with asyncio.timeout(SECONDS):
                    return await _open(address, origin, tls, make)
            except OSError as error:  # also what TLS and time raise
                problem = error
        raise problem or NotReached("the name has no address")

    async def _addresses(self, origin: Origin) -> list[str]:
        """All of them have to be good: which one is taken must not be a matter of luck."""
        try:
            found = [origin.host] if is_literal(origin.host) else await self._find(origin.host)
        except Unresolved as error:
            raise NotReached(str(error)) from error
        if not all(self._reach.admits(origin, address) for address in found):
            raise NotReached("the name leads to an address that is not to be reached")
        return found[:MOST_TRIED]


async def _open(address: str, origin: Origin, tls: ssl.SSLContext | None, make: Make) -> Connection:
    name = origin.host if tls else None
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(make, address, origin.port, ssl=tls, server_hostname=name)
    return connection
