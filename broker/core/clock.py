"""What time it is, as an argument."""

from collections.abc import Callable

Clock = Callable[[], int]
"""Microseconds since 1970 UTC."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND


def to_seconds(instant: int) -> int:
    """Whole seconds since 1970 for the wire, rounded down so that nothing is said to live longer than it does."""
    return instant // SECOND


def from_seconds(seconds: int) -> int:
    return seconds * SECOND
