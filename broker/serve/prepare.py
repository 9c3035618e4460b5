"""What must be there before the first worker starts: the lock, the present schema, the vault."""

import asyncio
from collections.abc import Mapping

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import Clock
from broker.core.errors import CannotStart
from broker.core.secret import Secret
from broker.identity.setup import setup_code
from broker.ledger.sweep import lapse_all
from broker.oauth.signing import load_or_make_signing_keys as make_signing_key
from broker.ops.folder import FolderInUse, Lock, workers_lock
from broker.providers.registry import Registry
from broker.settings import Settings
from broker.start import bring_up_to_date, open_database
from broker.store import credentials
from broker.vault.master_key import open_vault

ORPHANS_END_WITHIN_SECONDS = 3.0
_LOOK_SECONDS = 0.05


async def prepare(settings: Settings, clock: Clock, environ: Mapping[str, str]) -> Secret | None:
    """To be called under the lock; gives the setup code while there is no admin. Raises CannotStart with one line."""
    await _wait_for_orphans(settings)
    bring_up_to_date(settings)
    registry = Registry(environ)

    async def found(tx: AsyncSession) -> Secret | None:
        vault = await open_vault(tx, settings.key_file)
        await make_signing_key(tx, vault, clock(), settings)
        await credentials.ensure_environment(tx, registry.names_with_environment_key(), clock())
        if not db.is_postgres:
            # There, other machines serve the same books: whose lease is whose, only its end can tell.
            await lapse_all(tx, clock())
        return await setup_code(tx, clock())

    db = open_database(settings)
    try:
        await registry.refresh(db)
        return await db.write(found)
    finally:
        await db.close()


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
