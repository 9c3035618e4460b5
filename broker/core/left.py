"""What is left of the limits that a call was judged by."""

from typing import NamedTuple


class RateLeft(NamedTuple):
    """Requests a minute as an app may plan by them; `reset` in seconds, when the next one leaves the window."""

    limit: int
    remaining: int
    reset: int


class Left(NamedTuple):
    """What a refused call leaves as it was."""

    money: int
    """Micro-dollars of the tightest limit; never less than nothing."""
    held: int
    rate: RateLeft | None = None
