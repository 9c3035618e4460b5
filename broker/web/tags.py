"""One word for how a grant stands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.core.clock import DAY
from broker.core.grant import GrantState

SOON = 2 * DAY
IDLE = 30 * DAY


@dataclass(frozen=True, slots=True)
class Tag:
    """`urgency` orders the list of apps, the most pressing first."""

    text: str
    kind: str
    urgency: int


class Stands(Protocol):
    """How one access of a grant stands."""

    @property
    def ends_at(self) -> int: ...

    @property
    def is_reached(self) -> bool: ...

    @property
    def has_key(self) -> bool: ...


_FIXED = {
    GrantState.REVOKED: Tag("Revoked", "", 9),
    GrantState.EXPIRED: Tag("Ended", "", 9),
    GrantState.FROZEN: Tag("Stopped", "bad", 0),
    GrantState.PAUSED: Tag("Paused", "warn", 5),
}
_REACHED = Tag("Limit reached", "bad", 0)
_NO_KEY = Tag("Key problem", "bad", 1)
_ENDS_SOON = Tag("Ends soon", "warn", 2)
_UNUSED = Tag("Not used for 30 days", "warn", 4)
_ACTIVE = Tag("Active", "ok", 5)


def tag_of(state: GrantState, accesses: Iterable[Stands], used_at: int, now: int) -> Tag:
    """`used_at` is when it was made, if it was never used."""
    if state in _FIXED:
        return _FIXED[state]
    running: Sequence[Stands] = [access for access in accesses if access.ends_at > now]
    if any(access.is_reached for access in running):
        return _REACHED
    if not all(access.has_key for access in running):
        return _NO_KEY
    if max(access.ends_at for access in running) - now < SOON:
        return _ENDS_SOON
    if now - used_at >= IDLE:
        return _UNUSED
    return _ACTIVE
