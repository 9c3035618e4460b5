"""The summary: what an approval would mean, in six lines; and what a returning app has now and asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.core.access import Access, Budget
from broker.core.clock import DAY, from_seconds, to_seconds
from broker.core.counted import counted
from broker.oauth.consent_changes import (
    BudgetChange,
    Change,
    CountChange,
    EndsChange,
    NewAccess,
    PicksChange,
    changes_of,
)
from broker.oauth.consent_terms import Offer
from broker.store.accesses import as_granted
from broker.store.grant_tables import Access as Stored
from broker.store.tables import Credential
from broker.web import consent_words
from broker.web.lent import called, key_name
from broker.web.terms import ACTIONS, model_words
from broker.web.words import HOUR, about, count, instant, listed, money, shortlist

_GOING_ON = {
    "priority": ("goes on with ", " when that key is limited, refused or out of credit"),
    "round_robin": ("uses ", " in turn with that key"),
    "least_used": ("uses ", " too, whichever was used least in the last minute"),
    "affinity": ("uses ", " too: each conversation keeps its own key"),
}
"""By strategy, what stands before and after the other keys."""

_OFTEN_ASKED = ("chat", "embeddings", "images", "audio", "files")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line; `at` makes it a time, and a tag stands in a box of its own."""

    text: str
    strong: bool = False
    at: int | None = None
    tag: bool = False


