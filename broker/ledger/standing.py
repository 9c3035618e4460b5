"""What a token is worth right now: its row, its grant, and the accesses that are left of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.core.access import RateLimit, lesser, pattern_within
from broker.core.clock import from_seconds
from broker.core.grant import GrantState
from broker.core.money import parse_decimal
from broker.ledger.core_tables import ACCESS, ACCESS_TOKEN, CLIENT, CREDENTIAL, FAMILY, GRANT, USER
from broker.store.ledger_tables import NO_LIMIT
from broker.store.tables import Credential


@dataclass(frozen=True, slots=True)
class Cap:
    """The money and requests of one token under one access; counted apart from the access's own."""

    budget: int | None
    budget_per: str
    max_requests: int
    rate_limit: RateLimit


@dataclass(frozen=True, slots=True)
class Allowance:
    """One access as this token may use it: the stored access, narrowed by the token's caps."""

    access_id: str
    provider: str
    models: tuple[str, ...]
    actions: frozenset[str]
    credential: Credential
    """As it stands at the reservation; the key is opened from it at the last moment."""
    budget: int
    budget_per: str
    max_requests: int
    rate_limit: RateLimit
    max_output_tokens: int | None
    ends_at: int
    cap: Cap | None

    @property
    def is_ready(self) -> bool:
        return self.credential.removed_at is None and self.credential.provider == self.provider

    def tokens_per_minute(self) -> int | None:
        own = None if self.cap is None else self.cap.rate_limit.tokens_per_minute
        return lesser(self.rate_limit.tokens_per_minute, own)

    def covers_model(self, model: str) -> bool:
        return any(model.startswith(p[:-1]) if p.endswith("*") else model == p for p in self.models)


@dataclass(frozen=True, slots=True)
class Standing:
    """A token whose row, grant, client and user stand; a paused or frozen grant is said so in `state`."""

    jti: str
    grant_id: str
    user_id: str
    client_id: str
    state: GrantState
    ends_at: int
    allowances: tuple[Allowance, ...]


_TOKEN = (
    select(
        ACCESS_TOKEN.c.jti,
        ACCESS_TOKEN.c.ends_at,
        ACCESS_TOKEN.c.caps,
        GRANT.c.id.label("grant_id"),
        GRANT.c.state,
        GRANT.c.user_id,
        GRANT.c.client_id,
    )
    .join(GRANT, GRANT.c.id == ACCESS_TOKEN.c.grant_id)
    .join(USER, USER.c.id == GRANT.c.user_id)
    .join(CLIENT, CLIENT.c.id == GRANT.c.client_id)
    .outerjoin(FAMILY, FAMILY.c.id == ACCESS_TOKEN.c.family_id)
    .where(ACCESS_TOKEN.c.revoked_at.is_(None), FAMILY.c.revoked_at.is_(None))
    .where(USER.c.disabled_at.is_(None), CLIENT.c.removed_at.is_(None))
    .where(GRANT.c.state.in_([GrantState.ACTIVE.value, GrantState.PAUSED.value, GrantState.FROZEN.value]))
)

_KEY_COLUMNS = ("id", "user_id", "provider", "source", "sealed", "version", "state", "removed_at")

_ACCESSES = (
    select(ACCESS, *(CREDENTIAL.c[name].label(f"key_{name}") for name in _KEY_COLUMNS))
    .join(CREDENTIAL, CREDENTIAL.c.id == ACCESS.c.credential_id)
    .where(ACCESS.c.ended_at.is_(None))
    .order_by(ACCESS.c.position)
)


async def load_standing(
    connection: AsyncConnection, jti: str, now: int, *, expired_token: bool = False
) -> Standing | None:
    """None when the token is worth nothing: unknown, revoked or expired, itself or all of its grant.

    With `expired_token` the token's own end is not looked at: a running call outlives it, and only it.
    """
    row = (await connection.execute(_TOKEN.where(ACCESS_TOKEN.c.jti == jti))).first()
    if row is None or (row.ends_at <= now and not expired_token):
        return None
    query = _ACCESSES.where(ACCESS.c.grant_id == row.grant_id, ACCESS.c.ends_at > now)
    allowances = narrowed((await connection.execute(query)).all(), row.caps, now)
    if not allowances:
        return None
    state = GrantState(row.state)
    return Standing(jti, row.grant_id, row.user_id, row.client_id, state, row.ends_at, allowances)


def narrowed(rows: Sequence[Row[Any]], caps: str | None, now: int) -> tuple[Allowance, ...]:
    """With caps, only the accesses that they name are left."""
    if caps is None:
        return tuple(_allowance(row, None) for row in rows)
    named: dict[str, dict[str, Any]] = json.loads(caps)
    found = (_allowance(row, named[row.id]) for row in rows if row.id in named)
    return tuple(allowance for allowance in found if allowance.ends_at > now)


def _allowance(row: Row[Any], cap: dict[str, Any] | None) -> Allowance:
    models = tuple(json.loads(row.models))
    actions = frozenset(json.loads(row.actions))
    capped = cap or {}
    if cap is not None:
        models = intersection(models, tuple(cap["models"]))
        actions &= frozenset(cap["actions"])
    ends = lesser(row.ends_at, from_seconds(capped["expires_at"]) if "expires_at" in capped else None)
    return Allowance(
        access_id=row.id,
        provider=row.provider,
        models=models,
        actions=actions,
        credential=Credential(**{name: getattr(row, f"key_{name}") for name in _KEY_COLUMNS}),
        budget=row.budget,
        budget_per=row.budget_per,
        max_requests=NO_LIMIT if row.max_requests is None else row.max_requests,
        rate_limit=RateLimit(row.requests_per_minute, row.tokens_per_minute, row.concurrent),
        max_output_tokens=lesser(row.max_output_tokens, capped.get("max_output_tokens")),
        ends_at=ends or row.ends_at,
        cap=None if cap is None else _cap(cap),
    )


def _cap(cap: dict[str, Any]) -> Cap:
    budget = cap.get("budget")
    amount = None if budget is None else parse_decimal(budget["amount"])
    return Cap(
        amount,
        "grant" if budget is None else budget["per"],
        cap.get("max_requests", NO_LIMIT),
        RateLimit(**cap.get("rate_limit", {})),
    )


def intersection(granted: tuple[str, ...], token: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns that both allow: of two that overlap, the longer one."""
    inside = [pattern for pattern in token if any(pattern_within(pattern, outer) for outer in granted)]
    inside += [pattern for pattern in granted if any(pattern_within(pattern, outer) for outer in token)]
    return tuple(dict.fromkeys(inside))
