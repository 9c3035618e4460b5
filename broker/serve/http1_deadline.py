"""A moment by which something must have happened, on one timer that is seldom touched."""

import asyncio
from collections.abc import Callable
from math import inf


class Deadline:
    """Moving it further away costs no timer: the one that is set looks again when it fires."""

    __slots__ = ("_at", "_expired", "_fires_at", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._at = inf
        self._fires_at = inf
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> None:
        self._at = self._loop.time() + seconds
        if self._at < self._fires_at:
            self._arm()

    def lift(self) -> None:
        self._at = inf

    def end(self) -> None:
        self._at = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = self._at
        self._timer = self._loop.call_at(self._at, self._look)

    def _look(self) -> None:
        self._timer, self._fires_at = None, inf
        if self._at == inf:
            return
        if self._loop.time() >= self._at:
            self._at = inf
            self._expired()
        else:
            self._arm()
