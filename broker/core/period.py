"""UTC calendar windows: what a budget per day, week or month is counted in, and a tier's month with a day of its own."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta

from broker.core.clock import SECOND


def start(kind: str, now: int, anchor_day: int = 1) -> int:
    """The first microsecond of the window that holds `now`; 0 for a window that never rolls. Weeks start on Monday.

    A tier's month starts on its anchor day, or on the last day of a month that is too short for it.
    """
    if kind == "grant":
        return 0
    moment = datetime.fromtimestamp(now // SECOND, UTC).replace(hour=0, minute=0, second=0)
    if kind == "week":
        moment -= timedelta(days=moment.weekday())
    elif kind == "month":
        moment = moment.replace(day=1)
    elif kind == "tier":
        here = _anchored(moment, anchor_day)
        moment = here if here <= moment else _anchored(moment.replace(day=1) - timedelta(days=1), anchor_day)
    elif kind != "day":
        raise ValueError(kind)
    return _instant(moment)


def end(kind: str, now: int, anchor_day: int = 1) -> int | None:
    """When the window that holds `now` ends and a new one starts; None for a window that never rolls."""
    if kind == "grant":
        return None
    first = datetime.fromtimestamp(start(kind, now, anchor_day) // SECOND, UTC)
    if kind in ("month", "tier"):
        following = first.replace(day=1) + timedelta(days=32)
        return _instant(_anchored(following, anchor_day if kind == "tier" else 1))
    return _instant(first + timedelta(days=7 if kind == "week" else 1))


def _anchored(moment: datetime, day: int) -> datetime:
    """The anchor day of the month of this moment: the 31st of a February is its last day."""
    return moment.replace(day=min(day, monthrange(moment.year, moment.month)[1]))


def _instant(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND
