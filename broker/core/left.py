"""What is left of the limits that a call was judged by."""

from typing import NamedTuple


class RateLeft(NamedTuple):
    """Requests and tokens a minute as an app may plan by them: each limit, None where there is none, and what is left of it."""

    requests: int | None
    requests_left: int
    tokens: int | None
    tokens_left: int
    reset: int
    """Seconds until the next call leaves the window."""


class Left(NamedTuple):
    """What a refused call leaves as it was."""

    money: int
    """Micro-dollars of the tightest limit; never less than nothing."""
    held: int
    rate: RateLeft | None = None
