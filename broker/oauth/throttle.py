"""Bounds how often one address may call the authorization server."""

from broker.core.clock import MINUTE, SECOND, Clock
from broker.core.errors import OAuthError
from broker.identity.throttle import network_of

MAX_ADDRESSES = 10_000


class Throttled(OAuthError):
    def __init__(self, retry_after: int) -> None:
        super().__init__("temporarily_unavailable", "Too many requests. Try again in a moment.", status=429)
        self.retry_after = retry_after


class Throttle:
    """Counts requests by address in this minute and the one before, as a window that slides over both.

    It protects a process from noise; no promise of the books rests on it, so each worker may count by itself.
    """

    def __init__(self, most_a_minute: int, clock: Clock) -> None:
        self._most = most_a_minute
        self._clock = clock
        self._minute = 0
        self._now: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def admit(self, address: str) -> None:
        """Raises Throttled."""
        address = network_of(address)
        minute, passed = divmod(self._clock(), MINUTE)
        self._turn(minute)
        count = self._now.get(address, 0)
        weighed = self._before.get(address, 0) * (MINUTE - passed) // MINUTE
        if count + weighed >= self._most:
            raise Throttled(max(1, (MINUTE - passed) // SECOND))
        if len(self._now) < MAX_ADDRESSES or address in self._now:
            self._now[address] = count + 1

    def _turn(self, minute: int) -> None:
        if minute != self._minute:
            self._before = self._now if minute == self._minute + 1 else {}
            self._now, self._minute = {}, minute
