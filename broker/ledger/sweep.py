"""The sweep: what a dead process held is settled at its bound, once its lease has lapsed."""

import asyncio

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import Clock
from broker.ledger.books import Books
from broker.ledger.core_tables import BOOT, HELD, RESERVATION
from broker.ledger.settle import Close, Ending
from broker.ops.log import logger
from broker.store.database import Database
from broker.store.ledger_tables import LASTING

log = logger("ledger")

_BATCH = 200

UNRESOLVED = Ending("unresolved", "process_died")


async def sweep(db: Database, books: Books, clock: Clock) -> int:
    """Settles every hold of a lapsed lease; gives the number of those it found."""
    total = 0
    while True:
        found = await db.read_core(lambda connection: _lapsed(connection, clock()))
        done = await _settled(books, found)
        total += done
        if not done:
            break
    # Nobody waits for a turn to write in order to learn that there is nothing to do.
    if not found and await db.read_core(lambda connection: _is_any_to_end(connection, clock())):
        await db.write_core(lambda connection: _end_leases(connection, clock()))
    return total


async def _lapsed(connection: AsyncConnection, now: int) -> list[str]:
    lapsed = select(BOOT.c.id).where(BOOT.c.lease_ends_at <= now)
    held = select(RESERVATION.c.id).where(HELD, RESERVATION.c.boot_id.in_(lapsed))
    return list((await connection.execute(held.limit(_BATCH))).scalars())


async def _settled(books: Books, reservation_ids: list[str]) -> int:
    """One row that cannot be read keeps its hold, and keeps no other row from its end."""
    asked = [books.submit(Close(reservation_id, UNRESOLVED)) for reservation_id in reservation_ids]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for reservation_id, answer in zip(reservation_ids, answers, strict=True):
        if isinstance(answer, BaseException):
            log.error("sweep.row", reservation=reservation_id, exc_info=answer)
    return sum(not isinstance(answer, BaseException) for answer in answers)


async def _is_any_to_end(connection: AsyncConnection, now: int) -> bool:
    return (await connection.execute(select(BOOT.c.id).where(*_to_end(now)).limit(1))).first() is not None


async def _end_leases(connection: AsyncConnection, now: int) -> None:
    """A lease that was swept stays lapsed: its process may not renew it and hold again."""
    await connection.execute(update(BOOT).where(*_to_end(now)).values(ended_at=now))


def _to_end(now: int) -> tuple[ColumnElement[bool], ...]:
    return BOOT.c.lease_ends_at <= now, BOOT.c.ended_at.is_(None)


async def lapse_all(tx: AsyncSession, now: int) -> None:
    """To be called while no worker can be alive, so that the next sweep need not wait for the leases of the dead."""
    lapsed = update(BOOT).where(BOOT.c.ended_at.is_(None), BOOT.c.id != LASTING).values(lease_ends_at=now)
    await (await tx.connection()).execute(lapsed)