Line = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose words the page speaks in."""

    app: str
    zone: str
    instance: str
    now: int


@dataclass(frozen=True, slots=True)
class Row:
    limit: str
    now: str
    asked: str
    tag: str


def lines(element: Access, keys: Sequence[Credential], offer: Offer, label: str, reader: Reader) -> list[Line]:
    """All but the last line, which is the same for each access; `keys` are those that are lent, the first one first."""
    key = keys[0] if keys else None
    return [
        _spending(element, key, offer, label, reader),
        *([_going_on(keys[1:], offer, reader)] if keys[1:] else []),
        *([_sending(keys)] if key is not None and key.base_url else []),
        _models(element.models, label),
        _actions(element.actions),
        _requests(element),
        stops(element, reader),
    ]


def last_line() -> Line:
    return (Piece("never sees your key, and you can pause or revoke it at any time"),)


def key_line() -> Line:
    return (Piece("must "), Piece("sign each request", strong=True), Piece(" with a key of its own"))


def stops(element: Access, reader: Reader) -> Line:
    ends_at = from_seconds(element.expires_at or 0)
    left = ends_at - from_seconds(to_seconds(reader.now))
    when = Piece(instant(ends_at, reader.zone), strong=True, at=ends_at)
    # An end keeps the instant it was first shown with: a page that is a minute old must not say 6 days for 7.
    return (Piece("stops on "), when, Piece(f" (in {about(left + HOUR if left >= DAY - HOUR else left)})"))


def _spending(element: Access, key: Credential | None, offer: Offer, label: str, reader: Reader) -> Line:
    budget = element.budget or Budget(offer.wished_budget)
    amount, _, period = consent_words.per(budget).partition(" ")
    if budget.per == "grant":
        said = [Piece(f"up to {amount}", strong=True), Piece(f" {period}")]
    else:
        said = [Piece(f"up to {amount} {period}", strong=True), Piece(f", {consent_words.reset_words(budget.per)},")]
    source = [Piece(f" from your {label} key")]
    if key is not None:
        name, _, rest = key_name(key, reader.instance).partition(" (")
        source = [Piece(" from "), Piece(name, strong=True), Piece(f" ({rest}")]
    after = f", of which {money(offer.spent)} is spent already" if offer.spent else ""
    asked = offer.asked.budget
    if asked is not None and asked.amount > budget.amount:
        after += f"; it asked for {money(asked.amount, 'limit')}"
    return (Piece("can spend "), *said, *source, *((Piece(after),) if after else ()))


def _going_on(spares: Sequence[Credential], offer: Offer, reader: Reader) -> Line:
    """With which keys beside the first, and when."""
    before, after = _GOING_ON[offer.strategy]
    said = []
    for key in spares:
        name, _, rest = key_name(key, reader.instance).partition(" (")
        said += [Piece(name, strong=True), Piece(f" ({rest}, ")]
    return (Piece(before), *said[:-1], Piece(f"{said[-1].text.removesuffix(', ')}{after}"))


def _sending(keys: Sequence[Credential]) -> Line:
    hosts = list(dict.fromkeys(called(key) for key in keys))
    owned = "your own server" if len(hosts) == 1 else "your own servers"
    return (Piece("sends its requests to "), Piece(listed(hosts), strong=True), Piece(f", {owned}"))


def _models(patterns: tuple[str, ...], label: str) -> Line:
    if not patterns:
        return (Piece("can use "), Piece("no model", strong=True), Piece(" until you choose one"))
    if "*" in patterns:
        anything = Piece(f"any {label} model", strong=True)
        return (Piece("can use "), anything, Piece(", including new ones "), Piece("Broad", tag=True))
    names = [model_words(pattern, label) for pattern in patterns]
    families = any(pattern.endswith("*") for pattern in patterns)
    if families:
        said = Piece(shortlist(names), strong=True)
        return (Piece("can use "), said, Piece(", including new ones "), Piece("Broad", tag=True))
    number = Piece(counted(len(names), "model"), strong=True)
    return (Piece("can use "), number, Piece(f": {shortlist(names)}"))


def _actions(actions: tuple[str, ...]) -> Line:
    if not actions:
        return (Piece("can do "), Piece("nothing", strong=True), Piece(" until you choose a capability"))
    done = Piece(listed([ACTIONS[action] for action in actions]), strong=True)
    without = [ACTIONS[action] for action in _OFTEN_ASKED if action not in actions]
    return (Piece("can do "), done, Piece(f"; it cannot use {listed([*without, 'fine-tuning'], 'or')}"))


def _requests(element: Access) -> Line:
    rates = element.rate_limit
    bounds = [
        "" if rates.requests_per_minute is None else f"at most {count(rates.requests_per_minute)} a minute",
        "" if rates.tokens_per_minute is None else f"at most {counted(rates.tokens_per_minute, 'token')} a minute",
        "" if rates.concurrent is None else f"at most {count(rates.concurrent)} at once",
        ""
        if element.max_output_tokens is None
        else f"each answer at most {counted(element.max_output_tokens, 'token')}",
    ]
    total = element.max_requests
    said = "any number of requests" if total is None else f"up to {counted(total, 'request')}"
    rest = "".join(f", {bound}" for bound in bounds if bound)
    within = " within its spending limit" if total is None else ""
    return (
        (Piece("can make "), Piece(said, strong=True), Piece(within + rest))
        if within or rest
        else (
            Piece("can make "),
            Piece(said, strong=True),
        )
    )


def rows(offer: Offer, label: str, reader: Reader, *, several: bool) -> list[Row]:
    """What differs between what a returning app has and what it asks for."""
    found = [_row(change, offer, label, reader) for change in changes_of(offer)]
    # That of a new access names its provider by itself.
    prefix = f"{label}: " if several and offer.present is not None else ""
    return [Row(f"{prefix}{row.limit.lower()}" if prefix else row.limit, row.now, row.asked, row.tag) for row in found]


def ending(row: Stored, label: str) -> Row:
    """A live access that an approval ends, since the app wants what it has replaced."""
    element = as_granted(row, "")
    budget = "" if element.budget is None else consent_words.per(element.budget)
    return Row(f"{label} key", f"{shortlist(_names(element.models, label))}, {budget}", "Nothing", "Ends")


def _row(change: Change, offer: Offer, label: str, reader: Reader) -> Row:
    higher = {"more": "Higher", "less": "Lower", "other": "New"}[change.way]
    present = None if offer.present is None else offer.present.element
    match change:
        case NewAccess():
            asked = offer.asked.budget
            most = consent_words.per(asked) if asked is not None else "no limit"
            return Row(f"{label} key", "Nothing", f"{shortlist(_names(offer.asked.models, label))}, {most}", "New")
        case BudgetChange():
            now = "" if present is None or present.budget is None else consent_words.per(present.budget)
            asked = offer.asked.budget
            return Row("Spending", now, "" if asked is None else consent_words.per(asked), higher)
        case PicksChange():
            return _picks_row(change, present, label)
        case CountChange():
            return Row(consent_words.LABELS[change.name], _counted(change.now), _counted(change.asked), higher)
        case EndsChange():
            ends_at = from_seconds(0 if present is None else present.expires_at or 0)
            return Row("Ends", instant(ends_at, reader.zone), f"in {consent_words.lasting(change.asked)}", "Longer")


def _picks_row(change: PicksChange, present: Access | None, label: str) -> Row:
    def said(values: tuple[str, ...]) -> str:
        return shortlist(_names(values, label) if change.name == "model" else [ACTIONS[value] for value in values])

    now = () if present is None else present.models if change.name == "model" else present.actions
    parts = [f"adds {said(change.added)}"] if change.added else []
    parts += [f"leaves out {said(change.left_out)}"] if change.left_out else []
    tag = "New" if change.added else "Fewer"
    return Row("Models" if change.name == "model" else "Capabilities", said(now), "; ".join(parts), tag)


def _names(patterns: tuple[str, ...], label: str) -> list[str]:
    return [model_words(pattern, label) for pattern in patterns]


def _counted(value: int | None) -> str:
    return "no limit" if value is None else count(value)
