"""The sweep: what a dead process held is settled at its bound, once its lease has lapsed."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import Clock
from broker.core.errors import BrokerError
from broker.core.strict_json import NotStrict
from broker.ledger.core_tables import BOOT, HELD, RESERVATION
from broker.ledger.settle import Ending, settle
from broker.ops.log import logger
from broker.store.database import Database

log = logger("ledger")

_BATCH = 200

UNRESOLVED = Ending("unresolved", "process_died")


async def sweep(db: Database, clock: Clock) -> int:
    """Settles every hold of a lapsed lease; gives their number."""
    total = 0
    while done := await db.write_core(lambda connection: _batch(connection, clock())):
        total += done
    return total


async def _batch(connection: AsyncConnection, now: int) -> int:
    lapsed = select(BOOT.c.id).where(BOOT.c.lease_ends_at <= now)
    held = select(RESERVATION.c.id).where(HELD, RESERVATION.c.boot_id.in_(lapsed))
    ids = list((await connection.execute(held.limit(_BATCH))).scalars())
    done = [await _settled(connection, reservation_id, now) for reservation_id in ids]
    if not ids:
        # A lease that was swept stays lapsed: its process may not renew it and hold again.
        ended = update(BOOT).where(BOOT.c.lease_ends_at <= now, BOOT.c.ended_at.is_(None))
        await connection.execute(ended.values(ended_at=now))
    return sum(done)


async def _settled(connection: AsyncConnection, reservation_id: str, now: int) -> bool:
    """One row that cannot be read keeps its hold, and keeps no other row from its end."""
    savepoint = await connection.begin_nested()
    try:
        await settle(connection, reservation_id, UNRESOLVED, now)
    except (BrokerError, NotStrict, KeyError, TypeError) as error:
        await savepoint.rollback()
        log.exception("sweep.row", reservation=reservation_id, exc_info=error)
        return False
    await savepoint.commit()
    return True


async def lapse_all(tx: AsyncSession, now: int) -> None:
    """To be called while no worker can be alive, so that the next sweep need not wait for the leases of the dead."""
    lapsed = update(BOOT).where(BOOT.c.ended_at.is_(None)).values(lease_ends_at=now)
    await (await tx.connection()).execute(lapsed)
