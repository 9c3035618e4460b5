"""A clock that stands still until it is turned."""

from dataclasses import dataclass

from broker.core.clock import from_seconds

NOON = 1_795_266_300_000_000
"""21 Nov 2026, 13:05:00 UTC."""


@dataclass
class TurnedClock:
    now: int = NOON

    def __call__(self) -> int:
        return self.now

    def turn(self, seconds: int) -> None:
        self.now += from_seconds(seconds)
