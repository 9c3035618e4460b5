"""UTC calendar windows: what a budget per day, week or month is counted in."""

from datetime import UTC, datetime, timedelta

from broker.core.clock import SECOND


def start(kind: str, now: int) -> int:
    """The first microsecond of the window that holds `now`; 0 for a window that never rolls. Weeks start on Monday."""
    if kind == "grant":
        return 0
    moment = datetime.fromtimestamp(now // SECOND, UTC).replace(hour=0, minute=0, second=0)
    if kind == "week":
        moment -= timedelta(days=moment.weekday())
    elif kind == "month":
        moment = moment.replace(day=1)
    elif kind != "day":
        raise ValueError(kind)
    return int(moment.timestamp()) * SECOND


def end(kind: str, now: int) -> int | None:
    """When the window that holds `now` ends and a new one starts; None for a window that never rolls."""
    if kind == "grant":
        return None
    first = datetime.fromtimestamp(start(kind, now) // SECOND, UTC)
    if kind == "month":
        first = (first + timedelta(days=32)).replace(day=1)
    else:
        first += timedelta(days=7 if kind == "week" else 1)
    return int(first.timestamp()) * SECOND
