"""What a token is worth right now: its row, its grant, and the accesses that are left of it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from broker.core.access import RateLimit, lesser, pattern_within
from broker.core.clock import from_seconds
from broker.core.credential import SealedKey
from broker.core.grant import GrantState
from broker.core.money import parse_decimal
from broker.ledger.overall import Overall, overall_of
from broker.ledger.statements import ACCESSES, SPARES, TOKENS, AccessRow, TokenRow
from broker.store.ledger_tables import NO_LIMIT
from broker.store.steps import Steps


@dataclass(frozen=True, slots=True)
class Cap:
    """The money and requests of one token under one access; counted apart from the access's own."""

    jti: str
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
    credential: SealedKey
    """As it stands at the reservation; the key is opened from it at the last moment."""
    budget: int
    budget_per: str
    max_requests: int
    rate_limit: RateLimit
    max_output_tokens: int | None
    ends_at: int
    caps: tuple[Cap, ...]
    """Of the token and of all its parents, those that have any; a call counts in each."""
    overall: tuple[Overall, ...] = ()
    """The limits above it that its calls are charged to as well."""
    strategy: str = ""
    spares: tuple["Allowance", ...] = ()
    """The same with each other key that its person allowed, by priority, without those that cannot be used."""
    pooled: bool = False
    """Whether it is one of several that differ by their key alone."""

    @property
    def is_ready(self) -> bool:
        return self.credential.removed_at is None and self.credential.provider == self.provider

    @property
    def by_key(self) -> tuple["Allowance", ...]:
        """Itself, and itself with each other key."""
        return self, *self.spares

    def only(self, credential_id: str) -> "Allowance | None":
        """With this key and no other; None where it is not among its keys."""
        found = next((each for each in self.by_key if each.credential.id == credential_id), None)
        return replace(found, spares=(), pooled=False) if found is not None and found.pooled else found

    @property
    def tokens_per_minute(self) -> int | None:
        least = self.rate_limit.tokens_per_minute
        for cap in self.caps:
            least = lesser(least, cap.rate_limit.tokens_per_minute)
        return least

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
    """The token's own end, or that of the first of its parents to end."""
    allowances: tuple[Allowance, ...]

    def at(self, now: int, *, expired_token: bool = False) -> "Standing | None":
        """What is left of it at an instant; None when that is nothing."""
        if self.ends_at <= now and not expired_token:
            return None
        live = tuple(allowance for allowance in self.allowances if allowance.ends_at > now)
        if not live:
            return None
        return self if len(live) == len(self.allowances) else replace(self, allowances=live)


def read_standings(jtis: Iterable[str]) -> Steps[dict[str, Standing]]:
    """Of the tokens that are worth something, or were until they or their accesses ended."""
    lines = yield from _lines([*dict.fromkeys(jtis)])
    rows = yield from read_rows([*dict.fromkeys(line[0].grant_id for line in lines)])
    return {line[0].jti: _standing(line, rows[line[0].grant_id]) for line in lines}


def read_rows(grant_ids: Sequence[str]) -> Steps[dict[str, list[AccessRow]]]:
    """The accesses of each of these grants, with each of their keys."""
    rows: dict[str, list[AccessRow]] = {grant_id: [] for grant_id in grant_ids}
    pooled = []
    if grant_ids:
        for row in (yield ACCESSES, [(grant_id,) for grant_id in grant_ids]):
            access = AccessRow(*row)
            rows[access.grant_id].append(access)
            if access.strategy:
                pooled.append((access.grant_id,))
    if pooled:
        for row in (yield SPARES, list(dict.fromkeys(pooled))):
            access = AccessRow(*row)
            rows[access.grant_id].append(access)
    return rows


