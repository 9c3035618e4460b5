"""Cost per day as bars of a server-drawn chart; a day is a day of the reader's own time zone."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from broker.core.clock import SECOND

PERIODS = (7, 30, 90)

LEFT, RIGHT, FLOOR, TALLEST = 44, 672, 120, 90
"""The drawing's edges in its own units; the axis labels stand outside them."""

_MOST_LABELS = 10


@dataclass(frozen=True, slots=True)
class Bar:
    day: date
    cost: int
    x: float
    y: float
    width: float
    height: float
    label: str
    """Empty where labels would touch."""

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, slots=True)
class Chart:
    bars: tuple[Bar, ...]
    zone: str
    cap: int | None
    """A daily spending limit, where there is one."""

    @property
    def total(self) -> int:
        return sum(bar.cost for bar in self.bars)

    @property
    def highest(self) -> Bar:
        return max(self.bars, key=lambda bar: bar.cost)

    @property
    def top(self) -> int:
        """The cost at the upper end of the axis."""
        return max(self.highest.cost, self.cap or 0)

    @property
    def cap_y(self) -> float | None:
        return None if self.cap is None else _y(self.cap, self.top)


def days_until(now: int, count: int, zone: ZoneInfo) -> list[date]:
    """So many days of this zone, today the last."""
    today = _day(now, zone)
    return [today - timedelta(days=back) for back in reversed(range(count))]


def start_of(day: date, zone: ZoneInfo) -> int:
    """The first microsecond of a day of this zone."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND


def draw(costs: list[tuple[int, int]], days: list[date], zone: ZoneInfo, cap: int | None = None) -> Chart:
    """`costs` are (start of a UTC quarter-hour, micro-dollars): every zone's days begin at one."""
    sums = dict.fromkeys(days, 0)
    for start, cost in costs:
        day = _day(start, zone)
        if day in sums:
            sums[day] += cost
    top = max(cap or 0, *sums.values())
    step = (RIGHT - LEFT) / len(days)
    every = -(-len(days) // _MOST_LABELS)
    bars = []
    for index, (day, cost) in enumerate(sums.items()):
        y = _y(cost, top)
        label = _label(day, days, index, every)
        bars.append(Bar(day, cost, round(LEFT + index * step, 1), y, round(step * 0.73, 1), round(FLOOR - y, 1), label))
    return Chart(tuple(bars), zone.key, cap)


def date_words(day: date) -> str:
    """8 Nov 2026."""
    return f"{day.day} {day:%b} {day.year}"


def _label(day: date, days: list[date], index: int, every: int) -> str:
    if index % every:
        return ""
    turned = index == 0 or days[index - every].month != day.month
    return f"{day.day} {day:%b}" if turned else str(day.day)


def _y(cost: int, top: int) -> float:
    """A cost above zero is never drawn as nothing."""
    if not cost or not top:
        return FLOOR
    return round(FLOOR - max(1.0, TALLEST * cost / top), 1)


def _day(instant: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(instant // SECOND, UTC).astimezone(zone).date()
