"""A client on connections of our own, which are kept for the next request."""

import ssl

from broker.providers.answer import Answer
from broker.providers.asking import Headers, NotReached, Progress, Waits
from broker.providers.connections import Connections
from broker.providers.dial import Dial
from broker.providers.origin import Origin
from broker.providers.request import closed, fields, opening, render

MOST_BROUGHT = 256
"""Hosts that people brought, after which those that nobody is connected to are forgotten."""
_MOST_TO_BROUGHT, _MOST_IDLE_TO_BROUGHT = 64, 4

_Start = tuple[Origin, bytes]
"""Where a request goes, and the lines of its head that are known before it is made."""


class PooledClient:
    """A `ProviderClient`.

    `connections` and `idle` bound those to one provider; `ssl_context` stands for one that trusts what the system does.
    `guard` connects to the addresses that people brought; without it none of them is reached.
    """

    def __init__(
        self,
        waits: Waits,
        *,
        connections: int = 2048,
        idle: int = 256,
        ssl_context: ssl.SSLContext | None = None,
        guard: Dial | None = None,
    ) -> None:
        self.waits = waits
        self._guard = guard
        self._brought: dict[Origin, Connections] = {}
        self._most = connections
        self._most_idle = idle
        self._tls = ssl_context
        self._pools: dict[Origin, Connections] = {}

    async def send(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: bytes = b"",
        progress: Progress | None = None,
        waits: Waits | None = None,
        *,
        brought: bool = False,
    ) -> Answer:
        """An address that was brought is reached with the guard, by connections of its own."""
        origin, request = render(method, url, headers, body)
        waits = waits or self.waits
        pool = (self._brought if brought else self._pools).get(origin)
        if pool is None:
            pool = self._guarded(origin) if brought else self._pool(origin)
        connection = pool.idle() or await pool.another(waits.connect)
        # Nothing may be awaited between here and the writing: what is fit now may have ended then.
        answer = connection.ask(request, waits, progress or Progress(), bodiless=method == "HEAD")
        await answer.head()
        return answer

    def start(self, url: str, headers: Headers) -> _Start:
        return opening("POST", url, headers)

    def send_at_once(self, start: _Start, headers: Headers, body: bytes) -> Answer | None:
        origin, head = start
        pool = self._pools.get(origin)
        request = closed(head + fields(headers), body)
        connection = None if pool is None else pool.idle()
        return None if connection is None else connection.ask(request, self.waits, Progress(), bodiless=False)

    async def send_on_another(self, start: _Start, headers: Headers, body: bytes) -> Answer:
        origin, head = start
        request = closed(head + fields(headers), body)
        pool = self._pools.get(origin) or self._pool(origin)
        connection = await pool.another(self.waits.connect)
        return connection.ask(request, self.waits, Progress(), bodiless=False)

    async def close(self) -> None:
        for pool in [*self._pools.values(), *self._brought.values()]:
            await pool.close()

    def _pool(self, origin: Origin) -> Connections:
        made = self._pools[origin] = Connections(
            origin, self._tls_to(origin), most=self._most, most_idle=self._most_idle
        )
        return made

    def _guarded(self, origin: Origin) -> Connections:
        if self._guard is None:
            raise NotReached("no address that a person brought is reached here")
        if len(self._brought) >= MOST_BROUGHT:
            self._brought = {where: pool for where, pool in self._brought.items() if not pool.is_deserted}
        made = self._brought[origin] = Connections(
            origin,
            self._tls_to(origin),
            most=_MOST_TO_BROUGHT,
            most_idle=_MOST_IDLE_TO_BROUGHT,
            dial=self._guard,
        )
        return made

    def _tls_to(self, origin: Origin) -> ssl.SSLContext | None:
        if origin.scheme != "https":
            return None
        if self._tls is None:
            self._tls = _verifying()
        return self._tls


def _verifying() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
