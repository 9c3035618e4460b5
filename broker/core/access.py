"""What a grant allows: one element of authorization_details of type ai_model_access (RFC 9396)."""

from dataclasses import dataclass, replace
from typing import Literal

from broker.core.money import MicroUSD, to_decimal
from broker.core.pairing import paired

TYPE = "ai_model_access"
TPX_TYPE = "llm-inference"
DETAILS_TYPES = (TYPE, TPX_TYPE)
"""The types of authorization_details that are read; the second is put into the words of the first."""

Period = Literal["grant", "day", "week", "month"]
PERIODS: tuple[Period, ...] = ("grant", "day", "week", "month")

ACTIONS = ("chat", "completions", "embeddings", "images", "audio", "moderations", "rerank")
EXTRA_ACTIONS = ("tools", "vision", "web_search", "code_execution", "files", "batches", "background", "realtime")
"""Needed besides one of ACTIONS by a request that uses them."""
ALL_ACTIONS = ACTIONS + EXTRA_ACTIONS


@dataclass(frozen=True, slots=True)
class Budget:
    amount: MicroUSD
    per: Period = "grant"


@dataclass(frozen=True, slots=True)
class RateLimit:
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """One provider's models and actions with their limits; None is no limit, or inherited where a token narrows.

    A request speaks of `expires_in` (seconds from approval), a granted access of `expires_at` (seconds since 1970).
    """

    provider: str
    models: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    budget: Budget | None = None
    max_requests: int | None = None
    rate_limit: RateLimit = RateLimit()
    max_output_tokens: int | None = None
    expires_in: int | None = None
    expires_at: int | None = None
    identifier: str | None = None
    locations: tuple[str, ...] | None = None
    purpose: str | None = None

    def to_wire(self) -> dict[str, object]:
        """The JSON object; a member without a value is absent."""
        wire: dict[str, object] = {"type": TYPE, "provider": self.provider}
        if self.locations is not None:
            wire["locations"] = list(self.locations)
        wire["models"] = list(self.models)
        wire["actions"] = list(self.actions)
        if self.budget is not None:
            wire["budget"] = {"amount": to_decimal(self.budget.amount), "currency": "USD", "per": self.budget.per}
        rates = {
            name: value
            for name in ("requests_per_minute", "tokens_per_minute", "concurrent")
            if (value := getattr(self.rate_limit, name)) is not None
        }
        optional: dict[str, object] = {
            "max_requests": self.max_requests,
            "rate_limit": rates or None,
            "max_output_tokens": self.max_output_tokens,
            "expires_in": self.expires_in,
            "expires_at": self.expires_at,
            "identifier": self.identifier,
            "purpose": self.purpose,
        }
        return wire | {name: value for name, value in optional.items() if value is not None}

    def covers_model(self, model: str) -> bool:
        return any(pattern_within(model, pattern) for pattern in self.models)


def pattern_within(inner: str, outer: str) -> bool:
    """Whether every model that `inner` names is also named by `outer`; patterns are exact ids or prefixes ending in *."""
    if outer.endswith("*"):
        return inner.removesuffix("*").startswith(outer[:-1])
    return inner == outer


def first_excess(inner: Access, outer: Access) -> str | None:
    """The order of accesses: the first member in which `inner` asks for more than `outer`, or None if inner ≤ outer.

    RFC 9396 §6.1 leaves the comparison to the type. No limit is more than any limit.
    """
    checks = (
        ("provider", inner.provider == outer.provider),
        ("models", all(any(pattern_within(m, o) for o in outer.models) for m in inner.models)),
        ("actions", set(inner.actions) <= set(outer.actions)),
        ("locations", _subset(inner.locations, outer.locations)),
        ("budget", _budget_within(inner.budget, outer.budget)),
        ("max_requests", at_most(inner.max_requests, outer.max_requests)),
        ("requests_per_minute", at_most(inner.rate_limit.requests_per_minute, outer.rate_limit.requests_per_minute)),
        ("tokens_per_minute", at_most(inner.rate_limit.tokens_per_minute, outer.rate_limit.tokens_per_minute)),
        ("concurrent", at_most(inner.rate_limit.concurrent, outer.rate_limit.concurrent)),
        ("max_output_tokens", at_most(inner.max_output_tokens, outer.max_output_tokens)),
        ("expires_in", at_most(inner.expires_in, outer.expires_in)),
        ("expires_at", at_most(inner.expires_at, outer.expires_at)),
        ("identifier", outer.identifier is None or inner.identifier == outer.identifier),
    )
    return next((name for name, holds in checks if not holds), None)


def at_most(inner: int | None, outer: int | None) -> bool:
    return outer is None or (inner is not None and inner <= outer)


def lesser(left: int | None, right: int | None) -> int | None:
    """The tighter of two limits, where None is no limit."""
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)


def narrow(asked: Access, granted: Access) -> Access:
    """What a token request means: an absent member inherits the granted value; purpose is never in tokens."""
    rates, outer = asked.rate_limit, granted.rate_limit
    return replace(
        granted,
        models=asked.models or granted.models,
        actions=asked.actions or granted.actions,
        budget=granted.budget if asked.budget is None else asked.budget,
        max_requests=_or(asked.max_requests, granted.max_requests),
        rate_limit=RateLimit(
            _or(rates.requests_per_minute, outer.requests_per_minute),
            _or(rates.tokens_per_minute, outer.tokens_per_minute),
            _or(rates.concurrent, outer.concurrent),
        ),
        max_output_tokens=_or(asked.max_output_tokens, granted.max_output_tokens),
        expires_in=_or(asked.expires_in, granted.expires_in),
        expires_at=_or(asked.expires_at, granted.expires_at),
        identifier=asked.identifier or granted.identifier,
        locations=granted.locations if asked.locations is None else asked.locations,
        purpose=None,
    )


def narrow_all(asked: tuple[Access, ...], granted: tuple[Access, ...]) -> list[tuple[int, Access]] | str:
    """Pairs each asked access with a granted one of its own that covers it: (position, narrowed), or the member in excess."""
    covered: list[dict[int, Access]] = []
    for element in asked:
        found, excess = {}, "provider"
        for position, outer in enumerate(granted):
            if outer.provider != element.provider:
                continue
            candidate = narrow(element, outer)
            exceeding = first_excess(candidate, outer)
            if exceeding is None:
                found[position] = candidate
            else:
                excess = exceeding
        if not found:
            return excess
        covered.append(found)
    positions = paired([list(found) for found in covered])
    if positions is None:
        return "provider"
    return [(position, found[position]) for position, found in zip(positions, covered, strict=True)]


def _or(asked: int | None, granted: int | None) -> int | None:
    return granted if asked is None else asked


def _subset(inner: tuple[str, ...] | None, outer: tuple[str, ...] | None) -> bool:
    return outer is None or (inner is not None and set(inner) <= set(outer))


def _budget_within(inner: Budget | None, outer: Budget | None) -> bool:
    if outer is None:
        return True
    return inner is not None and inner.per == outer.per and inner.amount <= outer.amount
