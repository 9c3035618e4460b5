"""What strangers' addresses are read with: a client's document, its keys."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from broker.core.public_address import is_public
from broker.core.strict_json import JSONValue, NotStrict, loads
from broker.providers.answer import Answer
from broker.providers.asking import Broken, Progress, Waits
from broker.providers.http1 import Connection
from broker.providers.names import Unresolved, resolve
from broker.providers.origin import Origin, locate
from broker.providers.request import render

SECONDS = 5.0
"""For all of it: the name, the connection, the answer to its last byte."""
AT_ONCE = 8
PORT = 443
MOST_TRIED = 3
"""Addresses of a name; each has its part of the time."""

_NAME = re.compile(
    r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII
)
"""Of a host. The last label has a letter first, so that no way to write an IP address is one."""
_JSON = re.compile(r"application/(?:[a-z0-9.-]+\+)?json", re.ASCII)

Resolve = Callable[[str], Awaitable[list[str]]]
"""The addresses of a name; raises Unresolved."""


class NotFetched(Exception):
    """Why, for the log alone: what asks must not become a way to look around in our network."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> JSONValue:
        """Raises NotFetched unless all went well and it is JSON by its type, too."""
        if self.status != 200:
            raise NotFetched(f"status {self.status}")
        if not _JSON.fullmatch(self.headers.get("content-type", "").partition(";")[0].strip().lower()):
            raise NotFetched("not JSON by its content type")
        try:
            return loads(self.body)
        except NotStrict as error:
            raise NotFetched("not JSON") from error


class Fetch(Protocol):
    async def __call__(self, url: str, *, most: int, accept: str) -> Fetched:
        """An https address, its answer whatever its status, of so many bytes at most; raises NotFetched."""


class GuardedFetch:
    """Asks a public host, at an address that was judged, for what anybody may read; follows nothing and keeps nothing.

    The arguments are for tests, whose hosts are on this computer: where names lead, which addresses may be reached and by
    which port, whose certificates are believed, and how long it may take.
    """

    def __init__(
        self,
        resolve: Resolve = resolve,
        *,
        may_reach: Callable[[str], bool] = is_public,
        port: int = PORT,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._resolve = resolve
        self._may_reach = may_reach
        self._port = port
        self._tls = tls
        self._seconds = seconds
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, url: str, *, most: int, accept: str) -> Fetched:
        try:
            origin, request = render("GET", url, [(b"user-agent", b"Broker"), (b"accept", accept.encode())])
            if not _may_be_asked(origin, url):
                raise ValueError("not an address that is fetched")
            async with asyncio.timeout(self._seconds), self._turns:
                answer = await self._ask(origin.host, request)
                return _fetched(answer, await answer.whole(most))
        except (ValueError, OSError, Broken, Unresolved) as error:  # OSError is also what TLS and time raise
            raise NotFetched(f"{type(error).__name__}: {error}") from error

    async def _ask(self, host: str, request: bytes) -> Answer:
        connection = await self._connect(host)
        answer = connection.ask(request, Waits(0, self._seconds, self._seconds), Progress(), bodiless=False)
        await answer.head()
        return answer

    async def _connect(self, host: str) -> Connection:
        """To one of the addresses that were judged: asking for the name again might lead elsewhere (DNS rebinding)."""
        addresses = await self._resolve(host)
        if not all(map(self._may_reach, addresses)):
            raise Unresolved("the name leads to an address that is not public")
        problem: OSError | None = None
        for address in addresses[:MOST_TRIED]:
            try:
                async with asyncio.timeout(self._seconds / MOST_TRIED):
                    return await self._open(address, host)
            except OSError as error:
                problem = error
        raise problem or Unresolved("the name has no address")

    async def _open(self, address: str, host: str) -> Connection:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(loop, _NoHome()), address, self._port, ssl=self._tls, server_hostname=host
        )
        if not connection.is_open:
            raise ConnectionResetError("the connection ended at once")
        return connection


class _NoHome:
    """Nothing is kept to be used again."""

    def free(self, connection: Connection) -> None:
        connection.hang_up()

    def lost(self, connection: Connection) -> None:
        pass


def is_fetchable(url: str) -> bool:
    """Whether it is an https address of a named host at its usual port, with one reading; nothing is looked up."""
    try:
        origin, _ = locate(url)
    except ValueError:
        return False
    return _may_be_asked(origin, url)


def is_public_name(host: str) -> bool:
    """Whether it is a whole name, as the internet has them; nothing is looked up."""
    return bool(_NAME.fullmatch(host))


def _may_be_asked(origin: Origin, url: str) -> bool:
    return origin.scheme == "https" and origin.port == PORT and is_public_name(origin.host) and "\\" not in url


def _fetched(answer: Answer, body: bytes) -> Fetched:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(answer.headers)}
    if headers.get("content-encoding", "identity") != "identity":
        raise Broken("a coding that was not asked for")
    return Fetched(answer.status, headers, body)
