"""What is left of the limits that a call was judged by."""

from typing import NamedTuple


class RateLeft(NamedTuple):
    """Requests and tokens a minute as an app may plan by them, each None where it is not limited."""

    limit: int | None
    """Of requests."""
    remaining: int
    reset: int
    """Seconds until the next call leaves the window."""
    tokens: int | None = None
    tokens_remaining: int = 0


class Left(NamedTuple):
    """What a refused call leaves as it was."""

    money: int
    """Micro-dollars of the tightest limit; never less than nothing."""
    held: int
    rate: RateLeft | None = None
