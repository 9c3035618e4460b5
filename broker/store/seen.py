"""What may be shown once only, remembered by digest for as long as it would still be taken."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable
from broker.store.steps import Statement, Steps, reading, run_steps

SHELF = 3
"""Digits of a digest that name its shelf: there are 4096 shelves, and digests spread over them evenly."""
MOST_ON_A_SHELF = 128
"""Half a million in all: never more than that, and nothing that still counts ever gives way to something new."""
_TIDIES = frozenset("01")
"""One in eight, by the digit after the shelf's, tidies the shelf that it is put on: a statement of its own costs as much."""

_PUT = Statement(
    "INSERT INTO seen (digest, ends_at) SELECT ?1, ?2 "
    "WHERE (SELECT count(*) FROM seen WHERE digest >= ?3 AND digest < ?4) < ?5 ON CONFLICT DO NOTHING",
    "INSERT INTO seen (digest, ends_at) SELECT v.digest, v.ends_at FROM "
    "unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[]) AS v(digest, ends_at, first, next, most) "
    "WHERE (SELECT count(*) FROM seen AS s WHERE s.digest >= v.first AND s.digest < v.next) < v.most "
    "ON CONFLICT DO NOTHING RETURNING digest",
    echo=0,
)
_TIDY = Statement(
    "DELETE FROM seen WHERE digest >= ? AND digest < ? AND ends_at <= ?",
    "DELETE FROM seen USING unnest($1::text[], $2::text[], $3::bigint[]) AS v(first, next, until) "
    "WHERE digest >= v.first AND digest < v.next AND seen.ends_at <= v.until",
)
_FIND = reading("SELECT digest FROM seen WHERE digest = ?", "t")


class Shown(NamedTuple):
    digest: str
    """SHA-256, hexadecimal."""
    ends_at: int
    """From when on it would be refused for its age alone."""


async def once(tx: AsyncSession, digest: str, ends_at: int, now: int) -> bool:
    """As `remember`, of one; raises Unavailable where too much is remembered."""
    (answer,) = await run_steps(await tx.connection(), remember([Shown(digest, ends_at)], now))
    if isinstance(answer, Unavailable):
        raise answer
    return answer


def remember(shown: Sequence[Shown], now: int) -> Steps[list[bool | Unavailable]]:
    """Of each, whether it is shown for the first time, or that too much is remembered to say so.

    `now` is the present instant: one read before a wait for the turn to write would take again what had been forgotten
    meanwhile.
    """
    # In one order, so that two who remember the same at once do not wait for each other in a circle.
    young = {one.digest: one for one in sorted(shown) if one.ends_at > now}
    first = yield from _put([one for one in young.values() if one.digest[SHELF] in _TIDIES], young.values(), now)
    left = [one for digest, one in young.items() if digest not in first]
    known: set[str] = set()
    if left:
        # Shown before, or no room: what has ended on its shelf may have been in the way of either.
        first |= yield from _put(left, left, now)
        known = {digest for (digest,) in (yield _FIND, [(one.digest,) for one in left])}
    full = young.keys() - first - known
    return [_full() if one.digest in full else _is_taken_from(first, one.digest) for one in shown]


def _is_taken_from(first: set[str], digest: str) -> bool:
    """Whoever is before it in the same transaction was the first."""
    if digest not in first:
        return False
    first.remove(digest)
    return True


def _full() -> Unavailable:
    return Unavailable(detail="too many proofs and assertions are remembered")


def _put(tidying: Iterable[Shown], putting: Iterable[Shown], now: int) -> Steps[set[str]]:
    """Gives the digests that were not there before."""
    yield _TIDY, [(*_shelf(one.digest), now) for one in tidying]
    rows = yield _PUT, [(one.digest, one.ends_at, *_shelf(one.digest), MOST_ON_A_SHELF) for one in putting]
    return {digest for (digest,) in rows}


def _shelf(digest: str) -> tuple[str, str]:
    """Where a shelf begins and where the next one does; after the last there is none, and no digest begins like that."""
    first = digest[:SHELF]
    number = int(first, 16) + 1
    return first, f"{number:0{SHELF}x}" if number < 16**SHELF else "g"
