"""broker migrate --to: from SQLite to PostgreSQL, with the server stopped."""

import asyncio

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit import verify as audit
from broker.cli.command import require_database, say, wrong
from broker.core.secret import Secret
from broker.ledger.verify import prove
from broker.ops.folder import Lock, workers_lock
from broker.settings import Settings, is_address_of_postgresql
from broker.start import bring_up_to_date, lock_folder, look_over


def move_to(chosen: Settings, url: str) -> None:
    """Raises Wrong, CannotStart or NotMoved; the SQLite file stays as it is."""
    if not is_address_of_postgresql(url):
        wrong("--to takes postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE.")
    if chosen.is_on_postgresql:
        wrong("BROKER_DATABASE_URL is set: the database there is not the one to copy. Leave it empty for this command.")
    look_over(chosen.model_copy(update={"database_url": Secret(url)}))
    require_database(chosen)
    locks = [lock_folder(chosen)]
    try:
        locks.append(Lock.take(workers_lock(chosen.data_dir)))
        bring_up_to_date(chosen)
        _say_moved(chosen, url)
    finally:
        for lock in locks:
            lock.release()


def _say_moved(chosen: Settings, url: str) -> None:
    from broker.store.moving import move

    verdicts: list[str] = []

    async def fault(tx: AsyncSession) -> str:
        books, trail = await prove(tx), await audit.prove(tx)
        verdicts.extend((str(books), f"audit {trail}"))
        return books.fault or trail.fault

    for table, rows in asyncio.run(move(chosen.database_file, url, fault)).items():
        say(f"{table}  {rows}")
    for verdict in verdicts:
        say(verdict)
    say("Set BROKER_DATABASE_URL to this address, here and wherever else a broker is to serve it, and start.")
