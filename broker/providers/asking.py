"""What asking a provider is made of: how long each wait may take, how far it came, and how it may fail."""

from dataclasses import dataclass

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds: to connect, to the first byte of the answer, and between two pieces of it."""

    connect: float
    first_byte: float
    silence: float


class NotReached(Exception):
    """No byte of the request was written: the provider did not run it."""


class Broken(Exception):
    """The request, or a part of it, was sent, and no complete answer came."""


class TimedOut(Broken):
    """As Broken, by silence."""


class TooLarge(Broken):
    """As Broken, by an answer longer than its reader takes."""


@dataclass(slots=True)
class Progress:
    """Whether a byte of the request may have been written; readable even when the sending is cancelled."""

    wrote: bool = False
