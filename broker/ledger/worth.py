"""What one token is worth right now, as its client may read it: the accesses it can use, and what is left of each."""

import json
from dataclasses import dataclass, replace

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core import period
from broker.core.access import Access as Element
from broker.core.access import Budget, RateLimit, lesser
from broker.core.details import parse_details
from broker.core.grant import GrantState
from broker.core.strict_json import JSONValue
from broker.ledger.keys import money_key, requests_key, token_scope
from broker.ledger.limits import Figure, Figures, figure, figures
from broker.ledger.overall_used import Used, above_allowance, bounded
from broker.ledger.standing import intersection, read_standings
from broker.ledger.view import Wire, as_left
from broker.store import grants, tokens
from broker.store.accesses import as_granted
from broker.store.grant_tables import Access, AccessToken
from broker.store.ledger_tables import NO_LIMIT
from broker.store.steps import run_steps


@dataclass(frozen=True, slots=True)
class Worth:
    """`state` is that of the grant: paused or frozen, its calls are refused although the token stands."""

    state: GrantState
    details: tuple[Element, ...]
    usage: tuple[Wire, ...]


async def worth_of(tx: AsyncSession, token: AccessToken, now: int) -> Worth | None:
    """None for a token that the proxy would not take; judged by the very statement that its calls are judged by."""
    found = await run_steps(await tx.connection(), read_standings([token.jti]))
    standing = found[token.jti].at(now) if token.jti in found else None
    if standing is None:
        return None
    caps = await _caps(tx, token)
    usable = {allowance.access_id: allowance for allowance in standing.allowances}
    rows = [row for row in await grants.load_accesses(tx, token.grant_id) if row.id in usable]
    above = {row.id: await above_allowance(tx, usable[row.id], now) for row in rows}
    every = [
        await _part(tx, token.client_id, row, [(jti, named[row.id]) for jti, named in caps], above[row.id], now)
        for row in rows
    ]
    parts = [(element, left) for element, left in every if element.models and element.actions]
    return Worth(standing.state, tuple(element for element, _ in parts), tuple(left for _, left in parts))


def meet(granted: Element, cap: Element) -> Element:
    """What both allow. Of budgets that renew at different times, the cap's: the grant's own is counted all the same."""
    rates, own = granted.rate_limit, cap.rate_limit
    return replace(
        granted,
        models=intersection(granted.models, cap.models),
        actions=tuple(action for action in granted.actions if action in cap.actions),
        budget=_budget(granted.budget, cap.budget),
        max_requests=lesser(granted.max_requests, cap.max_requests),
        rate_limit=RateLimit(
            lesser(rates.requests_per_minute, own.requests_per_minute),
            lesser(rates.tokens_per_minute, own.tokens_per_minute),
            lesser(rates.concurrent, own.concurrent),
        ),
        max_output_tokens=lesser(granted.max_output_tokens, cap.max_output_tokens),
        expires_at=lesser(granted.expires_at, cap.expires_at),
    )


async def _caps(tx: AsyncSession, token: AccessToken) -> list[tuple[str, dict[str, JSONValue]]]:
    """Of each token that has any, from the first of its parents down to itself."""
    line = await tokens.line_of(tx, token)
    return [(each.jti, json.loads(each.caps)) for each in reversed(line) if each.caps is not None]


async def _part(
    tx: AsyncSession, client_id: str, row: Access, caps: list[tuple[str, JSONValue]], above: list[list[Used]], now: int
) -> tuple[Element, Wire]:
    element, left = as_granted(row, client_id), bounded(await figures(tx, row, now), above)
    for jti, cap in caps:
        (own,) = parse_details([cap], "token")
        element = meet(element, own)
        left = await _own_figures(tx, jti, row.id, own, left, now)
    return element, as_left(element, left)


async def _own_figures(tx: AsyncSession, jti: str, access_id: str, cap: Element, outer: Figures, now: int) -> Figures:
    """What the token itself used; what is left of it is no more than what is left of its parent, and of the access."""
    scope = token_scope(jti, access_id)
    money, resets_at = outer.money, outer.resets_at
    if cap.budget is not None:
        key = money_key(scope, cap.budget.per, now)._replace(scope_kind="token")
        money, resets_at = await figure(tx, key, cap.budget.amount), period.end(cap.budget.per, now)
    limit = NO_LIMIT if cap.max_requests is None else cap.max_requests
    requests = await figure(tx, requests_key(scope)._replace(scope_kind="token"), limit)
    return Figures(_bounded(money, outer.money), _bounded(requests, outer.requests), resets_at, 0)


def _bounded(own: Figure, outer: Figure) -> Figure:
    return replace(own, limit=lesser(own.limit, outer.limit), remaining=lesser(own.remaining, outer.remaining))


def _budget(granted: Budget | None, cap: Budget | None) -> Budget | None:
    if granted is None or cap is None or granted.per != cap.per:
        return granted if cap is None else cap
    return granted if granted.amount <= cap.amount else cap
