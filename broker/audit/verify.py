"""Proves that the audit trail is what was recorded, from its first entry to its last."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.chain import Entry, Head, Walk
from broker.core.counted import of_number
from broker.store.database import Database
from broker.store.tables import AuditEntry

AT_A_TIME = 2_000

_TABLE = SQLModel.metadata.tables[str(AuditEntry.__tablename__)]
_COLUMNS = [_TABLE.c[name] for name in Entry._fields]


@dataclass(frozen=True, slots=True)
class Verdict:
    head: Head
    fault: str

    def __str__(self) -> str:
        return self.fault or f"OK: {self.head.seq} {of_number(self.head.seq, 'entry', 'entries')}, head {self.head}"


async def verify(db: Database, kept: Head | None = None) -> Verdict:
    """`kept` is a head that was written down elsewhere: without one, a trail made anew from some entry on would pass."""
    return await db.read(lambda tx: prove(tx, kept))


async def prove(tx: AsyncSession, kept: Head | None = None) -> Verdict:
    walk = Walk(wanted=kept)
    async for some in pages(tx):
        walk.follow(some)
        if walk.fault:
            break
    return Verdict(walk.head, walk.ended())


async def pages(tx: AsyncSession) -> AsyncIterator[list[Entry]]:
    """The whole trail in order, some entries at a time."""
    connection = await tx.connection()
    last = -1
    while True:
        query = select(*_COLUMNS).where(_TABLE.c.seq > last).order_by(_TABLE.c.seq).limit(AT_A_TIME)
        some = [Entry(*row) for row in await connection.execute(query)]
        if not some:
            return
        yield some
        last = some[-1].seq
