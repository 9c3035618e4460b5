"""The fields of the consent form: read as typed, kept as typed, and understood as terms."""

from dataclasses import dataclass

from broker.core.access import Access
from broker.core.clock import to_seconds
from broker.core.forms import Form
from broker.core.handle import digest
from broker.core.money import MicroUSD, to_decimal
from broker.oauth.consent import Answer
from broker.oauth.consent_case import Case
from broker.oauth.consent_terms import COUNT_FIELDS, Cause, CountField, Offer, Terms, TermsField, ceiling, prefill
from broker.oauth.key_wanted import is_bound_already
from broker.store.tables import Client
from broker.web.words import parse_count_input, parse_money_input

KEEP = "keep"
STARTED = "known"
KEY_WANTED = "key-wanted"
SHOWN_AS = "shown-as"

_MOST_DIGITS = 11
_SHOWN_FOR = 3600
"""Seconds that a page can have been open when its form comes back."""


@dataclass(frozen=True, slots=True)
class Typed:
    """One access of the form, as the person left it; `ends` in seconds since 1970."""

    key: str
    also: tuple[str, ...]
    budget: str
    ends: str
    models: tuple[str, ...]
    actions: tuple[str, ...]
    counts: dict[CountField, str]
    dropped: bool


@dataclass(frozen=True, slots=True)
class Filled:
    """The whole form as the person left it."""

    accesses: tuple[Typed, ...]
    kept: frozenset[str]
    started: bool
    key_wanted: bool


def shown_as(client: Client) -> str:
    """Who the page says that asks: an app that describes itself may say otherwise by the time that it is answered."""
    return digest(f"{client.name}\x1f{client.address}\x1f{client.verified}")


def field_id(position: int, name: str) -> str:
    """The name of a field and its id; an error leads to it."""
    return f"access-{position}-{name}"


def start_form(case: Case, now: int) -> Filled:
    """The form as it is first shown."""
    accesses = tuple(_typed(prefill(offer, now)) for offer in case.offers)
    kept = frozenset(row.id for row in case.others)
    return Filled(accesses, kept, started=False, key_wanted=_key_wanted(case))


def read_answer(form: Form, case: Case, now: int) -> tuple[Filled, Answer]:
    """What was typed, and what it means; raises BadForm when a single field stands twice."""
    accesses = tuple(_read(form, position) for position in range(len(case.offers)))
    filled = Filled(accesses, frozenset(form.all(KEEP)), form.one(STARTED) is not None, _read_key_wanted(form, case))
    terms = tuple(_terms(typed, offer, now) for typed, offer in zip(accesses, case.offers, strict=True))
    return filled, Answer(terms, filled.kept, filled.started, filled.key_wanted)


def start_answer(case: Case, now: int) -> Answer:
    """What the form means as it is first shown."""
    terms = tuple(prefill(offer, now) for offer in case.offers)
    return Answer(terms, frozenset(row.id for row in case.others), key_wanted=_key_wanted(case))


def _key_wanted(case: Case) -> bool:
    return case.grant is not None and bool(case.grant.dpop_required)


def _read_key_wanted(form: Form, case: Case) -> bool:
    """Who could want nothing more is not asked, and so has changed nothing."""
    return _key_wanted(case) if is_bound_already(case.client) else form.one(KEY_WANTED) is not None


def _read(form: Form, position: int) -> Typed:
    def one(name: str) -> str:
        return form.text(field_id(position, name))

    return Typed(
        key=one("key"),
        also=tuple(form.all(field_id(position, "also"))),
        budget=one("budget"),
        ends=one("ends"),
        models=tuple(form.all(field_id(position, "model"))),
        actions=tuple(form.all(field_id(position, "action"))),
        counts={name: one(name) for name in COUNT_FIELDS},
        dropped=bool(one("drop")),
    )


def _typed(terms: Terms) -> Typed:
    return Typed(
        key=terms.credential_id,
        also=terms.spares,
        budget="" if terms.budget is None else to_decimal(terms.budget),
        ends="" if terms.ends_at is None else str(terms.ends_at),
        models=terms.models,
        actions=terms.actions,
        counts={name: "" if value is None else str(value) for name, value in terms.counts.items()},
        dropped=terms.dropped,
    )


def _terms(typed: Typed, offer: Offer, now: int) -> Terms:
    unread: dict[TermsField, Cause] = {}
    budget = _money(typed.budget, offer, now)
    if budget is None and typed.budget.strip():
        unread["budget"] = "unreadable"
    counts = {name: parse_count_input(text) if text.strip() else None for name, text in typed.counts.items()}
    unread |= {name: "unreadable" for name, text in typed.counts.items() if text.strip() and counts[name] is None}
    # The only key there is needs no choosing: its field is a text.
    key = typed.key or (offer.keys[0] if len(offer.keys) == 1 else "")
    return Terms(
        credential_id=key,
        spares=offer.in_order(other for other in typed.also if other != key),
        budget=budget,
        ends_at=_seconds(typed.ends),
        models=typed.models,
        actions=typed.actions,
        counts=counts,
        dropped=typed.dropped,
        unread=unread,
    )


def _money(typed: str, offer: Offer, now: int) -> MicroUSD | None:
    # An app may ask for fractions of a cent, which nobody types: the figures that we show ourselves are taken as shown.
    shown = (prefill(offer, now).budget, _budget(ceiling(offer, now)))
    exact = {to_decimal(amount): amount for amount in shown if amount is not None}
    return exact.get(typed.strip()) or parse_money_input(typed)


def _budget(access: Access) -> MicroUSD | None:
    return None if access.budget is None else access.budget.amount


def _seconds(typed: str) -> int | None:
    plain = typed.isascii() and typed.isdigit() and len(typed) <= _MOST_DIGITS
    return int(typed) if plain else None


def ends_options(offer: Offer, chosen: str, now: int) -> list[int]:
    """The ends to choose from, in seconds since 1970: round lengths from now, the longest there is, and the one chosen.

    A length offered a while ago keeps the end it was shown with, so that what stood on the page is what is granted.
    """
    start = to_seconds(now)
    lengths = {3600, 86_400, 604_800, 2_592_000, offer.policy.default_seconds, offer.wished_seconds}
    ends = {start + length for length in lengths if length <= offer.wished_seconds}
    present = None if offer.present is None else offer.present.element.expires_at
    picked = [end for end in (present, _seconds(chosen)) if end is not None and start < end <= max(ends)]
    for end in picked:
        ends = {other for other in ends if not 0 <= other - end <= _SHOWN_FOR} | {end}
    return sorted(ends)
