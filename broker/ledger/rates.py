"""Requests and tokens a minute, and calls at once: judged over the reservation rows of the last minute."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.core.access import RateLimit
from broker.core.clock import MINUTE, SECOND
from broker.core.errors import CallRefused
from broker.core.left import RateLeft
from broker.ledger.recalled import Recalled
from broker.ledger.settle import Held
from broker.ledger.standing import Allowance
from broker.ledger.statements import (
    KEEP_WINDOW,
    MINUTE_OF_ACCESS,
    MINUTE_OF_TOKEN,
    RECALL_ACCESS,
    RECALL_TOKEN,
    ROWS_OF_ACCESS,
    ROWS_OF_TOKEN,
    WINDOW_OF_ACCESS,
    WINDOW_OF_TOKEN,
)
from broker.ledger.windows import Scope, Window, fits, scopes_of
from broker.store.steps import Steps

Limited = tuple[Scope, RateLimit]


@dataclass(slots=True)
class Kept:
    """The windows of the transactions before, for as long as they are to be believed."""

    windows: dict[Scope, Window] = field(default_factory=dict)
    is_shared: bool = False
    """Whether they stand in the database between transactions, since others admit calls, too."""

    def clear(self) -> None:
        self.windows.clear()


class Rates:
    """The windows that one transaction judges."""

    def __init__(self, kept: Kept, now: int) -> None:
        self._kept = kept
        self._now = now
        self._changed: dict[Scope, Window] = {}
        self._recalled: dict[Scope, Recalled] = {}

    def recall(self, ended: Iterable[Held], asked: Iterable[Limited]) -> Steps[None]:
        """Where windows are shared: those that calls end in, and that others may be admitted in. Counters have to be locked."""
        if not self._kept.is_shared:
            return
        self._kept.clear()
        wanted = {scope: 0 for held in ended for scope in _counted_in(held)}
        for scope, limits in asked:
            wanted[scope] = wanted.get(scope, 0) or int(limits.concurrent is not None)
        accesses = [(running, scope.access_id) for scope, running in wanted.items() if not scope.jti]
        tokens = [(jti, running, jti, jti, access_id) for (access_id, jti), running in wanted.items() if jti]
        for statement, each in ((RECALL_ACCESS, accesses), (RECALL_TOKEN, tokens)):
            for row in (yield statement, each) if each else ():
                self._recall(Recalled(*row))

    def _recall(self, row: Recalled) -> None:
        scope, window = Scope(row.access_id, row.jti), row.window(self._now)
        self._recalled[scope] = row
        if window is not None:
            self._kept.windows[scope] = window

    def keep(self) -> Steps[None]:
        """Those that have changed, where they are shared."""
        rows = []
        for scope, window in self._changed.items():
            recalled = self._recalled.get(scope)
            if recalled is not None and (row := recalled.written(window, self._now)) is not None:
                rows.append(row)
        if rows:
            yield KEEP_WINDOW, rows

    def load(self, scopes: Iterable[Limited]) -> Steps[None]:
        """Where nothing is limited, nothing is read."""
        windows, now = self._kept.windows, self._now
        missing = [scope for scope, _ in dict(scopes).items() if not _is_kept(windows.get(scope), now)]
        if not missing:
            return
        for scope in missing:
            windows[scope] = Window()
        # Whole seconds: a call that ends is looked for in the second in which it was admitted.
        since = (now - MINUTE) // SECOND * SECOND - 1
        accesses = [(scope.access_id, since, scope.access_id) for scope in missing if not scope.jti]
        tokens = [(jti, jti, access_id, since, jti, jti, access_id) for access_id, jti in missing if jti]
        for statement, wanted in ((WINDOW_OF_ACCESS, accesses), (WINDOW_OF_TOKEN, tokens)):
            for access_id, jti, *figures in sorted((yield statement, wanted) if wanted else (), key=_instant):
                windows[Scope(access_id, jti)].read(*figures)
        for scope in missing:
            windows[scope].leave_behind(now)

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

    def add(self, scopes: Iterable[Limited], tokens: int) -> None:
        for scope, _ in scopes:
            window = self._changed[scope] = self._kept.windows[scope]
            window.add(self._now, 1, tokens)
            window.running += 1
            window.unwritten.append((self._now, tokens))

    def left(self, allowance: Allowance) -> RateLeft | None:
        """Once a call was judged; None where neither requests nor tokens a minute are limited."""
        requests, tokens = allowance.rate_limit.requests_per_minute, allowance.rate_limit.tokens_per_minute
        if requests is None and tokens is None:
            return None
        window = self._kept.windows[Scope(allowance.access_id)]
        reset = max(1, -(-(window.frees_at(self._now) - self._now) // SECOND))
        requests_left, tokens_left = max(0, (requests or 0) - window.calls), max(0, (tokens or 0) - window.tokens)
        return RateLeft(requests, requests_left, tokens, tokens_left, reset)

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

    def end(self, held: Held, *, reached: bool, tokens: int) -> None:
        """An ended call counts with its usage, or not at all if the provider has not seen it."""
        windows = self._kept.windows
        if not windows:
            return
        calls, tokens = (0, tokens) if reached else (-1, 0)
        # Limits may have been typed since it was admitted without any: its windows are looked for all the same.
        for scope in held.scopes or scopes_of(held.charged):
            window = windows.get(scope)
            if window is None:
                continue  # when it is read, the row of the call will say how it has ended
            self._changed[scope] = window
            window.change(held.admitted_at, calls, tokens - held.rate_tokens)
            if not self._kept.is_shared:  # else what runs was counted after this call's row had ended
                window.running -= 1

    def committed(self) -> None:
        for window in self._changed.values():
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


def _counted_in(held: Held) -> Iterable[Scope]:
    """Nowhere, if it was admitted without a limit: a window that began since then counts its bound, until it leaves."""
    return scopes_of(held.charged) if held.scopes is None else held.scopes


def _limits_of(allowance: Allowance) -> Iterator[Limited]:
    yield Scope(allowance.access_id), allowance.rate_limit
    for cap in allowance.caps:
        yield Scope(allowance.access_id, cap.jti), cap.rate_limit


def limited(allowance: Allowance) -> tuple[Limited, ...]:
    """What limits the rate of such calls, and how far."""
    return tuple(pair for pair in _limits_of(allowance) if pair[1] != RateLimit())


def _is_kept(window: Window | None, now: int) -> bool:
    if window is None:
        return False
    window.leave_behind(now)
    return True


def _parameters(scope: Scope) -> tuple[str, ...]:
    return (scope.jti, scope.access_id) if scope.jti else (scope.access_id,)


def _instant(row: tuple[Any, ...]) -> int:
    at: int = row[2]
    return at
