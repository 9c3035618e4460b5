"""The lease of one worker's life: while it is renewed its holds are its own; once it lapsed they are the sweep's."""

from collections.abc import Callable

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND, Clock
from broker.core.errors import Unavailable
from broker.core.handle import new_id
from broker.store.database import Database
from broker.store.ledger_tables import Boot

Monotonic = Callable[[], float]


class Lease:
    """Renewed by a heartbeat. By its own monotonic clock the worker knows when it may forward nothing more."""

    def __init__(self, db: Database, clock: Clock, monotonic: Monotonic, seconds: float) -> None:
        self.boot_id = new_id("boot")
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

    async def take(self) -> None:
        async def work(tx: AsyncSession) -> None:
            tx.add(Boot(id=self.boot_id, started_at=self._clock(), lease_ends_at=self._end()))

        asked_at = self._monotonic()
        await self._db.write(work)
        self._good_until = asked_at + self._seconds

    async def renew(self) -> None:
        """A lease that the sweep has already ended stays lapsed."""

        async def work(tx: AsyncSession) -> bool:
            now = self._clock()
            done = await tx.exec(
                update(Boot)
                .where(col(Boot.id) == self.boot_id, col(Boot.ended_at).is_(None), col(Boot.lease_ends_at) > now)
                .values(lease_ends_at=self._end())
            )
            return done.rowcount == 1

        asked_at = self._monotonic()
        if await self._db.write(work):
            self._good_until = asked_at + self._seconds

    async def give_back(self) -> None:
        """To be called once every call of this worker is settled."""

        async def work(tx: AsyncSession) -> None:
            now = self._clock()
            await tx.exec(update(Boot).where(col(Boot.id) == self.boot_id).values(ended_at=now, lease_ends_at=now))

        self._good_until = float("-inf")
        await self._db.write(work)

    def _end(self) -> int:
        return self._clock() + int(self._seconds * SECOND)
