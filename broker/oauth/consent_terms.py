"""What a person may choose for one access: no more than the app asked for, within what the operator allows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from broker.core.access import Access, Budget, Period, RateLimit, lesser, pattern_within
from broker.core.clock import to_seconds
from broker.core.details import MAX_COUNT
from broker.core.money import MicroUSD

CountField = Literal["requests", "rpm", "tpm", "concurrent", "output"]
COUNT_FIELDS: tuple[CountField, ...] = ("requests", "rpm", "tpm", "concurrent", "output")

TermsField = Literal["key", "also", "budget", "ends", "model", "action"] | CountField

Cause = Literal["blank", "unreadable", "too_small", "above_asked", "above_cap", "past", "not_offered"]

CENT = MicroUSD(10_000)
CAUTIOUS_BUDGET = MicroUSD(1_000_000)
CAUTIOUS_SECONDS = 86_400
"""What the fields of an app that nobody has checked start at, at most; they may be raised to what it asked for."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator lets people give away, and what they are offered where an app names no figure."""

    max_budget: MicroUSD
    default_budget: MicroUSD
    max_seconds: int
    default_seconds: int
    operator_keys: str


@dataclass(frozen=True, slots=True)
class Present:
    """The live access that an approval goes on with, and what it has used of the totals that never renew."""

    credential_id: str
    element: Access
    spent: int
    left: int
    """Micro-dollars that can still be spent in this period."""
    requests_used: int
    lasts: int
    """Seconds it was given for."""
    spares: tuple[str, ...] = ()
    """The credentials after the first, in their order."""
    strategy: str = ""
    """By which of several a call goes."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a person chose for one access, as far as it could be read; `unread` says what could not.

    `ends_at` in seconds since 1970; a count that is None is no limit.
    """

    credential_id: str = ""
    spares: tuple[str, ...] = ()
    """Credentials that calls go on with."""
    budget: MicroUSD | None = None
    ends_at: int | None = None
    models: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    counts: Mapping[CountField, int | None] = field(default_factory=dict)
    dropped: bool = False
    unread: Mapping[TermsField, Cause] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a choice cannot be granted; `bound` is the figure it must keep to, in the field's own unit."""

    field: TermsField
    cause: Cause
    bound: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """One access as it may be given: the app's wish, the keys that could be lent, and what goes on, if anything does."""

    asked: Access
    keys: tuple[str, ...]
    policy: Policy
    present: Present | None = None
    continues: bool = False
    """Whether an approval goes on with a live grant, be this access in it or not."""
    adds: bool = False
    """Whether `asked` is what the app asked to add, and what goes on with it."""
    cautious: bool = False
    optional: bool = False
    """Whether there is something else to approve, so that this access may be left out."""

    @property
    def per(self) -> Period:
        if self.asked.budget is not None:
            return self.asked.budget.per
        if self.present is not None and self.present.element.budget is not None:
            return self.present.element.budget.per
        return "grant"

    @property
    def spent(self) -> int:
        return 0 if self.present is None else self.present.spent

    @property
    def wished_budget(self) -> MicroUSD:
        """The money asked for from now on, within the operator's cap."""
        asked = self.asked.budget
        return self.policy.max_budget if asked is None else min(asked.amount, self.policy.max_budget)

    @property
    def wished_seconds(self) -> int:
        asked = self.asked.expires_in
        return self.policy.max_seconds if asked is None else min(asked, self.policy.max_seconds)

    @property
    def strategy(self) -> str:
        """By which of several keys a call goes; what is given anew goes by the first that serves."""
        return "priority" if self.present is None else self.present.strategy or "priority"

    def in_order(self, spares: Iterable[str]) -> tuple[str, ...]:
        """Those that are lent already in the order they are in, then the others as they are offered."""
        known = () if self.present is None else self.present.spares
        order = {key: place for place, key in enumerate(dict.fromkeys([*known, *self.keys]))}
        return tuple(sorted(dict.fromkeys(spares), key=lambda key: order.get(key, len(order))))

    @property
    def model_options(self) -> tuple[str, ...]:
        """The patterns asked for, and those in force that lie within them."""
        now = () if self.present is None else self.present.element.models
        return self.asked.models + tuple(m for m in now if m not in self.asked.models and _within(m, self.asked.models))

    def has_model(self, pattern: str) -> bool:
        """Whether what is in force already covers this pattern."""
        return self.present is not None and _within(pattern, self.present.element.models)


