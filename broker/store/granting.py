"""Writing down what was decided: a grant, and its accesses as they are added, changed and ended."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import Access as Element
from broker.core.clock import from_seconds
from broker.core.handle import new_id
from broker.store import spare_keys
from broker.store.grant_tables import Access, Grant


@dataclass(frozen=True, slots=True)
class Given:
    """One access as decided: the element, with its budget and expires_at, and the credential that is lent for it.

    `spares` are those after the first; None leaves them as they are, unless another first one is chosen.
    """

    credential_id: str
    element: Element
    spares: tuple[str, ...] | None = None


async def create_grant(
    tx: AsyncSession, user_id: str, client_id: str, origin: str, accesses: Sequence[Given], now: int
) -> Grant:
    """The rows of a new grant; their counters are opened with `ledger.limits.open_access` in the same transaction."""
    grant = Grant(id=new_id("grt"), user_id=user_id, client_id=client_id, origin=origin, created_at=now, changed_at=now)
    tx.add(grant)
    await tx.flush()
    for given in accesses:
        await add_access(tx, grant.id, given, now)
    return grant


async def add_access(tx: AsyncSession, grant_id: str, given: Given, now: int) -> Access:
    """Stands after all others of its grant, ended ones among them."""
    last = (await tx.exec(select(func.max(Access.position)).where(Access.grant_id == grant_id))).one()
    own: dict[str, Any] = {
        "id": new_id("acc"),
        "grant_id": grant_id,
        "position": 0 if last is None else last + 1,
        "provider": given.element.provider,
        "purpose": given.element.purpose or "",
        "created_at": now,
    }
    row = Access(**own | _columns(given))
    tx.add(row)
    await tx.flush()
    if given.spares:
        await spare_keys.lend(tx, row, [given.credential_id, *given.spares])
    return row


async def change_access(tx: AsyncSession, row: Access, given: Given) -> None:
    """The same access under other terms; `ledger.limits.change_limits` makes its counters follow."""
    is_another = given.credential_id != row.credential_id
    if given.spares or (row.strategy and (is_another or given.spares is not None)):
        # Where another one was chosen and nothing was said of others, there are none beside it.
        await spare_keys.lend(tx, row, [given.credential_id, *(given.spares or ())], row.strategy or "priority")
    for name, value in _columns(given).items():
        setattr(row, name, value)
    if given.element.purpose:
        row.purpose = given.element.purpose
    tx.add(row)
    await tx.flush()


async def end_access(tx: AsyncSession, row: Access, now: int) -> None:
    row.ended_at = now
    tx.add(row)
    await tx.flush()


async def touch(tx: AsyncSession, grant: Grant, now: int) -> None:
    """Notes that the grant was decided upon again."""
    grant.changed_at = now
    tx.add(grant)
    await tx.flush()


def _columns(given: Given) -> dict[str, Any]:
    element = given.element
    if element.budget is None or element.expires_at is None:
        raise ValueError("what is granted always has a budget and an end")
    return {
        "credential_id": given.credential_id,
        "models": json.dumps(element.models),
        "actions": json.dumps(element.actions),
        "budget": element.budget.amount,
        "budget_per": element.budget.per,
        "max_requests": element.max_requests,
        "requests_per_minute": element.rate_limit.requests_per_minute,
        "tokens_per_minute": element.rate_limit.tokens_per_minute,
        "concurrent": element.rate_limit.concurrent,
        "max_output_tokens": element.max_output_tokens,
        "ends_at": from_seconds(element.expires_at),
        "locations": None if element.locations is None else json.dumps(element.locations),
    }
