"""Requests and tokens a minute, and calls at once: judged over the reservation rows of the last minute."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from broker.core.access import RateLimit
from broker.core.clock import MINUTE, SECOND
from broker.core.errors import CallRefused
from broker.core.left import RateLeft
from broker.ledger.keys import CounterKey
from broker.ledger.standing import Allowance
from broker.ledger.statements import (
    MINUTE_OF_ACCESS,
    MINUTE_OF_TOKEN,
    ROWS_OF_ACCESS,
    ROWS_OF_TOKEN,
    WINDOW_OF_ACCESS,
    WINDOW_OF_TOKEN,
)
from broker.store.steps import Steps


class Scope(NamedTuple):
    """What a rate is counted over: the calls of an access, or those of one token under it (`jti`) and of all that descend from it."""

    access_id: str
    jti: str = ""


Limited = tuple[Scope, RateLimit]


@dataclass(slots=True)
class Entry:
    """Calls that leave the window together, when the last of them does."""

    at: int
    calls: int
    tokens: int


@dataclass(slots=True)
class Window:
    """The last minute of a scope: what was stored when it was read, by the second, and each call admitted since.

    It may count a call for up to a second too long, and a call's bound for its usage; never less than there is.
    """

    entries: deque[Entry] = field(default_factory=deque)
    calls: int = 0
    tokens: int = 0
    running: int = 0
    unwritten: list[tuple[int, int]] = field(default_factory=list)
    """What the transaction that is open has added, as (admitted at, tokens)."""

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.calls += entry.calls
        self.tokens += entry.tokens

    def read(self, at: int, calls: int, tokens: int) -> None:
        """A row of it as the store has it; those with an instant in order."""
        if at:
            self.add(Entry(at, calls, tokens))
        else:
            self.running = calls

    def leave_behind(self, now: int) -> None:
        while self.entries and self.entries[0].at <= now - MINUTE:
            gone = self.entries.popleft()
            self.calls -= gone.calls
            self.tokens -= gone.tokens

    def holds(self, entry: Entry) -> bool:
        return bool(self.entries) and entry.at >= self.entries[0].at

    def fits(self, limits: RateLimit, tokens: int) -> bool:
        return fits(limits, tokens, self.calls, self.tokens, self.running)


def fits(limits: RateLimit, tokens: int, calls: int, used: int, running: int) -> bool:
    if limits.requests_per_minute is not None and calls >= limits.requests_per_minute:
        return False
    if limits.tokens_per_minute is not None and used + tokens > limits.tokens_per_minute:
        return False
    return limits.concurrent is None or running < limits.concurrent


@dataclass(slots=True)
class Kept:
    """The windows of the transactions before, for as long as they are to be believed; and whose calls are in them."""

    windows: dict[Scope, Window] = field(default_factory=dict)
    entries: dict[str, tuple[Sequence[Limited], Entry]] = field(default_factory=dict)
    """Reservation id → where its call counts."""

    def clear(self) -> None:
        self.windows.clear()
        self.entries.clear()


class Rates:
    """The windows that one transaction judges."""

    def __init__(self, kept: Kept, now: int) -> None:
        self._kept = kept
        self._now = now
        self._changed: list[Window] = []

    def load(self, scopes: Iterable[Limited]) -> Steps[None]:
        """Where nothing is limited, nothing is read."""
        windows, now = self._kept.windows, self._now
        missing = [scope for scope, _ in dict(scopes).items() if not _is_kept(windows.get(scope), now)]
        if not missing:
            return
        for scope in missing:
            windows[scope] = Window()
        since = now - MINUTE
        accesses = [(scope.access_id, since, scope.access_id) for scope in missing if not scope.jti]
        tokens = [(jti, jti, access_id, since, jti, jti, access_id) for access_id, jti in missing if jti]
        for statement, wanted in ((WINDOW_OF_ACCESS, accesses), (WINDOW_OF_TOKEN, tokens)):
            for access_id, jti, *figures in sorted((yield statement, wanted) if wanted else (), key=_instant):
                windows[Scope(access_id, jti)].read(*figures)

    def roomy(self, scopes: Iterable[Limited], tokens: int) -> bool:
        """Whether a call fits into the windows as they are kept."""
        windows = self._kept.windows
        return False not in [windows[scope].fits(limits, tokens) for scope, limits in scopes]

    def fit(self, scopes: Iterable[Limited], tokens: int) -> Steps[bool]:
        """What does not fit into the windows as they are kept is judged once more by the rows."""
        for scope, limits in scopes:
            window = self._kept.windows[scope]
            if not window.fits(limits, tokens):
                calls, used = yield from self._exactly(scope, window)
                if not fits(limits, tokens, calls, used, window.running):
                    return False
        return True

    def _exactly(self, scope: Scope, window: Window) -> Steps[tuple[int, int]]:
        statement = MINUTE_OF_TOKEN if scope.jti else MINUTE_OF_ACCESS
        [(calls, tokens, _)] = yield statement, [(*_parameters(scope), self._now - MINUTE)]
        return calls + len(window.unwritten), tokens + sum(tokens for _, tokens in window.unwritten)

    def add(self, reservation_id: str, scopes: Sequence[Limited], tokens: int) -> None:
        if not scopes:
            return
        entry = Entry(self._now, 1, tokens)
        for scope, _ in scopes:
            window = self._kept.windows[scope]
            window.add(entry)
            window.running += 1
            window.unwritten.append((self._now, tokens))
            self._changed.append(window)
        self._kept.entries[reservation_id] = scopes, entry

    def left(self, allowance: Allowance) -> RateLeft | None:
        """Once a call was judged; None where requests a minute are not limited."""
        limit = allowance.rate_limit.requests_per_minute
        if limit is None:
            return None
        window = self._kept.windows[Scope(allowance.access_id)]
        oldest = window.entries[0].at if window.entries else self._now
        reset = max(1, -(-(oldest + MINUTE - self._now) // SECOND))
        return RateLeft(limit, max(0, limit - window.calls), reset)

    def too_fast(self, scopes: Iterable[Limited], tokens: int) -> Steps[CallRefused]:
        """Says which rate is over, and in how many seconds enough rows have left the window."""
        wait = 0
        for scope, limits in scopes:
            window = self._kept.windows[scope]
            statement = ROWS_OF_TOKEN if scope.jti else ROWS_OF_ACCESS
            rows = [*(yield statement, [(*_parameters(scope), self._now - MINUTE)]), *window.unwritten]
            if limits.requests_per_minute is not None:
                wait = max(wait, until_fits([(at, 1) for at, _ in rows], 1, limits.requests_per_minute, self._now))
            if limits.tokens_per_minute is not None:
                wait = max(wait, until_fits([(at, n) for at, n in rows], tokens, limits.tokens_per_minute, self._now))
        if wait == 0:
            return CallRefused("too_many_concurrent", "Too many requests of this access are running.", retry_after=1)
        return CallRefused("rate_limited", "This access allows fewer requests or tokens a minute.", retry_after=wait)

    def end(self, reservation_id: str, charged: Iterable[CounterKey], *, reached: bool, tokens: int) -> None:
        """An ended call counts with its usage, or not at all if the provider has not seen it."""
        scopes, entry = self._kept.entries.pop(reservation_id, (_NOWHERE, None))
        if entry is None:
            # It was admitted before its windows were read, so they are read again.
            for scope in _charged_in(charged):
                self._kept.windows.pop(scope, None)
            return
        calls, tokens = (1, tokens) if reached else (0, 0)
        for scope, _ in scopes:
            window = self._kept.windows.get(scope)
            if window is None:
                continue  # it will be read again, as above
            window.running -= 1
            if window.holds(entry):
                window.calls += calls - entry.calls
                window.tokens += tokens - entry.tokens
        entry.calls, entry.tokens = calls, tokens

    def committed(self) -> None:
        for window in self._changed:
            window.unwritten.clear()

    def undone(self) -> None:
        self._kept.clear()


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


def _scopes_of(allowance: Allowance) -> Iterator[Limited]:
    yield Scope(allowance.access_id), allowance.rate_limit
    for cap in allowance.caps:
        yield Scope(allowance.access_id, cap.jti), cap.rate_limit


def limited(allowance: Allowance) -> tuple[Limited, ...]:
    """What limits the rate of such calls, and how far."""
    return tuple(pair for pair in _scopes_of(allowance) if pair[1] != RateLimit())


def _is_kept(window: Window | None, now: int) -> bool:
    if window is None:
        return False
    window.leave_behind(now)
    return True


_NOWHERE: Sequence[Limited] = ()


def _charged_in(charged: Iterable[CounterKey]) -> Iterator[Scope]:
    for key in charged:
        if key.scope_kind == "access":
            yield Scope(key.scope_id)
        elif key.scope_kind == "token":
            jti, _, access_id = key.scope_id.partition("/")
            yield Scope(access_id, jti)


def _parameters(scope: Scope) -> tuple[str, ...]:
    return (scope.jti, scope.access_id) if scope.jti else (scope.access_id,)


def _instant(row: tuple[Any, ...]) -> int:
    at: int = row[2]
    return at
