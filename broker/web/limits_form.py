"""The fields of Change limits: what they start at, what was typed, and what that means."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from broker.core.access import Access as Element
from broker.core.access import Budget, RateLimit
from broker.core.clock import DAY, MINUTE, from_seconds, to_seconds
from broker.core.forms import Form
from broker.core.money import MicroUSD, to_decimal
from broker.oauth.consent_terms import CENT, COUNT_FIELDS, CountField, counts_of
from broker.store.granting import Given
from broker.web.consent_words import LABELS
from broker.web.lent import Part
from broker.web.words import count, duration, instant, money, parse_count_input, parse_money_input

KEEP = "keep"
_LENGTHS = (60 * MINUTE, DAY, 7 * DAY, 30 * DAY)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the operator lets people give: a budget, microseconds from now, and of each count that is named so many."""

    budget: MicroUSD
    longest: int
    counts: Mapping[CountField, int | None] = field(default_factory=dict)


def as_it_stands(part: Part, now: int) -> Ceiling:
    """For who may not lend this key: what the operator gave with it can be lowered, and not raised."""
    return Ceiling(MicroUSD(part.access.budget), max(0, part.access.ends_at - now), counts_of(part.element))


@dataclass(frozen=True, slots=True)
class Typed:
    """The fields of one access, as text."""

    key: str
    budget: str
    ends: str
    """KEEP, or seconds from now."""
    models: tuple[str, ...]
    actions: tuple[str, ...]
    counts: Mapping[CountField, str]


@dataclass(frozen=True, slots=True)
class Judged:
    """`given` is what is to be written, `problems` what is wrong instead, by the name of the field."""

    given: Given | None
    problems: Mapping[str, str]


def start(part: Part) -> Typed:
    return Typed(
        key=part.credential.id,
        budget=to_decimal(MicroUSD(part.access.budget)),
        ends=KEEP,
        models=part.element.models,
        actions=part.element.actions,
        counts={name: "" if value is None else str(value) for name, value in counts_of(part.element).items()},
    )


def read(form: Form, prefix: str) -> Typed:
    """Reads the fields whose names begin with this prefix, such as access-0-."""
    return Typed(
        key=form.text(f"{prefix}key"),
        budget=form.text(f"{prefix}budget"),
        ends=form.text(f"{prefix}ends"),
        models=tuple(form.all(f"{prefix}model")),
        actions=tuple(form.all(f"{prefix}action")),
        counts={name: form.text(f"{prefix}{name}") for name in COUNT_FIELDS},
    )


def judge(part: Part, typed: Typed, keys: list[str], ceiling: Ceiling, now: int) -> Judged:
    """`keys` are the ids of the credentials that may be lent instead of the present one."""
    problems: dict[str, str] = {}
    if typed.key not in (*keys, part.credential.id):
        problems["key"] = "Choose which key to use"
    budget = _budget(part, typed.budget, ceiling, problems)
    ends_at = _ends_at(part, typed.ends, ceiling, now, problems)
    models = tuple(model for model in part.element.models if model in typed.models)
    actions = tuple(action for action in part.element.actions if action in typed.actions)
    if not models:
        problems["model"] = "Choose at least one model, or revoke the app"
    if not actions:
        problems["action"] = "Choose at least one capability, or revoke the app"
    counts = {name: _count(name, typed.counts[name], ceiling, problems) for name in COUNT_FIELDS}
    if problems:
        return Judged(None, problems)
    element = _element(part.element, budget, ends_at, models, actions, counts)
    return Judged(Given(typed.key, element), {})


def end_options(part: Part, ceiling: Ceiling, now: int, zone: str) -> list[tuple[str, str]]:
    """Pairs of value and text for the select."""
    ended = "Ended" if part.access.ends_at <= now else "Keep"
    longest = {ceiling.longest} if ceiling.longest > 0 else set()
    lengths = sorted({length for length in _LENGTHS if length < ceiling.longest} | longest)
    later = [(str(to_seconds(one)), f"In {duration(one)}, on {instant(now + one, zone)}") for one in lengths]
    return [(KEEP, f"{ended}: {instant(part.access.ends_at, zone)}"), *later]


def _budget(part: Part, text: str, ceiling: Ceiling, problems: dict[str, str]) -> MicroUSD:
    present = MicroUSD(part.access.budget)
    if text.strip() == to_decimal(present):
        return present
    amount = parse_money_input(text) if text.strip() else None
    most = max(ceiling.budget, present)
    if not text.strip():
        problems["budget"] = "Enter a spending limit"
    elif amount is None:
        problems["budget"] = "Enter the spending limit as an amount, like 5 or 5.50"
    elif amount < CENT:
        problems["budget"] = "Spending limit must be $0.01 or more. To allow nothing, pause or revoke the app"
    elif amount > most:
        cap = money(most, "limit")
        problems["budget"] = f"Spending limit must be {cap} or less, the most that this server lets you give"
    return present if amount is None else amount


def _ends_at(part: Part, text: str, ceiling: Ceiling, now: int, problems: dict[str, str]) -> int:
    """Seconds since 1970."""
    present = part.element.expires_at or 0
    if text == KEEP:
        return present
    seconds = parse_count_input(text)
    if not seconds:
        problems["ends"] = "Choose when this ends"
        return present
    if from_seconds(seconds) > ceiling.longest:
        problems["ends"] = f"The end must be {duration(ceiling.longest)} from now or sooner"
    return to_seconds(now) + seconds


def _count(name: CountField, text: str, ceiling: Ceiling, problems: dict[str, str]) -> int | None:
    value, most = parse_count_input(text) if text.strip() else None, ceiling.counts.get(name)
    if most is not None and (not text.strip() or (value or 0) > most):
        problems[name] = f"{LABELS[name]} must be {count(most)} or less, the most that this server lets you give"
        return None
    if value or not text.strip():
        return value
    noun = LABELS[name]
    problems[name] = (
        f"{noun} must be 1 or more. To allow none, pause the app"
        if value == 0
        else f"Enter {noun[0].lower()}{noun[1:]} as a whole number, like 500"
    )
    return None


def _element(
    old: Element,
    budget: MicroUSD,
    ends_at: int,
    models: tuple[str, ...],
    actions: tuple[str, ...],
    counts: dict[CountField, int | None],
) -> Element:
    return replace(
        old,
        budget=Budget(budget, old.budget.per if old.budget else "grant"),
        expires_at=ends_at,
        models=models,
        actions=actions,
        max_requests=counts["requests"],
        rate_limit=RateLimit(counts["rpm"], counts["tpm"], counts["concurrent"]),
        max_output_tokens=counts["output"],
    )
