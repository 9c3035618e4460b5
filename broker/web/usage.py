"""Usage against limits, as the cards of a grant's page say it: words first, a bar second."""

from dataclasses import dataclass

from broker.core.counted import counted
from broker.web.lent import Part
from broker.web.words import HOUR, clock_time, count, duration, instant, local, money

_RESETS = {"day": "Resets daily", "week": "Resets on Mondays", "month": "Resets on the first of each month"}

BUSY_FOR = HOUR
"""How far back the busiest minute is looked for."""


@dataclass(frozen=True, slots=True)
class Busy:
    """The busiest clock minute of the last hour, and how many calls were refused for being too many a minute."""

    calls: int
    refused: int


@dataclass(frozen=True, slots=True)
class Card:
    title: str
    figure: str
    detail: str
    percent: int | None
    """None where there is no limit to draw a bar against."""


def cards(part: Part, busy: Busy, now: int, zone: str) -> list[Card]:
    return [_spending(part, zone), _requests(part), _a_minute(part, busy), _time(part, now, zone)]


def share(used: int, limit: int, *, reached: bool) -> int:
    """In percent; 100 only once nothing is left, and 0 only while nothing is used."""
    if reached or not limit:
        return 100
    return min(99, max(1 if used else 0, (200 * used + limit) // (2 * limit)))


def _spending(part: Part, zone: str) -> Card:
    money_now = part.figures.money
    percent = share(part.spent, part.access.budget, reached=money_now.is_reached and not money_now.held)
    said = [f"{percent}% used. {money(max(0, part.access.budget - part.spent), 'left')} left."]
    if money_now.held:
        running = counted(part.figures.running, "request")
        said.append(f"{money(money_now.held)} is reserved for {running} in progress.")
    if money_now.is_reached:
        said.append("Limit reached.")
    if part.figures.resets_at is not None:
        said.append(f"{_RESETS[part.access.budget_per]} at {_both_clocks(part.figures.resets_at, zone)}.")
    figure = f"{money(part.spent)} of {money(part.access.budget, 'limit')}{part.window}"
    return Card("Spending", figure, " ".join(said), percent)


def _requests(part: Part) -> Card:
    figure = part.figures.requests
    if figure.limit is None:
        return Card("Requests", count(figure.used), "No limit was set.", None)
    percent = share(figure.used, figure.limit, reached=figure.is_reached)
    left = f"{percent}% used. {count(max(0, figure.limit - figure.used))} left."
    said = f"{left} Limit reached." if figure.is_reached else left
    return Card("Requests", f"{count(figure.used)} of {count(figure.limit)}", said, percent)


def _a_minute(part: Part, busy: Busy) -> Card:
    limit = part.access.requests_per_minute
    title = "Requests a minute"
    if limit is None:
        return Card(title, f"{count(busy.calls)} at the busiest", "In the last hour. No limit was set.", None)
    refused = f"{counted(busy.refused, 'request was', 'requests were')} refused."
    figure = f"{count(busy.calls)} of {count(limit)} at the busiest"
    return Card(title, figure, f"In the last hour. {refused}", min(100, 100 * busy.calls // limit))


def _time(part: Part, now: int, zone: str) -> Card:
    ends = part.access.ends_at
    if ends <= now:
        return Card("Time", "Ended", f"Ended {instant(ends, zone)}.", 100)
    begun = part.access.created_at
    percent = min(99, 100 * (now - begun) // max(1, ends - begun))
    return Card("Time", f"{duration(ends - now)} left", f"Ends {instant(ends, zone)}.", max(0, percent))


def _both_clocks(at: int, zone: str) -> str:
    """00:00 UTC (01:00 CET), or 00:00 UTC where that is the reader's own."""
    utc = clock_time(at)
    return utc if local(at, zone).utcoffset() == local(at, "UTC").utcoffset() else f"{utc} ({clock_time(at, zone)})"
