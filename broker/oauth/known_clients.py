"""The one door by which a client is found by what it calls itself, wherever one asks."""

from dataclasses import dataclass

from broker.core.clock import DAY, Clock
from broker.oauth.client_document import is_document
from broker.oauth.client_documents import ClientDocuments
from broker.store import clients
from broker.store.database import Database
from broker.store.tables import Client

UNUSED_FOR = 30 * DAY
FORGOTTEN_AFTER = 365 * DAY


@dataclass(frozen=True, slots=True)
class KnownClients:
    db: Database
    clock: Clock
    documents: ClientDocuments | None
    """None where clients cannot bring themselves along by a document."""

    async def __call__(self, client_id: str, *, asked_from: str) -> Client | None:
        known = await self.db.read(lambda tx: clients.load_any(tx, client_id))
        if known is not None and (known.removed_at is not None or has_expired(known, self.clock())):
            return None
        brings_itself = is_document(client_id) if known is None else known.source == "document"
        if not brings_itself:
            return known
        return None if self.documents is None else await self.documents.find(client_id, known, asked_from)


def has_expired(client: Client, now: int) -> bool:
    """Whether one that registered itself got nothing for a month, or nothing any more for a year."""
    if client.source != "registration":
        return False
    if client.used_at is None:
        return client.created_at <= now - UNUSED_FOR
    return client.used_at <= now - FORGOTTEN_AFTER
