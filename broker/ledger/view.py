"""A grant with its usage and what is left, as its client and its operator read it."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import to_seconds
from broker.core.grant import GrantState, state_at
from broker.ledger.limits import Figures, figures
from broker.store import grants
from broker.store.accesses import as_granted
from broker.store.grant_tables import Access, Grant

Wire = dict[str, object]


async def grant_object(tx: AsyncSession, grant: Grant, now: int) -> Wire:
    """The JSON object that `broker grant show`, /proxy/status and /oauth/grants/{grant_id} share.

    Money in micro-dollars, instants in seconds; no limit is null, never absent; `used` includes running calls.
    """
    accesses = await grants.load_accesses(tx, grant.id)
    return {
        "grant_id": grant.id,
        "state": grant_state(grant, accesses, now).value,
        "client_id": grant.client_id,
        "created_at": to_seconds(grant.created_at),
        "access": [_access(access, await figures(tx, access, now)) for access in accesses],
        "authorization_details": [as_granted(access, grant.client_id).to_wire() for access in accesses],
    }


def grant_state(grant: Grant, accesses: list[Access], now: int) -> GrantState:
    """A grant whose last access has ended is expired, swept or not."""
    return state_at(grant.state, max((access.ends_at for access in accesses), default=0), now)


def _access(access: Access, now_at: Figures) -> Wire:
    granted = as_granted(access, "")
    money, requests = now_at.money, now_at.requests
    return {
        "provider": access.provider,
        "models": list(granted.models),
        "actions": list(granted.actions),
        "expires_at": to_seconds(access.ends_at),
        "budget": {
            "limit": money.limit,
            "settled": money.settled,
            "held": money.held,
            "remaining": money.remaining,
            "overrun": money.overrun,
            "currency": "USD",
            "unit": "micro",
            "per": access.budget_per,
            "resets_at": None if now_at.resets_at is None else to_seconds(now_at.resets_at),
        },
        "requests": {"limit": requests.limit, "used": requests.used},
        "rate_limit": {
            "requests_per_minute": access.requests_per_minute,
            "tokens_per_minute": access.tokens_per_minute,
            "concurrent": access.concurrent,
        },
        "max_output_tokens": access.max_output_tokens,
    }
