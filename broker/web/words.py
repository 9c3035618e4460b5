"""How money, time, counts and lists are said to people: pure functions."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from broker.core.clock import DAY, MINUTE, SECOND
from broker.core.counted import counted
from broker.core.money import MAX_MONEY, MICRO, MicroUSD, ceil_div, parse_decimal, to_decimal

MoneyKind = Literal["total", "left", "fine", "limit"]
"""`total` and `fine` round what was spent up, `left` rounds down, `limit` is exactly what was typed."""

CENT = MICRO // 100
HOUR = 60 * MINUTE

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))
_THOUSANDS = re.compile(r"([0-9]{1,3})((?:,[0-9]{3}){1,3})(\.[0-9]{1,2})?", re.ASCII)
_PLAIN = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,2})|,([0-9]{2}))?", re.ASCII)


def money(amount: int, kind: MoneyKind = "total") -> str:
    """Dollars for people; nothing that was spent is ever shown as $0.00."""
    if kind == "limit":
        dollars, _, places = to_decimal(MicroUSD(amount)).partition(".")
        return f"${int(dollars):,}.{places}"
    step = CENT // 100 if kind == "fine" else CENT
    if 0 < amount < step:
        return "<$0.0001" if kind == "fine" else "<$0.01"
    steps = amount // step if kind == "left" else ceil_div(amount, step)
    whole, part = divmod(steps * step, MICRO)
    fraction = f"{part:06d}"[:4].rstrip("0").ljust(2, "0") if kind == "fine" else f"{part:06d}"[:2]
    return f"${whole:,}.{fraction}"


def parse_money_input(text: str) -> MicroUSD | None:
    """Reads 5, 5.5, 5.50, $5, 5,50 and 1,240.00; None for anything that could be meant in two ways."""
    typed = text.strip().removeprefix("$").strip()
    if match := _THOUSANDS.fullmatch(typed):
        digits = match[1] + match[2].replace(",", "") + (match[3] or "")
    elif match := _PLAIN.fullmatch(typed):
        digits = f"{match[1]}.{match[2] or match[3] or '0'}"
    else:
        return None
    whole, _, fraction = digits.partition(".")
    amount = parse_decimal(f"{int(whole)}.{fraction or '0'}")
    return None if amount is None or amount > MAX_MONEY else amount


def parse_count_input(text: str) -> int | None:
    """Reads 500 and 1,000; None for anything else."""
    typed = text.strip()
    if re.fullmatch(r"[0-9]{1,12}|[0-9]{1,3}(?:,[0-9]{3}){1,3}", typed, re.ASCII) is None:
        return None
    return int(typed.replace(",", ""))


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name, or UTC where it is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local(at: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at // SECOND, UTC).astimezone(zone_of(zone))


def day(at: int, zone: str = "UTC") -> str:
    """28 Nov 2026."""
    then = local(at, zone)
    return f"{then.day} {_MONTHS[then.month - 1]} {then.year}"


def clock_time(at: int, zone: str = "UTC", *, seconds: bool = False) -> str:
    """14:05 CET."""
    then = local(at, zone)
    return f"{then:%H:%M:%S} {_zone_name(then)}" if seconds else f"{then:%H:%M} {_zone_name(then)}"


def instant(at: int, zone: str = "UTC", *, seconds: bool = False) -> str:
    """28 Nov 2026, 14:05 CET."""
    return f"{day(at, zone)}, {clock_time(at, zone, seconds=seconds)}"


def machine_time(at: int) -> str:
    """2026-11-28T13:05:00Z, for the datetime attribute."""
    return f"{datetime.fromtimestamp(at // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def zone_label(zone: str, at: int) -> str:
    """Europe/Berlin (CET), or UTC."""
    name = _zone_name(local(at, zone))
    return name if name == zone else f"{zone_of(zone).key} ({name})"


def duration(length: int) -> str:
    """The two largest units of a length in microseconds: 5 days 3 hours."""
    parts: list[str] = []
    left = max(0, length)
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        if number:
            parts.append(counted(number, unit))
        if len(parts) == 2 or (parts and not number):
            break
    return " ".join(parts) or "0 seconds"


def about(length: int) -> str:
    """The largest unit of a length: 4 minutes."""
    for size, unit in _UNITS[:-1]:
        if length >= size:
            return counted(length // size, unit)
    return "less than a minute"


def ago(at: int, now: int) -> str:
    return "just now" if now - at < MINUTE else f"{about(now - at)} ago"


def count(number: int) -> str:
    return f"{number:,}"


def listed(items: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def shortlist(items: Sequence[str], most: int = 3) -> str:
    """a, b and c; or a, b, c and 4 more."""
    if len(items) <= most:
        return listed(items)
    return f"{', '.join(items[:most])} and {len(items) - most} more"


def possessive(name: str) -> str:
    """Acme Notes' and Draft CLI's."""
    return f"{name}'" if name.endswith(("s", "S")) else f"{name}'s"


def _zone_name(then: datetime) -> str:
    name = then.tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name
