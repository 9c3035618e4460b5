"""Argon2id over the exact bytes of a password, in few threads at a time."""

from collections.abc import Callable
from functools import partial
from typing import Self, TypeVar

import anyio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from broker.core.errors import Unavailable
from broker.core.secret import Secret
from broker.identity.known_passwords import KNOWN

T = TypeVar("T")

MOST_BYTES = 1024
LEAST_CHARACTERS = 12
AT_ONCE = 2
"""Each takes 64 MiB and tens of milliseconds of a core."""
MOST_WAITING = 64


class Passwords:
    """Hashes and verifies; to be made inside a running event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = anyio.CapacityLimiter(AT_ONCE)
        self._nobody: str | None = None

    @classmethod
    def cheap(cls) -> Self:
        """For tests and demonstrations: the same algorithm with the least of its costs."""
        return cls(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))

    async def hash(self, password: Secret) -> str:
        """Raises Unavailable when too many wait already."""
        return await self._apart(partial(self._hasher.hash, password.reveal().encode()))

    async def verify(self, known: str | None, password: Secret) -> bool:
        """False without a known hash, after the same work; raises Unavailable when too many wait already."""
        typed = password.reveal().encode()
        if len(typed) > MOST_BYTES:
            typed, known = b"", None
        if self._nobody is None:
            self._nobody = await self.hash(Secret("nobody"))
        right = await self._apart(partial(self._matches, known or self._nobody, typed))
        return right and bool(known)

    def _matches(self, known: str, typed: bytes) -> bool:
        try:
            return self._hasher.verify(known, typed)
        except (VerificationError, InvalidHashError):
            return False

    async def _apart(self, work: Callable[[], T]) -> T:
        if self._turns.statistics().tasks_waiting >= MOST_WAITING:
            raise Unavailable("Too many people are signing in at once. Try again in a moment.")
        return await anyio.to_thread.run_sync(work, limiter=self._turns)


def password_problem(password: Secret) -> str | None:
    """What is wrong with a new password, as a sentence for the person."""
    text = password.reveal()
    if len(text) < LEAST_CHARACTERS:
        return f"Enter a password of {LEAST_CHARACTERS} or more characters"
    if len(text.encode()) > MOST_BYTES:
        return "Enter a shorter password"
    if is_known(text):
        return "That password is on lists of stolen passwords. Choose another"
    return None


def is_known(text: str) -> bool:
    """Whether it is on the list, or is one short piece over and over."""
    folded = text.casefold()
    return folded in KNOWN or any(folded == (folded[:size] * len(folded))[: len(folded)] for size in range(1, 5))
