"""A PostgreSQL server that ends and comes back: what needs it is refused meanwhile, and nothing has to be restarted."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import Unavailable
from broker.start import asked
from broker.store import changes, facts, migrate
from broker.store.database import Database
from broker.store.listen import Listener
from tests import postgresql_server


class Cluster:
    """A server of its own that may be ended; with fsync, for what it has said it keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = postgresql_server.address(folder)
        self.begin()

    def begin(self) -> None:
        self.server = postgresql_server.start(self.folder, fsync="on")
        postgresql_server.wait_until_up(self.folder)

    def end(self, how: signal.Signals) -> None:
        self.server.send_signal(how)
        self.server.wait()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="broker-"))
    made = Cluster(folder)
    asked(migrate.upgrade_postgresql(made.url))
    yield made
    made.end(signal.SIGQUIT)
    shutil.rmtree(folder)


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
        async with db.driver() as connection:
            await connection.execute("SELECT 1")
    cluster.begin()
    told.clear()
    await db.write(changes.bump)
    async with db.driver() as connection:
        assert await connection.fetchval("SELECT value FROM setting") == "kept"
    await asyncio.wait_for(told.wait(), 20)
    await listener.stop()
    await db.close()
