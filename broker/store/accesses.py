"""Between an access row and the element of authorization_details it stands for."""

import hashlib
import json
from functools import lru_cache

from broker.core.access import Access as Element
from broker.core.access import Budget, Period, RateLimit
from broker.core.clock import to_seconds
from broker.core.money import MicroUSD
from broker.store.grant_tables import Access


def as_granted(access: Access, client_id: str) -> Element:
    """The granted element: expires_at in seconds, and the key's identifier, which differs from client to client."""
    return Element(
        provider=access.provider,
        models=_listed(access.models),
        actions=_listed(access.actions),
        budget=Budget(MicroUSD(access.budget), _period(access.budget_per)),
        max_requests=access.max_requests,
        rate_limit=RateLimit(access.requests_per_minute, access.tokens_per_minute, access.concurrent),
        max_output_tokens=access.max_output_tokens,
        expires_at=to_seconds(access.ends_at),
        identifier=key_identifier(access.credential_id, client_id),
        locations=None if access.locations is None else _listed(access.locations),
    )


@lru_cache(256)
def _listed(stored: str) -> tuple[str, ...]:
    """The same few lists stand in many accesses."""
    return tuple(json.loads(stored))


@lru_cache(256)
def key_identifier(credential_id: str, client_id: str) -> str:
    """An opaque handle of the key (RFC 9396 `identifier`): the credential's id is 128 random bits, so a digest hides it."""
    return "key_" + hashlib.sha256(f"{credential_id}\x1f{client_id}".encode()).hexdigest()[:24]


def _period(stored: str) -> Period:
    for known in ("grant", "day", "week", "month"):
        if stored == known:
            return known
    raise ValueError(stored)
