"""The tokens that were made out of others, as a person sees them: who has one, through whom, and what each has spent."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.money import MicroUSD, parse_decimal
from broker.ledger.keys import token_scope
from broker.ledger.standing import read_standings
from broker.store import tokens
from broker.store.grant_tables import AccessToken
from broker.store.ledger_tables import Counter
from broker.store.steps import run_steps


@dataclass(frozen=True, slots=True)
class Agent:
    jti: str
    name: str
    """What its app calls it; nobody has checked that."""
    depth: int
    """0 where the app itself gave it."""
    given_by: str
    """The name of the agent that gave it; empty where the app did."""
    models: tuple[str, ...]
    spent: MicroUSD
    """By itself and by all that it gave tokens to, overrun included."""
    held: MicroUSD
    limit: MicroUSD | None
    created_at: int
    ends_at: int


async def agents_of(tx: AsyncSession, grant_id: str, now: int) -> list[Agent]:
    """Those that live, each after the one it was made by, and before the next of the same."""
    rows = await tokens.descended(tx, grant_id, now)
    found = await run_steps(await tx.connection(), read_standings([row.jti for row in rows])) if rows else {}
    live = {row.jti: row for row in rows if row.jti in found and found[row.jti].at(now) is not None}
    used = await _used(tx, list(live.values()))
    children: dict[str, list[AccessToken]] = {}
    for row in live.values():
        children.setdefault(row.parent_jti or "", []).append(row)
    tops = [row for row in live.values() if row.parent_jti not in live]
    return list(_tree(tops, children, used, 0, ""))


def _tree(
    rows: list[AccessToken],
    children: dict[str, list[AccessToken]],
    used: dict[str, tuple[int, int]],
    depth: int,
    by: str,
) -> Iterator[Agent]:
    for row in rows:
        elements = _elements(row)
        budgets = [each["budget"]["amount"] for each in elements.values() if each.get("budget")]
        models = dict.fromkeys(model for each in elements.values() for model in each["models"])
        spent, held = used.get(row.jti, (0, 0))
        limits = [parse_decimal(each) or MicroUSD(0) for each in budgets]
        limit = MicroUSD(sum(limits)) if len(limits) == len(elements) else None
        yield Agent(
            row.jti, row.name, depth, by, tuple(models), MicroUSD(spent), MicroUSD(held), limit, row.created_at, row.ends_at,
        )  # fmt: skip
        yield from _tree(children.get(row.jti, []), children, used, depth + 1, row.name or "an agent")


def _elements(row: AccessToken) -> dict[str, dict[str, Any]]:
    return dict(json.loads(row.caps or "{}"))


async def _used(tx: AsyncSession, rows: list[AccessToken]) -> dict[str, tuple[int, int]]:
    """By token: what its counters of money have settled in all periods, and what they hold."""
    scopes = {token_scope(row.jti, access_id): row.jti for row in rows for access_id in _elements(row)}
    if not scopes:
        return {}
    query = select(Counter).where(Counter.scope_kind == "token", col(Counter.scope_id).in_(scopes))
    sums: dict[str, tuple[int, int]] = {}
    for counter in (await tx.exec(query.where(Counter.measure == "money"))).all():
        jti = scopes[counter.scope_id]
        spent, held = sums.get(jti, (0, 0))
        sums[jti] = spent + counter.settled + counter.overrun, held + counter.held
    return sums