def _lines(jtis: Sequence[str]) -> Steps[list[list[TokenRow]]]:
    """Each token with all its parents, itself first; without those of whom one is worth nothing any more."""
    found: dict[str, TokenRow] = {}
    asked: Iterable[str] = jtis
    while asked:
        rows = [TokenRow(*row) for row in (yield TOKENS, [(jti,) for jti in asked])]
        found |= {row.jti: row for row in rows}
        asked = {row.parent_jti for row in rows if row.parent_jti is not None}.difference(found)
    lines = [[found[jti]] for jti in jtis if jti in found]
    for line in lines:
        while (parent := line[-1].parent_jti) is not None and parent in found:
            line.append(found[parent])
    return [line for line in lines if line[-1].parent_jti is None]


def _standing(line: Sequence[TokenRow], rows: Sequence[AccessRow]) -> Standing:
    token = line[0]
    return Standing(
        token.jti,
        token.grant_id,
        token.user_id,
        token.client_id,
        GrantState(token.state),
        min(each.ends_at for each in line),
        narrowed(rows, [(each.jti, each.caps) for each in line if each.caps is not None]),
    )


Named = tuple[str, dict[str, Any]]
"""A token, and what it narrows an access to."""


def narrowed(rows: Sequence[AccessRow], caps: Sequence[tuple[str, str]]) -> tuple[Allowance, ...]:
    """With caps, by the tokens that have them, only the accesses that each of them names are left."""
    named: list[Named] = [(jti, json.loads(stored)) for jti, stored in caps]
    found: dict[str, list[Allowance]] = {}
    for access_id, its in _by_key(rows):
        if all(access_id in elements for _, elements in named):
            own = [(jti, elements[access_id]) for jti, elements in named]
            found.setdefault(access_id, []).append(_allowance(its, own))
    return tuple(_pool(each) if len(each) > 1 else each[0] for each in found.values())


def _by_key(rows: Sequence[AccessRow]) -> Iterable[tuple[str, list[AccessRow]]]:
    """The rows of each access and key are its limits."""
    for (access_id, _), its in groupby(rows, key=lambda row: (row.id, row.key_id)):
        yield access_id, [*its]


def _pool(keys: Sequence[Allowance]) -> Allowance:
    """Its first one alone where none can be used."""
    live = [replace(each, pooled=True) for each in keys if each.is_ready]
    if len(live) < 2:
        return replace(live[0], pooled=False) if live else keys[0]
    return replace(live[0], spares=tuple(live[1:]))


def _allowance(rows: Sequence[AccessRow], caps: Sequence[Named]) -> Allowance:
    row = rows[0]
    models = tuple(json.loads(row.models))
    actions = frozenset(json.loads(row.actions))
    ends_at, max_output = row.ends_at, row.max_output_tokens
    for _, element in caps:
        models = intersection(models, tuple(element["models"]))
        actions &= frozenset(element["actions"])
        max_output = lesser(max_output, element.get("max_output_tokens"))
        if "expires_at" in element:
            ends_at = min(ends_at, from_seconds(element["expires_at"]))
    return Allowance(
        access_id=row.id,
        provider=row.provider,
        models=models,
        actions=actions,
        credential=SealedKey(
            row.key_id,
            row.key_user_id,
            row.key_provider,
            row.key_source,
            row.key_sealed,
            row.key_version,
            row.key_state,
            row.key_removed_at,
            row.key_rests_until,
            row.key_expires_at,
            row.key_base_url,
        ),
        budget=row.budget,
        budget_per=row.budget_per,
        max_requests=NO_LIMIT if row.max_requests is None else row.max_requests,
        rate_limit=RateLimit(row.requests_per_minute, row.tokens_per_minute, row.concurrent),
        max_output_tokens=max_output,
        ends_at=ends_at,
        caps=tuple(_cap(*cap) for cap in caps),
        overall=overall_of(rows),
        strategy=row.strategy,
    )


def _cap(jti: str, cap: dict[str, Any]) -> Cap:
    budget = cap.get("budget")
    amount = None if budget is None else parse_decimal(budget["amount"])
    return Cap(
        jti,
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
