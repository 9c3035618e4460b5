"""The one door to a provider: sends a request once, with every wait bounded and nothing added."""

import ssl

from broker.providers.answer import Answer
from broker.providers.asking import Broken, Headers, NotReached, Progress, TimedOut, TooLarge, Waits
from broker.providers.connections import Connections
from broker.providers.origin import Origin
from broker.providers.request import closed, fields, opening, render

__all__ = [
    "Answer",
    "Broken",
    "Headers",
    "NotReached",
    "Progress",
    "ProviderClient",
    "Start",
    "TimedOut",
    "TooLarge",
    "Waits",
    "start",
]


Start = tuple[Origin, bytes]
"""Where a request goes, and the lines of its head that are known before it is made."""


def start(url: str, headers: Headers) -> Start:
    """Of every POST to this address with these headers. Raises ValueError."""
    return opening("POST", url, headers)


class ProviderClient:
    """Redirects are never followed, the environment's proxies never used, and nothing is sent twice.

    `connections` and `idle` bound those to one provider; `ssl_context` stands for one that trusts what the system does.
    """

    def __init__(
        self, waits: Waits, *, connections: int = 2048, idle: int = 256, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self.waits = waits
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
    ) -> Answer:
        """Waits for the head of the answer; raises NotReached, TimedOut or Broken, and ValueError before a byte."""
        origin, request = render(method, url, headers, body)
        waits = waits or self.waits
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pool(origin)
        connection = pool.idle() or await pool.another(waits.connect)
        # Nothing may be awaited between here and the writing: what is fit now may have ended then.
        answer = connection.ask(request, waits, progress or Progress(), bodiless=method == "HEAD")
        await answer.head()
        return answer

    def send_at_once(self, start: Start, headers: Headers, body: bytes) -> Answer | None:
        """As `send`, with nothing to wait for: None, and nothing sent, where no connection is at rest."""
        origin, head = start
        pool = self._pools.get(origin)
        request = closed(head + fields(headers), body)
        connection = None if pool is None else pool.idle()
        return None if connection is None else connection.ask(request, self.waits, Progress(), bodiless=False)

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()

    def _pool(self, origin: Origin) -> Connections:
        if origin.scheme == "https" and self._tls is None:
            self._tls = _verifying()
        tls = self._tls if origin.scheme == "https" else None
        made = self._pools[origin] = Connections(origin, tls, most=self._most, most_idle=self._most_idle)
        return made


def _verifying() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
