"""Recent requests as lines for their owner: when, which model, how much, and how each ended in words."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from broker.core.extras import ExtraRates
from broker.core.money import percent
from broker.core.usage import Price
from broker.ledger.history import instant_of
from broker.store.ledger_tables import Refusal, Reservation
from broker.store.pool_tables import CallAttempt
from broker.web.foreign import clean
from broker.web.words import count, money

_REFUSED = {
    "budget_exhausted": "over spending limit",
    "requests_exhausted": "no requests left",
    "rate_limited": "too many a minute",
    "too_many_concurrent": "too many at once",
    "in_progress": "the same request is running",
    "already_ran": "the same request has run",
    "idempotency_mismatch": "its key was used for another request",
    "provider_not_granted": "provider not approved",
    "model_not_granted": "model not approved",
    "action_not_granted": "capability not approved",
    "grant_paused": "paused",
    "grant_frozen": "stopped",
    "no_price": "price unknown",
    "not_boundable": "its cost has no upper bound",
    "invalid_request": "not readable",
    "too_large": "too large",
    "unsupported_media_type": "not readable",
    "not_found": "no such address",
    "method_not_allowed": "no such address",
    "provider_key_unavailable": "key not available",
    "provider_error": "provider not reached",
    "provider_timeout": "provider took too long",
    "unavailable": "could not be checked",
}

_ENDED = {
    "ok": "OK",
    "client_left": "Cancelled by app",
    "unreachable": "Provider not reached",
    "timed_out": "Provider took too long",
    "broken": "Provider broke off",
    "provider_failed": "Provider broke off",
    "garbage": "Provider’s answer not readable",
    "no_key": "Key not available",
    "in_progress": "Another was in its conversation",
    "not_boundable": "Its cost has no upper bound",
    "invalid_token": "Cut: access ended",
    "grant_paused": "Cut: paused",
    "grant_frozen": "Cut: stopped",
    "provider_not_granted": "Cut: limits changed",
    "model_not_granted": "Cut: limits changed",
    "action_not_granted": "Cut: limits changed",
    "provider_key_unavailable": "Cut: key removed",
    "unavailable": "Cut: this server stopped",
    "process_died": "Interrupted: this server stopped",
}


@dataclass(frozen=True, slots=True)
class Line:
    at: int
    model: str
    tokens: str
    cost: int | None
    """Micro-dollars; None while it is not known."""
    result: str
    attempts: Sequence[str] = ()
    """What came of the attempts before the last, with other keys."""


def lines(
    rows: Iterable[Reservation | Refusal], attempts: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> list[Line]:
    return [
        _refused(row) if isinstance(row, Refusal) else replace(_call(row), attempts=attempts.get(row.id, ()))
        for row in rows
    ]


def tried(key: str, attempt: CallAttempt) -> str:
    """An attempt with one key, which did not run and was followed by another."""
    said = (
        f"provider error {attempt.status}" if attempt.status else _ENDED.get(attempt.outcome, "not completed").lower()
    )
    return f"Before that with {key}: {said}"


def prices(rows: Sequence[Reservation | Refusal]) -> list[str]:
    """What these calls were priced at, a sentence for each model and price."""
    priced = [(row.model, row.price) for row in rows if isinstance(row, Reservation) and row.model]
    return [_price(model, Price.from_dict(json.loads(price))) for model, price in dict.fromkeys(priced)]


def rate_words(price: Price) -> str:
    """$0.40 in, $1.60 out per million tokens: of the first tier, and whether there are more."""
    rates = price.tiers[0].rates
    extras = rates.extras
    if extras.characters is not None:
        return f"{_dollars(price, extras.characters)} per million characters"
    if extras.seconds is not None:
        return f"{_dollars(price, -(-extras.seconds * 60 // 1_000_000))} per minute of sound"
    if extras.searches is not None and not rates.input:
        return f"{_dollars(price, -(-extras.searches // 1_000))} per thousand searches"
    if not any(tier.rates.input or tier.rates.output for tier in price.tiers):
        return "Free of charge here"
    return "; ".join([_token_words(price), *_extra_words(price, extras)])


def _dollars(price: Price, rate: int) -> str:
    return money(price.marked_up(rate), "fine")


def _extra_words(price: Price, extras: ExtraRates) -> Iterator[str]:
    for word, read, written in (
        ("sound", extras.input_audio, extras.output_audio),
        ("pictures", extras.input_image, extras.output_image),
    ):
        ways = [(read, "in"), (written, "out")]
        told = [f"{_dollars(price, rate)} {way}" for rate, way in ways if rate is not None]
        if told:
            yield f"{word} {', '.join(told)}"


def _token_words(price: Price) -> str:
    rates = price.tiers[0].rates
    more = "" if len(price.tiers) == 1 else ", more for long requests"
    if not rates.output:
        return f"{_dollars(price, rates.input)} per million tokens{more}"
    return f"{_dollars(price, rates.input)} in, {_dollars(price, rates.output)} out per million tokens{more}"


def _price(model: str, price: Price) -> str:
    added = f", {percent(price.markup)} % added" if price.markup else ""
    return f"{clean(model)}: {rate_words(price)} ({price.source}, {price.version}{added})"


def _refused(row: Refusal) -> Line:
    reason = _REFUSED.get(row.code)
    return Line(instant_of(row), clean(row.model) or "–", "–", 0, f"Refused: {reason}" if reason else "Refused")


def _call(row: Reservation) -> Line:
    if row.state == "held":
        return Line(row.admitted_at, clean(row.model) or "–", "–", None, "In progress")
    tokens = f"{count(row.input_tokens)} / {count(row.output_tokens)}" if row.mark == "reported" else "–"
    return Line(row.admitted_at, clean(row.model) or "–", tokens, row.cost + row.overrun, _result(row))


def _result(row: Reservation) -> str:
    if row.status >= 400:
        said = f"Provider error {row.status}"
    else:
        said = _ENDED.get(row.outcome, "Not completed")
    return f"{said}, cost estimated" if row.mark in ("estimated", "unresolved") else said
