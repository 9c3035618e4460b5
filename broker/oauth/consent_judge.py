"""Whether what a person chose for one access can be granted, and why not."""

from typing import Literal

from broker.core.access import Access
from broker.core.clock import to_seconds
from broker.oauth.consent_terms import (
    CENT,
    COUNT_FIELDS,
    CountField,
    Offer,
    Problem,
    Terms,
    TermsField,
    ceiling,
    count_of,
)


def judge(offer: Offer, terms: Terms, now: int) -> tuple[Problem, ...]:
    """What keeps these terms from being granted; empty when nothing does."""
    most = ceiling(offer, now)
    found = [
        _judge_key(offer, terms),
        _judge_spares(offer, terms),
        _judge_budget(offer, terms, most),
        _judge_ends(offer, terms, most, now),
        _judge_picks("model", terms.models, most.models),
        _judge_picks("action", terms.actions, most.actions),
        *(_judge_count(name, terms.counts.get(name), count_of(most, name)) for name in COUNT_FIELDS),
    ]
    by_field = {problem.field: problem for problem in found if problem is not None}
    by_field |= {name: Problem(name, cause) for name, cause in terms.unread.items()}
    order: tuple[TermsField, ...] = ("key", "also", "budget", "ends", "model", "action", *COUNT_FIELDS)
    return tuple(by_field[name] for name in order if name in by_field)


def _judge_key(offer: Offer, terms: Terms) -> Problem | None:
    return None if terms.credential_id in offer.keys else Problem("key", "blank")


def _judge_spares(offer: Offer, terms: Terms) -> Problem | None:
    """What the person may not lend themselves is not gone on with, either."""
    return None if set(terms.spares) <= set(offer.keys) else Problem("also", "not_offered")


def _judge_budget(offer: Offer, terms: Terms, most: Access) -> Problem | None:
    limit = 0 if most.budget is None else most.budget.amount
    if terms.budget is None:
        return Problem("budget", "blank")
    if terms.budget < min(CENT, limit):
        return Problem("budget", "too_small")
    if terms.budget > limit:
        asked = offer.asked.budget
        by_app = asked is not None and asked.amount <= offer.policy.max_budget
        return Problem("budget", "above_asked" if by_app else "above_cap", limit)
    return None


def _judge_ends(offer: Offer, terms: Terms, most: Access, now: int) -> Problem | None:
    latest = most.expires_at or 0
    if terms.ends_at is None:
        return Problem("ends", "blank")
    if terms.ends_at <= to_seconds(now):
        return Problem("ends", "past")
    if terms.ends_at > latest:
        asked = offer.asked.expires_in
        by_app = asked is not None and asked <= offer.policy.max_seconds
        return Problem("ends", "above_asked" if by_app else "above_cap", latest)
    return None


def _judge_picks(name: Literal["model", "action"], chosen: tuple[str, ...], offered: tuple[str, ...]) -> Problem | None:
    if not chosen:
        return Problem(name, "blank")
    return None if set(chosen) <= set(offered) else Problem(name, "not_offered")


def _judge_count(name: CountField, chosen: int | None, most: int | None) -> Problem | None:
    if chosen is None:
        return None if most is None else Problem(name, "blank")
    if chosen < 1:
        return Problem(name, "too_small")
    return Problem(name, "above_asked", most) if most is not None and chosen > most else None
