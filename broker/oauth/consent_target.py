"""Which grant an approval goes on with, and what becomes of the rest of it: the one place where both are decided."""

from dataclasses import dataclass, replace

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Access as Element
from broker.core.access import Budget, RateLimit, pattern_within
from broker.core.errors import BrokerError
from broker.core.money import MicroUSD
from broker.oauth.consent_terms import Present
from broker.oauth.grant_action import named_grant
from broker.store import grants
from broker.store.grant_tables import Grant, GrantRequest
from broker.store.tables import User


class NotTheirGrant(BrokerError):
    """The request wants a grant changed that is not this person's, or has ended since: they cannot answer it."""


@dataclass(frozen=True, slots=True)
class Target:
    """`grant` is None where an approval makes another one; `beside` is one that then stays as it is."""

    grant: Grant | None
    adds: bool = False
    """What is asked for comes on top: an access that goes on loses nothing by it, but for what the operator caps."""
    replaces: bool = False
    """Live accesses that were not asked for end."""
    beside: Grant | None = None


async def find_target(tx: AsyncSession, request: GrantRequest, user: User, now: int) -> Target:
    """Raises NotTheirGrant."""
    match request.action:
        case "merge" | "replace":
            grant = await named_grant(tx, request, now)
            if grant is None or grant.user_id != user.id:
                raise NotTheirGrant
            return Target(grant, adds=request.action == "merge", replaces=request.action == "replace")
        case "create":
            return Target(None, beside=await grants.newest_live(tx, user.id, request.client_id, now))
        case _:
            return Target(await grants.newest_live(tx, user.id, request.client_id, now))


def added_to(asked: Element, present: Present) -> Element:
    """What an app that asks for more on top of what it has asks for from now on: each member the wider of the two."""
    has = present.element
    rates, now = asked.rate_limit, has.rate_limit
    return replace(
        asked,
        models=asked.models + tuple(m for m in has.models if not any(pattern_within(m, one) for one in asked.models)),
        actions=tuple(dict.fromkeys(asked.actions + has.actions)),
        budget=_budget(asked.budget, has.budget, present.spent),
        max_requests=_wider(asked.max_requests, has.max_requests, present.requests_used),
        rate_limit=RateLimit(
            _wider(rates.requests_per_minute, now.requests_per_minute),
            _wider(rates.tokens_per_minute, now.tokens_per_minute),
            _wider(rates.concurrent, now.concurrent),
        ),
        max_output_tokens=_wider(asked.max_output_tokens, has.max_output_tokens),
        expires_in=_wider(asked.expires_in, present.lasts),
    )


def _budget(asked: Budget | None, has: Budget | None, spent: int) -> Budget | None:
    if asked is None or has is None or asked.per != has.per:
        return asked
    return replace(asked, amount=MicroUSD(max(asked.amount, has.amount - spent)))


def _wider(asked: int | None, has: int | None, used: int = 0) -> int | None:
    return None if asked is None or has is None else max(asked, has - used)
