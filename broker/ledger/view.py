"""A grant with its usage and what is left, as its client and its operator read it."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Access as Element
from broker.core.clock import to_seconds
from broker.core.grant import GrantState, state_at
from broker.ledger.limits import Figures, figures
from broker.ledger.overall_used import above, bounded
from broker.store import grants
from broker.store.accesses import as_granted
from broker.store.grant_tables import Access, Grant

Wire = dict[str, object]


async def grant_object(tx: AsyncSession, grant: Grant, now: int) -> Wire:
    """The JSON object that `broker grant show`, /proxy/status and /oauth/grants/{grant_id} share.

    Money in micro-dollars, instants in seconds; no limit is null, never absent; `used` includes running calls.
    `remaining` is no more than a call can get of all that it is charged to, the limits above the grant too.
    """
    accesses = await grants.load_accesses(tx, grant.id)
    limits = await above(tx, grant.id, now)
    left = {each.id: bounded(await figures(tx, each, now), limits.get(each.id, ())) for each in accesses}
    return {
        "grant_id": grant.id,
        "state": grant_state(grant, accesses, now).value,
        "client_id": grant.client_id,
        "created_at": to_seconds(grant.created_at),
        "access": [as_left(as_granted(access, ""), left[access.id]) for access in accesses],
        "authorization_details": [as_granted(access, grant.client_id).to_wire() for access in accesses],
    }


def grant_state(grant: Grant, accesses: list[Access], now: int) -> GrantState:
    """A grant whose last access has ended is expired, swept or not."""
    return state_at(grant.state, max((access.ends_at for access in accesses), default=0), now)


def as_left(granted: Element, now_at: Figures) -> Wire:
    """One access of the object: its limits, and what was used of each."""
    money, requests, rates = now_at.money, now_at.requests, granted.rate_limit
    return {
        "provider": granted.provider,
        "models": list(granted.models),
        "actions": list(granted.actions),
        "expires_at": granted.expires_at,
        "budget": {
            "limit": money.limit,
            "settled": money.settled,
            "held": money.held,
            "remaining": money.remaining,
            "overrun": money.overrun,
            "currency": "USD",
            "unit": "micro",
            "per": "grant" if granted.budget is None else granted.budget.per,
            "resets_at": None if now_at.resets_at is None else to_seconds(now_at.resets_at),
        },
        "requests": {"limit": requests.limit, "used": requests.used},
        "rate_limit": {
            "requests_per_minute": rates.requests_per_minute,
            "tokens_per_minute": rates.tokens_per_minute,
            "concurrent": rates.concurrent,
        },
        "max_output_tokens": granted.max_output_tokens,
    }
