"""The states of a grant and of a grant request, and the only moves between them."""

from enum import StrEnum


class GrantState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    FROZEN = "frozen"
    REVOKED = "revoked"
    EXPIRED = "expired"


class GrantEvent(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    REVOKE = "revoke"
    EXPIRE = "expire"


class RequestState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


MOVES: dict[GrantState, dict[GrantEvent, GrantState]] = {
    GrantState.ACTIVE: {
        GrantEvent.PAUSE: GrantState.PAUSED,
        GrantEvent.FREEZE: GrantState.FROZEN,
        GrantEvent.REVOKE: GrantState.REVOKED,
        GrantEvent.EXPIRE: GrantState.EXPIRED,
    },
    GrantState.PAUSED: {
        GrantEvent.RESUME: GrantState.ACTIVE,
        GrantEvent.FREEZE: GrantState.FROZEN,
        GrantEvent.REVOKE: GrantState.REVOKED,
        GrantEvent.EXPIRE: GrantState.EXPIRED,
    },
    GrantState.FROZEN: {
        GrantEvent.UNFREEZE: GrantState.ACTIVE,
        GrantEvent.REVOKE: GrantState.REVOKED,
        GrantEvent.EXPIRE: GrantState.EXPIRED,
    },
    GrantState.REVOKED: {},
    GrantState.EXPIRED: {},
}

LIVE = (GrantState.ACTIVE, GrantState.PAUSED, GrantState.FROZEN)


def sources(event: GrantEvent) -> tuple[GrantState, ...]:
    """The states an event may come from: what a conditional UPDATE names in its WHERE."""
    return tuple(state for state, moves in MOVES.items() if event in moves)


def target(state: GrantState, event: GrantEvent) -> GrantState | None:
    return MOVES[state].get(event)


def state_at(state: str, ends_at: int, now: int) -> GrantState:
    """The state as a reader must see it: a live grant past its end is expired, swept or not."""
    stored = GrantState(state)
    return GrantState.EXPIRED if stored in LIVE and ends_at <= now else stored
