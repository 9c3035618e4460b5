"""A worker process of its own on the books of a test: told what to do by lines on its standard input."""

import asyncio
import random
import sys
import time

from broker.core.errors import CallRefused
from broker.ledger.books import OwnBooks
from broker.ledger.lease import Lease
from broker.ledger.reserve import Reserver
from broker.ledger.settle import Close
from broker.ops import log
from broker.store.database import Database
from tests.books.world import ESTIMATED, NOT_RUN, demand, reported


def now() -> int:
    return time.time_ns() // 1_000


class Worker:
    def __init__(self, url: str, jti: str, lease_seconds: float) -> None:
        self.db = Database(url, synchronous="normal", busy_ms=30_000)
        self.lease = Lease(self.db, now, time.monotonic, lease_seconds)
        self.books = OwnBooks(self.db, now)
        self.reserve = Reserver(self.books, now, self.lease)
        self.jti = jti
        self.chance = random.Random(3)

    async def hold(self, tries: int) -> None:
        """Asks for as many holds at once, and says how many it got."""
        found = await asyncio.gather(*(self.reserve(self.jti, demand()) for _ in range(tries)), return_exceptions=True)
        faults = [each for each in found if isinstance(each, BaseException) and not isinstance(each, CallRefused)]
        said = f"fault {faults[0]!r}" if faults else str(sum(not isinstance(each, CallRefused) for each in found))
        tell(said)

    async def work(self, calls: int) -> None:
        """Runs calls to their ends, eight at a time, and says each end."""
        await asyncio.gather(*(self._work(calls // 8) for _ in range(8)))
        tell("done")

    async def _work(self, calls: int) -> None:
        for _ in range(calls):
            try:
                held = await self.reserve(self.jti, demand())
            except CallRefused:
                continue
            await asyncio.sleep(self.chance.random() / 100)
            read, written = self.chance.randint(1, 100), self.chance.randint(0, 50)
            ending = self.chance.choice([NOT_RUN, ESTIMATED, reported(read, written)])
            await self.books.submit(Close(held.id, ending))
            tell("ended")


def tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its parent reads it


async def main(url: str, jti: str, lease_seconds: str, task: str, number: str) -> None:
    # What it says is read line by line, so nothing else may be said there.
    log.configure()
    worker = Worker(url, jti, float(lease_seconds))
    await worker.lease.take()
    tell("ready")
    await asyncio.to_thread(sys.stdin.readline)
    await getattr(worker, task)(int(number))
    await asyncio.to_thread(sys.stdin.readline)  # holds what it holds until its parent has looked
    await worker.db.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
