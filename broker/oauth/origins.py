"""The web pages of a client: from which origins a browser may read what is answered to it."""

import json
import re
from collections import OrderedDict
from urllib.parse import urlsplit

from broker.core.clock import MINUTE, SECOND, Clock
from broker.core.errors import Unavailable
from broker.store import clients
from broker.store.database import Database
from broker.store.tables import Client

MOST_KEPT = 1_000
KNOWN_FOR = MINUTE
UNKNOWN_FOR = 2 * SECOND
"""A page whose client registers now need not wait for longer."""
LOOK_UPS_A_SECOND = 50
"""Of origins that nobody knows; beyond that, no origin is allowed that is not known already."""

_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?", re.ASCII)
"""As browsers write one (RFC 6454 §6.1); `null` is none."""
_MOST_CHARACTERS = 270
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def origins_of(client: Client) -> frozenset[str]:
    """Of its https redirect addresses, and those that were registered for it."""
    addresses = [uri for uri in json.loads(client.redirect_uris) if uri.startswith("https://")]
    return frozenset(_origin(text) for text in [*addresses, *json.loads(client.origins)])


class Origins:
    """Answers from memory; a page that was looked for a moment ago is not looked for again."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._known: OrderedDict[str, tuple[frozenset[str], int]] = OrderedDict()
        self._second = 0
        self._looked = 0

    async def forget(self) -> None:
        """To be called when clients may have changed."""
        self._known.clear()

    async def clients_at(self, origin: str) -> frozenset[str]:
        """The ids of the clients whose page this is; none for what is no origin, or while the store does not answer."""
        if len(origin) > _MOST_CHARACTERS or not _ORIGIN.fullmatch(origin):
            return frozenset()
        now = self._clock()
        known = self._known.get(origin)
        if known is not None and known[1] > now:
            self._known.move_to_end(origin)
            return known[0]
        if not self._may_look_up(now):
            return frozenset()
        return await self._look_up(origin, now)

    def _may_look_up(self, now: int) -> bool:
        if now // SECOND != self._second:
            self._second, self._looked = now // SECOND, 0
        self._looked += 1
        return self._looked <= LOOK_UPS_A_SECOND

    async def _look_up(self, origin: str, now: int) -> frozenset[str]:
        try:
            rows = await self._db.read(lambda tx: clients.with_text(tx, origin))
        except Unavailable:
            return frozenset()
        found = frozenset(row.id for row in rows if origin in origins_of(row))
        self._known[origin] = (found, now + (KNOWN_FOR if found else UNKNOWN_FOR))
        if len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return found


def _origin(address: str) -> str:
    parts = urlsplit(address)
    origin = f"{parts.scheme}://{parts.netloc}".lower()
    return origin.removesuffix(_DEFAULT_PORTS.get(parts.scheme, "")) if parts.port in (80, 443) else origin