def count_of(element: Access, name: CountField) -> int | None:
    match name:
        case "requests":
            return element.max_requests
        case "rpm":
            return element.rate_limit.requests_per_minute
        case "tpm":
            return element.rate_limit.tokens_per_minute
        case "concurrent":
            return element.rate_limit.concurrent
        case "output":
            return element.max_output_tokens


def counts_of(element: Access) -> dict[CountField, int | None]:
    return {name: count_of(element, name) for name in COUNT_FIELDS}


def ceiling(offer: Offer, now: int) -> Access:
    """The most that may be given. What is asked for counts from now on, so a total stands on what is used already."""
    used = 0 if offer.present is None else offer.present.requests_used
    asked = offer.asked
    return replace(
        asked,
        models=offer.model_options,
        budget=Budget(MicroUSD(offer.spent + offer.wished_budget), offer.per),
        max_requests=None if asked.max_requests is None else min(used + asked.max_requests, MAX_COUNT),
        expires_in=None,
        expires_at=to_seconds(now) + offer.wished_seconds,
    )


def prefill(offer: Offer, now: int) -> Terms:
    """What the fields start at: what goes on, or else what was asked for; never above the ceiling."""
    most = ceiling(offer, now)
    present = offer.present
    start = _fresh(offer, most, now) if present is None else _going_on(offer, present, most)
    has_key = bool(offer.keys)
    return replace(start, dropped=(offer.continues and present is None) or (offer.optional and not has_key))


def element_of(offer: Offer, terms: Terms) -> Access:
    """The element that these terms, once judged, stand for."""
    if terms.budget is None or terms.ends_at is None:
        raise ValueError("these terms were not judged")
    counts = terms.counts
    return replace(
        offer.asked,
        models=_without_doubles(offer, terms.models),
        actions=tuple(action for action in offer.asked.actions if action in terms.actions),
        budget=Budget(terms.budget, offer.per),
        max_requests=counts.get("requests"),
        rate_limit=RateLimit(counts.get("rpm"), counts.get("tpm"), counts.get("concurrent")),
        max_output_tokens=counts.get("output"),
        expires_in=None,
        expires_at=terms.ends_at,
    )


def _fresh(offer: Offer, most: Access, now: int) -> Terms:
    budget = offer.wished_budget if offer.asked.budget else min(offer.policy.default_budget, offer.wished_budget)
    seconds = offer.wished_seconds
    if offer.asked.expires_in is None:
        seconds = min(seconds, offer.policy.default_seconds)
    if offer.cautious:
        budget, seconds = min(budget, CAUTIOUS_BUDGET), min(seconds, CAUTIOUS_SECONDS)
    return Terms(
        credential_id=offer.keys[0] if offer.keys else "",
        budget=budget,
        ends_at=to_seconds(now) + seconds,
        models=most.models,
        actions=most.actions,
        counts=counts_of(most),
    )


def _going_on(offer: Offer, present: Present, most: Access) -> Terms:
    element = present.element
    if element.budget is None or most.budget is None:
        raise ValueError("what is granted always has a budget")
    # Another key than the app has is lent only where none of those is left.
    kept = [key for key in (present.credential_id, *present.spares) if key in offer.keys]
    return Terms(
        credential_id=(kept or [*offer.keys, ""])[0],
        spares=tuple(kept[1:]),
        budget=min(element.budget.amount, most.budget.amount),
        ends_at=lesser(element.expires_at, most.expires_at),
        models=tuple(pattern for pattern in most.models if offer.has_model(pattern)),
        actions=tuple(action for action in most.actions if action in element.actions),
        counts={name: lesser(count_of(element, name), count_of(most, name)) for name in COUNT_FIELDS},
    )


def _within(pattern: str, outer: tuple[str, ...]) -> bool:
    return any(pattern_within(pattern, one) for one in outer)


def _without_doubles(offer: Offer, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """In the order offered; a pattern in force that a wider chosen one takes in is not said twice."""
    kept = [pattern for pattern in offer.model_options if pattern in chosen]
    return tuple(
        pattern
        for pattern in kept
        if pattern in offer.asked.models or not _within(pattern, tuple(other for other in kept if other != pattern))
    )
