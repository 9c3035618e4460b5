"""What an approval came to, in words: from the grant as it is stored, never from what was asked."""

from collections.abc import Sequence
from itertools import zip_longest

from broker.core.access import Access as Element
from broker.core.access import pattern_within
from broker.core.clock import SECOND, from_seconds
from broker.core.details import parse_details
from broker.oauth.consent import Effect, read_granted
from broker.oauth.consent_terms import COUNT_FIELDS, count_of
from broker.providers.registry import label
from broker.store.accesses import as_granted
from broker.store.grant_tables import Access, GrantRequest
from broker.store.tables import Credential
from broker.web import consent_words
from broker.web.lent import key_place
from broker.web.terms import ACTIONS, model_words
from broker.web.words import count, instant, listed, money, shortlist


def outcome_words(
    request: GrantRequest, parts: Sequence[tuple[Access, list[Credential]]], app: str, zone: str
) -> list[str]:
    """One sentence for each access that the grant now has."""
    _, effect = read_granted(request)
    first = [f"Nothing was added. {app} keeps its current limits."] if effect is Effect.SAME else []
    return first + [_can_spend(access, keys, app, zone) for access, keys in parts]


def lowered_words(request: GrantRequest, app: str, zone: str) -> str:
    """You lowered: spending limit $10.00 → $2.00; empty when the app got all that it asked for, or nothing new."""
    granted, effect = read_granted(request)
    asked = parse_details(request.asked)
    several = len(asked) > 1
    said = []
    for wish, got in zip_longest(asked, granted[: len(asked)]):
        name = label(wish.provider)
        found = [f"nothing of {name}"] if got is None else _lowered(wish, got, request.opened_at or 0, zone)
        said += [f"{name} {each}" if several and got is not None else each for each in found]
    if not said or effect is Effect.SAME:
        return ""
    # What goes on starts at the limits in force: then it is not the person who lowered what the app would like.
    first = "You lowered" if effect is Effect.NEW else "It got less than it asked for"
    return f"{first}: {', '.join(said)}. We tell {app} what it got."


def _can_spend(access: Access, keys: list[Credential], app: str, zone: str) -> str:
    budget = as_granted(access, "").budget
    amount = "" if budget is None else consent_words.per(budget).removesuffix(" in total")
    source = listed([f"{key.name} ({key_place(key)})" for key in keys]) or f"your {label(access.provider)} key"
    return f"{app} can spend up to {amount} from {source} until {instant(access.ends_at, zone)}."


def _lowered(asked: Element, got: Element, opened_at: int, zone: str) -> list[str]:
    found = []
    if asked.budget is not None and got.budget is not None and got.budget.amount < asked.budget.amount:
        most, least = money(asked.budget.amount, "limit"), money(got.budget.amount, "limit")
        found.append(f"spending limit {most} → {least}")
    if asked.expires_in is not None and got.expires_at is not None:
        # What was offered as asked was counted from when the page was shown, so never from before it was opened.
        earliest = opened_at // SECOND + asked.expires_in
        wished, ends = (instant(from_seconds(end), zone) for end in (earliest, got.expires_at))
        if got.expires_at < earliest and wished != ends:
            found.append(f"end {wished} → {ends}")
    name = label(asked.provider)
    without = [m for m in asked.models if not any(pattern_within(m, outer) for outer in got.models)]
    if without:
        found.append(f"models without {shortlist([model_words(pattern, name) for pattern in without])}")
    missing = [ACTIONS[action] for action in asked.actions if action not in got.actions]
    if missing:
        found.append(f"capabilities without {shortlist(missing)}")
    return found + _lowered_counts(asked, got)


def _lowered_counts(asked: Element, got: Element) -> list[str]:
    found = []
    for name in COUNT_FIELDS:
        most, least = count_of(asked, name), count_of(got, name)
        if least is not None and (most is None or least < most):
            words = consent_words.LABELS[name].lower()
            found.append(f"{words} {'no limit' if most is None else count(most)} → {count(least)}")
    return found
