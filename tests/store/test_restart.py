"""A PostgreSQL server that ends and comes back: what needs it is refused meanwhile, and nothing has to be restarted."""

import asyncio
import signal
from collections.abc import Iterator

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable
from broker.start import asked
from broker.store import changes, facts, migrate
from broker.store.database import Database
from broker.store.listen import Listener
from tests.postgresql_server import Cluster
from tests.stores import beside


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster.begun() as made:
        asked(migrate.upgrade_postgresql(made.url))
        yield made


# Fast and immediate shutdown: the second has no time to say goodbye, and recovers from its log when it is back.
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_while_the_server_is_away_all_is_unavailable_and_then_it_goes_on(
    cluster: Cluster, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.store.listen.AGAIN_SECONDS", 0.02)
    db, told, begun, gone = Database(cluster.url), asyncio.Event(), asyncio.Event(), asyncio.Event()
    listener = Listener(cluster.url, told.set)
    listener.start()
    await asyncio.wait_for(listener.listens.wait(), 20)
    await db.write(lambda tx: facts.save(tx, "before", "kept"))

    async def in_the_middle(tx: AsyncSession) -> None:
        await facts.save(tx, "middle", "lost")
        begun.set()
        await gone.wait()

    writing = asyncio.create_task(db.write(in_the_middle))
    await begun.wait()
    cluster.end(how)
    gone.set()
    for refused in (writing, db.read(changes.count), db.write(changes.bump)):
        with pytest.raises(Unavailable):
            await refused
    with pytest.raises(Unavailable):
        async with beside(db) as connection:
            await connection.execute("SELECT 1")
    cluster.begin()
    told.clear()
    await db.write(changes.bump)
    async with beside(db) as connection:
        assert await connection.fetchval("SELECT value FROM setting") == "kept"
    await asyncio.wait_for(told.wait(), 20)
    await listener.stop()
    await db.close()
