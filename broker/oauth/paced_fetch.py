"""So many questions a minute and at once, to all hosts and to one: whoever names addresses here must not aim us at somebody."""

from urllib.parse import urlsplit

from broker.core.clock import Clock
from broker.oauth.throttle import Throttle, Throttled
from broker.providers.fetch import Fetch, Fetched, NotFetched

A_MINUTE = 120
A_HOST_A_MINUTE = 20
AT_ONCE = 5
"""Fewer than are fetched at once in all: hosts that answer slowly leave room for others."""


class AskedTooOften(NotFetched):
    """Nothing was asked now; in a minute it may be."""


class PacedFetch:
    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._running = 0
        self._all = Throttle(A_MINUTE, clock)
        self._each = Throttle(A_HOST_A_MINUTE, clock)

    async def __call__(self, url: str, *, most: int, accept: str) -> Fetched:
        if self._running >= AT_ONCE:
            raise AskedTooOften("too many questions at once")
        try:
            self._each.admit(_host(url))
            self._all.admit("")
        except Throttled as error:
            raise AskedTooOften("too many questions in this minute") from error
        self._running += 1
        try:
            return await self._fetch(url, most=most, accept=accept)
        finally:
            self._running -= 1


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError as error:
        raise NotFetched("not an address") from error
