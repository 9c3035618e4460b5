"""What strangers' addresses are read with: a client's document, its keys."""

from dataclasses import dataclass
from typing import Protocol


class NotFetched(Exception):
    """Why, for the log alone: what asks must not become a way to look around in our network."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Fetch(Protocol):
    async def __call__(self, url: str, *, most: int, accept: str) -> Fetched:
        """An https address, its answer whatever its status, of so many bytes at most; raises NotFetched."""
