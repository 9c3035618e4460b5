"""Looks at the books again and again over a connection of its own: what it sees is what somebody committed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from broker.store import postgresql

_SEEN = """SELECT coalesce(sum(settled), 0), coalesce(sum(held), 0),
count(*) FILTER (WHERE settled + held > "limit" OR held < 0 OR settled + overrun < settled) FROM counter"""


@dataclass
class Watch:
    commits: int = 0
    """Different states of the counters that were seen."""
    held: int = 0
    """As it was seen last."""
    faults: int = 0


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[Watch]:
    connection, watch = await postgresql.connect(url, read_only=True), Watch()

    async def look() -> None:
        before: object = None
        while True:
            row = await connection.fetchrow(_SEEN)
            watch.commits += row != before
            watch.held, watch.faults, before = int(row[1]), watch.faults + row[2], row
            await asyncio.sleep(0.002)

    looking = asyncio.create_task(look())
    try:
        yield watch
    finally:
        looking.cancel()
        await asyncio.wait({looking})
        await connection.close()


async def marks(url: str, grant_id: str) -> list[str]:
    """How the calls of a grant ended; empty for one that is still held."""
    connection = await postgresql.connect(url, read_only=True)
    try:
        found = await connection.fetch("SELECT mark FROM reservation WHERE grant_id = $1", grant_id)
    finally:
        await connection.close()
    return [row[0] for row in found]
