"""Requests and tokens a minute, and calls at once: judged over the reservation rows of the last minute."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from broker.core.access import RateLimit
from broker.core.clock import MINUTE, SECOND
from broker.core.errors import CallRefused
from broker.ledger.standing import Allowance
from broker.ledger.statements import (
    MINUTE_OF_ACCESS,
    MINUTE_OF_TOKEN,
    ROWS_OF_ACCESS,
    ROWS_OF_TOKEN,
    RUNNING_OF_ACCESS,
    RUNNING_OF_TOKEN,
)
from broker.store.steps import Statement, Steps


class Scope(NamedTuple):
    """What a rate is counted over: the calls of an access, or those of one token under it (`jti`)."""

    access_id: str
    jti: str = ""


@dataclass(slots=True)
class Window:
    """The last minute of a scope: as it is stored, and what this transaction adds."""

    count: int = 0
    tokens: int = 0
    oldest: int = 0
    running: int = 0
    added: list[tuple[int, int]] = field(default_factory=list)

    def add(self, now: int, tokens: int) -> None:
        self.oldest = self.oldest if self.count else now
        self.count += 1
        self.tokens += tokens
        self.running += 1
        self.added.append((now, tokens))

    def fits(self, limits: RateLimit, tokens: int) -> bool:
        if limits.requests_per_minute is not None and self.count >= limits.requests_per_minute:
            return False
        if limits.tokens_per_minute is not None and self.tokens + tokens > limits.tokens_per_minute:
            return False
        return limits.concurrent is None or self.running < limits.concurrent


@dataclass(frozen=True, slots=True)
class RateLeft:
    """Requests a minute as an app may plan by them; `reset` in seconds, when the next one leaves the window."""

    limit: int
    remaining: int
    reset: int


class Rates:
    """The windows that one transaction judges."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._windows: dict[Scope, Window] = {}

    def load(self, allowances: Iterable[tuple[Allowance, str]]) -> Steps[None]:
        """Of allowances with the tokens that use them; where nothing is limited, nothing is read."""
        scopes = {scope: limits for each in allowances for scope, limits in scopes_of(*each) if limits != RateLimit()}
        self._windows |= {scope: Window() for scope in scopes}
        minutes = [s for s, limits in scopes.items() if limits.requests_per_minute or limits.tokens_per_minute]
        for statement, some in _by_kind(minutes, MINUTE_OF_ACCESS, MINUTE_OF_TOKEN):
            found = yield statement, [(*_parameters(scope), self._now - MINUTE) for scope in some]
            for scope, (count, tokens, oldest) in zip(some, found, strict=True):
                window = self._windows[scope]
                window.count, window.tokens, window.oldest = count, tokens, oldest
        crowds = [scope for scope, limits in scopes.items() if limits.concurrent]
        for statement, some in _by_kind(crowds, RUNNING_OF_ACCESS, RUNNING_OF_TOKEN):
            found = yield statement, [_parameters(scope) for scope in some]
            for scope, (running,) in zip(some, found, strict=True):
                self._windows[scope].running = running

    def fit(self, allowance: Allowance, jti: str, tokens: int) -> bool:
        known = self._windows
        return all(known[scope].fits(limits, tokens) for scope, limits in scopes_of(allowance, jti) if scope in known)

    def add(self, allowance: Allowance, jti: str, tokens: int) -> None:
        for scope, _ in scopes_of(allowance, jti):
            if scope in self._windows:
                self._windows[scope].add(self._now, tokens)

    def left(self, allowance: Allowance) -> RateLeft | None:
        """After a call was admitted; None where requests a minute are not limited."""
        limit = allowance.rate_limit.requests_per_minute
        if limit is None:
            return None
        window = self._windows[Scope(allowance.access_id)]
        reset = max(1, -(-(window.oldest + MINUTE - self._now) // SECOND))
        return RateLeft(limit, max(0, limit - window.count), reset)

    def too_fast(self, allowance: Allowance, jti: str, tokens: int) -> Steps[CallRefused]:
        """Says which rate is over, and in how many seconds enough rows have left the window."""
        wait = 0
        for scope, limits in scopes_of(allowance, jti):
            if scope not in self._windows:
                continue
            statement = ROWS_OF_TOKEN if scope.jti else ROWS_OF_ACCESS
            rows = [*(yield statement, [(*_parameters(scope), self._now - MINUTE)]), *self._windows[scope].added]
            if limits.requests_per_minute is not None:
                wait = max(wait, until_fits([(at, 1) for at, _ in rows], 1, limits.requests_per_minute, self._now))
            if limits.tokens_per_minute is not None:
                wait = max(wait, until_fits([(at, n) for at, n in rows], tokens, limits.tokens_per_minute, self._now))
        if wait == 0:
            return CallRefused("too_many_concurrent", "Too many requests of this access are running.", retry_after=1)
        return CallRefused("rate_limited", "This access allows fewer requests or tokens a minute.", retry_after=wait)


def until_fits(rows: Sequence[tuple[int, int]], wanted: int, limit: int, now: int) -> int:
    """Whole seconds until `wanted` fits beside what is still in the window; 0 if it fits now.

    Rows are (admitted at, amount), oldest first.
    """
    total = sum(amount for _, amount in rows)
    wait = 0
    for admitted_at, amount in rows:
        if total + wanted <= limit:
            break
        total -= amount
        wait = max(1, -(-(admitted_at + MINUTE - now) // SECOND))
    return wait


def scopes_of(allowance: Allowance, jti: str) -> Iterator[tuple[Scope, RateLimit]]:
    yield Scope(allowance.access_id), allowance.rate_limit
    if allowance.cap is not None:
        yield Scope(allowance.access_id, jti), allowance.cap.rate_limit


def _parameters(scope: Scope) -> tuple[str, ...]:
    return (scope.jti, scope.access_id) if scope.jti else (scope.access_id,)


def _by_kind(scopes: list[Scope], of_access: Statement, of_token: Statement) -> Iterator[tuple[Statement, list[Scope]]]:
    for statement, some in (
        (of_access, [scope for scope in scopes if not scope.jti]),
        (of_token, [scope for scope in scopes if scope.jti]),
    ):
        if some:
            yield statement, some
