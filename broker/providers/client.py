"""The one door to a provider: what a client has to give, and which one it is."""

from typing import Any, Protocol

from broker.providers.answer import Answer
from broker.providers.asking import Broken, Headers, NotReached, Progress, TimedOut, TooLarge, Waits
from broker.providers.dial import GuardedDial
from broker.providers.pooled import PooledClient
from broker.providers.reach import Reach

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
    "provider_client",
]

Start = Any
"""What a client makes of the address and the headers with which requests begin alike; only itself looks into it."""


class ProviderClient(Protocol):
    """Redirects are never followed, the environment's proxies never used, and nothing is sent twice.

    An `Answer` is filled from the loop, never while one of these is being called, and `part` ends it.
    """

    waits: Waits

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
        """Waits for the head of the answer; raises NotReached, TimedOut or Broken, and ValueError before a byte.

        `brought` is an address that a person named: it is judged at each connection, or not reached.
        """

    def start(self, url: str, headers: Headers) -> Start:
        """Of every POST to this address with these headers. Raises ValueError."""

    def send_at_once(self, start: Start, headers: Headers, body: bytes) -> Answer | None:
        """As `send`, with nothing to wait for: None, and nothing sent, where no connection is at rest."""

    async def send_on_another(self, start: Start, headers: Headers, body: bytes) -> Answer:
        """As `send_at_once` after it gave None, without waiting for the head; raises NotReached."""

    async def close(self) -> None:
        """Whoever still waits or reads is told."""


def provider_client(waits: Waits, reach: Reach | None = None) -> ProviderClient:
    """Another transport is put in here; without `reach` no address that a person brought is reached."""
    return PooledClient(waits, guard=None if reach is None else GuardedDial(reach))
