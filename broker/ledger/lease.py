"""The lease of one worker's life: while it is renewed its holds are its own; once it lapsed they are the sweep's."""

from collections.abc import Callable

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND, Clock
from broker.core.errors import Unavailable
from broker.core.handle import new_id
from broker.ledger.core_tables import BOOT
from broker.store.database import Database
from broker.store.ledger_tables import Boot

Monotonic = Callable[[], float]


class Lease:
    """Renewed by a heartbeat. By its own monotonic clock the worker knows when it may forward nothing more."""

    def __init__(self, db: Database, clock: Clock, monotonic: Monotonic, seconds: float) -> None:
        self.boot_id = ""
        self._db = db
        self._clock = clock
        self._monotonic = monotonic
        self._seconds = seconds
        self._good_until = float("-inf")

    @property
    def is_good(self) -> bool:
        return self._monotonic() < self._good_until

    def require(self) -> None:
        if not self.is_good:
            raise Unavailable(detail="the lease of this worker has lapsed")

    async def stands(self, connection: AsyncConnection, now: int) -> bool:
        """Whether the books, too, still know this lease: a clock that was stepped or slept may have ended it."""
        known = select(BOOT.c.id).where(
            BOOT.c.id == self.boot_id, BOOT.c.ended_at.is_(None), BOOT.c.lease_ends_at > now
        )
        return (await connection.execute(known)).first() is not None

    async def take(self) -> None:
        """A new lease; what was held under an earlier one is the sweep's."""
        boot_id = new_id("boot")

        async def work(tx: AsyncSession) -> None:
            tx.add(Boot(id=boot_id, started_at=self._clock(), lease_ends_at=self._end()))

        asked_at = self._monotonic()
        await self._db.write(work)
        self.boot_id, self._good_until = boot_id, asked_at + self._seconds

    async def renew(self) -> bool:
        """False when it has lapsed in the books: it stays lapsed, and its calls must end before another is taken."""

        async def work(connection: AsyncConnection) -> bool:
            now = self._clock()
            if not await self.stands(connection, now):
                return False
            await connection.execute(update(BOOT).where(BOOT.c.id == self.boot_id).values(lease_ends_at=self._end()))
            return True

        asked_at = self._monotonic()
        if not await self._db.write_core(work):
            self._good_until = float("-inf")
            return False
        self._good_until = asked_at + self._seconds
        return True

    async def give_back(self) -> None:
        """To be called once every call of this worker is settled."""

        async def work(connection: AsyncConnection) -> None:
            now = self._clock()
            ended = update(BOOT).where(BOOT.c.id == self.boot_id)
            await connection.execute(ended.values(ended_at=now, lease_ends_at=now))

        self._good_until = float("-inf")
        await self._db.write_core(work)

    def _end(self) -> int:
        return self._clock() + int(self._seconds * SECOND)
