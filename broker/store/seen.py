"""What may be shown once only, remembered by digest for as long as it would still be taken."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable
from broker.store.tables import Seen

SHELF = 3
"""Digits of a digest that name its shelf: there are 4096 shelves, and digests spread over them evenly."""
MOST_ON_A_SHELF = 128
"""Half a million in all: never more than that, and nothing that still counts ever gives way to something new."""

_INSERT: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


async def once(tx: AsyncSession, digest: str, ends_at: int, now: int) -> bool:
    """Whether this is the first time; `ends_at` is from when on it would be refused for its age alone.

    `digest` is the hexadecimal SHA-256 of what was shown, `now` the present instant: one read before a wait for the
    turn to write would take again what had been forgotten meanwhile. Raises Unavailable where too much is remembered.
    """
    if ends_at <= now:
        return False
    first, last = digest[:SHELF], _next(digest[:SHELF])
    on_shelf = (col(Seen.digest) >= first, col(Seen.digest) < last)
    # Each tidies the shelf it puts something on, so that nobody ever has a whole table to look through.
    await tx.exec(delete(Seen).where(*on_shelf, col(Seen.ends_at) <= now))
    if (await tx.exec(select(func.count(col(Seen.digest))).where(*on_shelf))).one() >= MOST_ON_A_SHELF:
        raise Unavailable(detail="too many proofs and assertions are remembered")
    dialect = tx.get_bind().dialect.name
    row = _INSERT[dialect](Seen).values(digest=digest, ends_at=ends_at).on_conflict_do_nothing()
    return bool((await tx.exec(row)).rowcount == 1)


def _next(shelf: str) -> str:
    """What all digests on the next shelf begin with; of the last one, what none does."""
    number = int(shelf, 16) + 1
    return f"{number:0{SHELF}x}" if number < 16**SHELF else "g"
