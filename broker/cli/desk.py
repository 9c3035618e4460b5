"""A command at work on the database, whether or not a server runs beside it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.cli.command import settings, wrong
from broker.core.errors import CannotStart
from broker.ops.folder import FolderInUse
from broker.providers.reach import Reach
from broker.providers.registry import Provider, Registry
from broker.settings import Settings, environment
from broker.start import OLDER, bring_up_to_date, is_current, lock_folder, look_over, open_database, system_clock
from broker.store import changes, schema, users
from broker.store.database import Database
from broker.store.tables import User
from broker.vault.master_key import open_vault
from broker.vault.vault import Vault

T = TypeVar("T")

ANOTHER_COMMAND_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command reaches for. Transactions are short: a server may be waiting for its turn."""

    settings: Settings
    db: Database
    registry: Registry

    def now(self) -> int:
        return system_clock()

    async def heeded(self) -> None:
        """Returns when every worker of servers that run has had the time to read what was just changed.

        For what workers keep in mind between calls: prices, providers, signing keys. A reservation judges what may be
        taken from a grant, but is made after its call was priced; so the command waits, which costs no call anything.
        Where it is ended while it waits, the change stands.
        """
        if await schema.is_served(self.db, self.now()):
            await asyncio.sleep(changes.HEEDED_SECONDS)

    async def vault(self) -> Vault:
        return await self.db.write(lambda tx: open_vault(tx, self.settings.key_file))

    def provider(self, name: str) -> Provider:
        found = self.registry.get(name)
        if found is None:
            wrong(f"No provider is called {name!r}. Known: {', '.join(self.registry.names())}.")
        return found

    async def user(self, email: str) -> User:
        async def load(tx: AsyncSession) -> User | None:
            return await users.by_email(tx, email.strip().lower())

        found = await self.db.read(load)
        if found is None:
            wrong(f"No user has the email {email!r}.")
        return found


def at_desk(work: Callable[[Desk], Awaitable[T]]) -> T:
    chosen = settings()
    _make_ready(chosen)
    return asyncio.run(_sit_down(chosen, work))


async def _sit_down(chosen: Settings, work: Callable[[Desk], Awaitable[T]]) -> T:
    db = open_database(chosen)
    registry = Registry(environment(), reach=Reach.of(chosen))
    try:
        await registry.refresh(db)
        return await work(Desk(chosen, db, registry))
    finally:
        await db.close()


def _make_ready(chosen: Settings) -> None:
    """Migrates only under the lock of the data directory: a running server must not find a schema it does not know."""
    look_over(chosen)
    until = time.monotonic() + ANOTHER_COMMAND_SECONDS
    while not is_current(chosen):
        try:
            lock = lock_folder(chosen)
        except FolderInUse:
            # Perhaps another command, or a server at its start, which is migrating right now.
            if time.monotonic() > until:
                raise CannotStart(OLDER) from None
            time.sleep(0.05)
            continue
        try:
            bring_up_to_date(chosen, beside_others=False)
        finally:
            lock.release()
