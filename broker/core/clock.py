"""What time it is, as an argument."""

from collections.abc import Callable
from datetime import UTC, datetime

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


def utc(instant: int) -> str:
    """For those whose zone is not known: 2026-01-31 23:59:59 UTC."""
    return datetime.fromtimestamp(instant // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
