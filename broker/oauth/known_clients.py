"""The one door by which a client is found by what it calls itself, wherever one asks."""

from dataclasses import dataclass
from typing import Protocol

from broker.core.clock import Clock
from broker.store import clients
from broker.store.database import Database
from broker.store.tables import Client


class FindClient(Protocol):
    async def __call__(self, client_id: str, *, asked_from: str) -> Client | None:
        """None for one that is unknown, or was removed. May ask the network; to be called outside of a transaction.

        `asked_from` is the network address that asks. Raises OAuthError where nobody can tell now.
        """


@dataclass(frozen=True, slots=True)
class KnownClients:
    db: Database
    clock: Clock

    async def __call__(self, client_id: str, *, asked_from: str) -> Client | None:
        return await self.db.read(lambda tx: clients.load(tx, client_id))
