"""Money in whole micro-dollars, and its text on the wire."""

import re
from typing import NewType

MicroUSD = NewType("MicroUSD", int)

MICRO = 1_000_000
MAX_MONEY = MicroUSD(10**15)
"""A thousand million dollars: above it a figure is an error, and sums stay far from 64 bits."""

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,8})(?:\.([0-9]{1,6}))?", re.ASCII)


def parse_decimal(text: str) -> MicroUSD | None:
    """Reads a decimal string of dollars with at most six places, as on the wire; None if it is anything else."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match[1], match[2] or ""
    return MicroUSD(int(whole) * MICRO + int(fraction.ljust(6, "0")))


def to_decimal(amount: MicroUSD) -> str:
    """Dollars as a decimal string with at least two places and no more than the amount needs."""
    whole, fraction = divmod(amount, MICRO)
    places = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{places}"


def parse_percent(text: str) -> int | None:
    """Hundredths of a per cent, from 0 to 1000 per cent, with at most two places; None if it is anything else."""
    match = _DECIMAL.fullmatch(text)
    if match is None or len(match[2] or "") > 2:
        return None
    hundredths = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    return hundredths if hundredths <= 100_000 else None


def percent(hundredths: int) -> str:
    """As it is typed, such as 12.5."""
    whole, part = divmod(hundredths, 100)
    return f"{whole}.{part:02d}".rstrip("0").rstrip(".")


def ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
