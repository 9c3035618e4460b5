"""Limits above the grants in words: what was used of them, and what an app is told by."""

from collections.abc import Iterable
from dataclasses import dataclass

from broker.core.counted import counted
from broker.ledger.overall_used import Used
from broker.web.usage import share
from broker.web.words import count, instant, money

_WINDOWS = {"grant": " in total", "day": " today", "week": " this week", "month": " this month", "tier": " this month"}


@dataclass(frozen=True, slots=True)
class Bar:
    """$12.40 of $20.00 this month, and how much of it that is."""

    words: str
    percent: int


def bars(limit: Used) -> list[Bar]:
    """One for money and one for requests, where they are limited."""
    window, found = _WINDOWS[limit.limit.per], []
    spent, requests = limit.money, limit.requests
    if spent.limit is not None:
        used = spent.settled + spent.overrun
        words = f"{money(used)} of {money(spent.limit, 'limit')}{window}"
        found.append(Bar(words, share(used, spent.limit, reached=spent.is_reached and not spent.held)))
    if requests.limit is not None:
        words = f"{count(requests.used)} of {counted(requests.limit, 'request')}{window}"
        found.append(Bar(words, share(requests.used, requests.limit, reached=requests.is_reached)))
    return found


def renews(limit: Used, zone: str) -> str:
    """It begins again on …; empty where it never does."""
    return "" if limit.resets_at is None else f"It begins again on {instant(limit.resets_at, zone)}."


@dataclass(frozen=True, slots=True)
class Tight:
    """A limit above the grants that is reached, as a notice says it."""

    what: str
    key_path: str
    """Where its owner can change it; empty where only the operator can."""
    renews: str


def tight(limits: Iterable[Used], provider: str, key_id: str, instance: str, zone: str) -> list[Tight]:
    return [_tight(each, provider, key_id, instance, zone) for each in limits if each.is_reached]


def _tight(limit: Used, provider: str, key_id: str, instance: str, zone: str) -> Tight:
    figures = " and ".join(bar.words for bar in bars(limit))
    if limit.limit.scope_kind == "provider":
        # What everybody spends is not everybody's to know.
        return Tight(f"{instance} has used its limit on {provider}", "", renews(limit, zone))
    if limit.limit.scope_kind == "tier":
        return Tight(f"your allocation on the keys of {instance} is used: {figures}", "", renews(limit, zone))
    if limit.limit.is_owners:
        what = f"your limit for all apps on this key is used: {figures}"
        return Tight(what, f"/keys/{key_id}/limit", renews(limit, zone))
    return Tight(f"what you may use of this key of {instance} is used: {figures}", "", renews(limit, zone))
