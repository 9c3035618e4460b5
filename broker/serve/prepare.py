"""What must be there before the first worker starts: the lock, the present schema, the vault."""

import asyncio

from broker.core.clock import Clock
from broker.core.errors import CannotStart
from broker.core.secret import Secret
from broker.ops.folder import FolderInUse, Lock, workers_lock
from broker.settings import Settings
from broker.start import bring_up_to_date, open_database
from broker.vault.master_key import open_vault

ORPHANS_END_WITHIN_SECONDS = 3.0
_LOOK_SECONDS = 0.05


async def prepare(settings: Settings, clock: Clock) -> Secret | None:
    """To be called under the lock; gives the setup code while there is no user. Raises CannotStart with one clear line."""
    await _wait_for_orphans(settings)
    bring_up_to_date(settings)
    db = open_database(settings)
    try:
        await db.write(lambda tx: open_vault(tx, settings.key_file))
    finally:
        await db.close()
    return None


async def _wait_for_orphans(settings: Settings) -> None:
    """Workers whose parent was killed end within a second; until then they may still write."""
    for _ in range(int(ORPHANS_END_WITHIN_SECONDS / _LOOK_SECONDS)):
        try:
            Lock.take(workers_lock(settings.data_dir)).release()
        except FolderInUse:
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            return
    raise CannotStart(f"Workers of an earlier broker are still running in {settings.data_dir}.")
