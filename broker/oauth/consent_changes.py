"""What a returning app asks for, held against what it has: only the rows that differ."""

from dataclasses import dataclass
from typing import Literal

from broker.core.access import Access, at_most, pattern_within
from broker.oauth.consent_terms import COUNT_FIELDS, CountField, Offer, Present, count_of

Way = Literal["more", "less", "other"]


@dataclass(frozen=True, slots=True)
class BudgetChange:
    way: Way


@dataclass(frozen=True, slots=True)
class PicksChange:
    """Models or actions that would be added, and those in force that were not asked for again."""

    name: Literal["model", "action"]
    added: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def way(self) -> Way:
        return "more" if self.added else "less"


@dataclass(frozen=True, slots=True)
class CountChange:
    name: CountField
    now: int | None
    asked: int | None
    way: Way


@dataclass(frozen=True, slots=True)
class EndsChange:
    """Seconds from approval, against the seconds that were given when it was approved."""

    asked: int
    way: Way


@dataclass(frozen=True, slots=True)
class NewAccess:
    way: Way = "more"


Change = BudgetChange | PicksChange | CountChange | EndsChange | NewAccess


def changes_of(offer: Offer) -> tuple[Change, ...]:
    """Empty for an offer of a fresh grant, and for an app that asks for just what it has."""
    if not offer.continues:
        return ()
    if offer.present is None:
        return (NewAccess(),)
    present = offer.present
    found: list[Change | None] = [
        _budget(offer, present.element),
        _ends(offer, present),
        _models(offer, present.element),
        _actions(offer, present.element),
        *(_count(name, offer, present.element) for name in COUNT_FIELDS),
    ]
    # What an app asks to add takes nothing away, however little it is.
    return tuple(change for change in found if change is not None and not (offer.adds and change.way == "less"))


def is_wider(offer: Offer) -> bool:
    return any(change.way != "less" for change in changes_of(offer))


def _budget(offer: Offer, now: Access) -> BudgetChange | None:
    if offer.asked.budget is None or now.budget is None:
        return None
    if now.budget.per != offer.per:
        return BudgetChange("other")
    if offer.wished_budget == now.budget.amount:
        return None
    return BudgetChange("more" if offer.wished_budget > now.budget.amount else "less")


def _ends(offer: Offer, present: Present) -> EndsChange | None:
    # An app that asks for the same length again asks for nothing longer, although its end would be a later one.
    if offer.asked.expires_in is None:
        return None
    return EndsChange(offer.wished_seconds, "more") if offer.wished_seconds > present.lasts else None


def _models(offer: Offer, now: Access) -> PicksChange | None:
    added = tuple(pattern for pattern in offer.asked.models if not offer.has_model(pattern))
    left_out = tuple(m for m in now.models if not any(pattern_within(m, outer) for outer in offer.asked.models))
    return PicksChange("model", added, left_out) if added or left_out else None


def _actions(offer: Offer, now: Access) -> PicksChange | None:
    added = tuple(action for action in offer.asked.actions if action not in now.actions)
    left_out = tuple(action for action in now.actions if action not in offer.asked.actions)
    return PicksChange("action", added, left_out) if added or left_out else None


def _count(name: CountField, offer: Offer, now: Access) -> CountChange | None:
    asked, has = count_of(offer.asked, name), count_of(now, name)
    if asked == has:
        return None
    return CountChange(name, has, asked, "less" if at_most(asked, has) else "more")
