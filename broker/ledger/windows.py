"""The last minute of what has a limited rate, by the second."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from broker.core.access import RateLimit
from broker.core.clock import MINUTE, SECOND
from broker.ledger.keys import CounterKey


class Scope(NamedTuple):
    """What a rate is counted over: the calls of an access, or those of one token under it (`jti`) and of all that descend from it."""

    access_id: str
    jti: str = ""


def scopes_of(charged: Iterable[CounterKey]) -> Iterator[Scope]:
    """Every scope that a call counts in, whether or not anything is limited there."""
    for key in charged:
        if key.measure != "requests":
            continue
        if key.scope_kind == "access":
            yield Scope(key.scope_id)
        elif key.scope_kind == "token":
            jti, _, access_id = key.scope_id.partition("/")
            yield Scope(access_id, jti)


@dataclass(slots=True)
class Second:
    """Calls admitted in one second; they leave the window together, when the last of them does."""

    at: int
    """When that one was admitted."""
    calls: int
    tokens: int


@dataclass(slots=True)
class Window:
    """It may count a call for up to a second too long, and a call's bound for its usage; never less than there is."""

    seconds: dict[int, Second] = field(default_factory=dict)
    """In the order in which they leave."""
    calls: int = 0
    tokens: int = 0
    running: int = 0
    unwritten: list[tuple[int, int]] = field(default_factory=list)
    """What the transaction that is open has added, as (admitted at, tokens)."""

    def add(self, at: int, calls: int, tokens: int) -> None:
        second = self.seconds.get(at // SECOND)
        if second is None:
            self._begin(at // SECOND, Second(at, calls, tokens))
        else:
            second.at = max(second.at, at)
            second.calls += calls
            second.tokens += tokens
        self.calls += calls
        self.tokens += tokens

    def _begin(self, place: int, second: Second) -> None:
        is_last = not self.seconds or place > next(reversed(self.seconds))
        self.seconds[place] = second
        if not is_last:  # a clock went back, or another broker's is behind
            self.seconds = dict(sorted(self.seconds.items()))

    def change(self, at: int, calls: int, tokens: int) -> None:
        """What a call that was admitted then counts for more, or less, if it is still in the window."""
        second = self.seconds.get(at // SECOND)
        if second is not None:
            second.calls += calls
            second.tokens += tokens
            self.calls += calls
            self.tokens += tokens

    def read(self, at: int, calls: int, tokens: int) -> None:
        """A row of it as the store has it; those with an instant in order."""
        if at:
            self.add(at, calls, tokens)
        else:
            self.running = calls

    def leave_behind(self, now: int) -> None:
        while self.seconds:
            place = next(iter(self.seconds))
            if self.seconds[place].at > now - MINUTE:
                return
            gone = self.seconds.pop(place)
            self.calls -= gone.calls
            self.tokens -= gone.tokens

    def frees_at(self, now: int) -> int:
        """When the next call leaves it, or would if one was admitted now."""
        return next((second.at for second in self.seconds.values()), now) + MINUTE

    def fits(self, limits: RateLimit, tokens: int) -> bool:
        return fits(limits, tokens, self.calls, self.tokens, self.running)

    def dumped(self) -> str:
        """Without what runs: that is counted anew. Each instant as its distance from the one before."""
        numbers: list[int] = []
        before = 0
        for second in self.seconds.values():
            numbers += (second.at - before, second.calls, second.tokens)
            before = second.at
        return json.dumps(numbers, separators=(",", ":"))

    @classmethod
    def loaded(cls, dumped: str) -> "Window":
        window, at = cls(), 0
        numbers = iter(json.loads(dumped))
        for distance, calls, tokens in zip(numbers, numbers, numbers, strict=True):
            at += distance
            window.add(at, calls, tokens)
        return window


def fits(limits: RateLimit, tokens: int, calls: int, used: int, running: int) -> bool:
    if limits.requests_per_minute is not None and calls >= limits.requests_per_minute:
        return False
    if limits.tokens_per_minute is not None and used + tokens > limits.tokens_per_minute:
        return False
    return limits.concurrent is None or running < limits.concurrent
