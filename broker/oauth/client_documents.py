"""Reads the documents of clients from where they are published, and keeps what they say for as long as it is fresh."""

import asyncio

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import SYSTEM, record
from broker.core.clock import DAY, Clock
from broker.core.errors import OAuthError
from broker.oauth.client_document import ACCEPT, MOST_BYTES, fresh_for, origin_of, read_document
from broker.oauth.client_metadata import BadMetadata, ClientMetadata
from broker.oauth.paced_fetch import AskedTooOften
from broker.oauth.throttle import Throttle
from broker.ops.log import logger
from broker.providers.fetch import Fetch, NotFetched
from broker.store import clients
from broker.store.database import Database
from broker.store.tables import Client

AN_ADDRESS_A_MINUTE = 10
KEPT_UNUSED = DAY
"""After that an app that nobody gave anything to is forgotten: its document can be read again."""

_log = logger("oauth")


class ClientDocuments:
    """One question at a time for each document, and so many a minute for one address that asks."""

    def __init__(self, db: Database, clock: Clock, fetch: Fetch, most_unused: int) -> None:
        self._db = db
        self._clock = clock
        self._fetch = fetch
        self._most_unused = most_unused
        self._each = Throttle(AN_ADDRESS_A_MINUTE, clock)
        self._reading: dict[str, asyncio.Task[Client | None]] = {}

    async def find(self, client_id: str, known: Client | None, asked_from: str) -> Client | None:
        """None where there is no such document; raises OAuthError where nobody can tell now, Throttled among them."""
        if known is not None and self._is_fresh(known):
            return known
        reading = self._reading.get(client_id)
        if reading is None:
            self._each.admit(asked_from)
            # A task of its own: whoever asked first may be gone before it is answered.
            reading = asyncio.create_task(self._read(client_id))
            self._reading[client_id] = reading
            reading.add_done_callback(lambda done: self._forget(client_id, done))
        return await asyncio.shield(reading)

    def _forget(self, client_id: str, done: asyncio.Task[Client | None]) -> None:
        del self._reading[client_id]
        if not done.cancelled():
            done.exception()  # whoever wanted to know may be gone

    def _is_fresh(self, known: Client) -> bool:
        return known.fresh_until is not None and self._clock() < known.fresh_until

    async def _read(self, client_id: str) -> Client | None:
        # Somebody may have read it between the look-up that found nothing fresh and this moment.
        known = await self._db.read(lambda tx: clients.load_any(tx, client_id))
        if known is not None and self._is_fresh(known):
            return known
        try:
            fetched = await self._fetch(client_id, most=MOST_BYTES, accept=ACCEPT)
            metadata = read_document(client_id, fetched)
        except BadMetadata as error:
            _log.info("client_document_refused", client_id=client_id, detail=error.description)
            return None
        except NotFetched as error:
            _log.info("client_document_not_read", client_id=client_id, detail=str(error))
            if known is not None or isinstance(error, AskedTooOften):
                raise _later(str(error)) from error
            return None
        now = self._clock()
        fresh_until = now + fresh_for(fetched.headers, now)
        return await self._db.write(lambda tx: self._keep(tx, client_id, metadata, now, fresh_until))

    async def _keep(
        self, tx: AsyncSession, client_id: str, metadata: ClientMetadata, now: int, fresh_until: int
    ) -> Client | None:
        client = await clients.load_any(tx, client_id)
        if client is None:
            # The oldest can go at once: it has no trace, so that reading it again is all that anybody loses.
            await clients.make_room(tx, "document", old=now - KEPT_UNUSED, ripe=now, most=self._most_unused)
            client = Client(id=client_id, source="document", address=origin_of(client_id), verified=0, created_at=now)
        if client.removed_at is not None:
            return None
        before = _what_counts(client)
        metadata.write_to(client)
        client.fresh_until = fresh_until
        await clients.add(tx, client)
        if client.used_at is not None and before != _what_counts(client):
            await record(tx, now, "client.changed", SYSTEM, client_id)
        return client


def _what_counts(client: Client) -> tuple[str, ...]:
    """Where its answers go, and how it shows that it is the client."""
    return client.redirect_uris, client.auth_method, client.jwks, client.jwks_uri


def _later(detail: str) -> OAuthError:
    return OAuthError(
        "temporarily_unavailable", "This client cannot be checked now. Try again.", status=503, detail=detail
    )
