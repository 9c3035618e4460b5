"""The counters a call is charged to, and what they say to a call that does not fit."""

from dataclasses import dataclass

from broker.core.errors import CallRefused
from broker.core.money import MAX_MONEY
from broker.ledger.judge import LEAST_OUTPUT, Demand, Plan
from broker.ledger.keys import CounterKey, money_key, requests_key, token_scope
from broker.ledger.standing import Allowance
from broker.ledger.tally import PROVIDER, Tally


@dataclass(frozen=True, slots=True)
class Charge:
    """One counter a call would be charged to, as it stands before it."""

    key: CounterKey
    tally: Tally

    def amount(self, hold: int) -> int:
        return hold if self.key.is_money() else 1

    def fits(self, hold: int) -> bool:
        """What is more than any limit may be more than 64 bits, too."""
        amount = self.amount(hold)
        return amount <= MAX_MONEY and amount <= self.tally.left


def counters_of(allowance: Allowance, now: int) -> dict[CounterKey, int]:
    """The counters of an allowance, and the limit that each would be opened with."""
    limits = {
        money_key(allowance.access_id, allowance.budget_per, now): allowance.budget,
        requests_key(allowance.access_id): allowance.max_requests,
    }
    for cap in allowance.caps:
        scope = token_scope(cap.jti, allowance.access_id)
        if cap.budget is not None:
            limits[money_key(scope, cap.budget_per, now)._replace(scope_kind="token")] = cap.budget
        limits[requests_key(scope)._replace(scope_kind="token")] = cap.max_requests
    for overall in allowance.overall:
        limits |= overall.limits(now)
    return limits


def tightest(charges: list[Charge]) -> Charge:
    return min((charge for charge in charges if charge.key.is_money()), key=lambda charge: charge.tally.left)


def figures_of(charges: list[Charge]) -> tuple[int, int]:
    """What is left of money, and what is held of it, as an app may know it."""
    # What others hold at a provider is not this app's to know.
    theirs = [charge for charge in charges if charge.key.scope_kind != PROVIDER]
    return max(0, tightest(charges).tally.left), tightest(theirs).tally.held


def exhausted(full: Charge, charges: list[Charge], planned: Plan, demand: Demand) -> CallRefused:
    """The refusal of a call that did not fit into `full`; its figures are those of the tightest money counter."""
    money = [other for other in charges if other.key.is_money()]
    required: int = planned.hold
    if demand.own_output is None and demand.covers_reasoning:
        least = demand.price.worst_case(demand.input_bound, LEAST_OUTPUT * demand.choices)
        required = min(required, least)
    least_left = tightest(money)
    remaining, held = figures_of(charges)
    extra: dict[str, int | str] = {"required": required, "remaining": remaining, "held": held}
    if not full.key.is_money():
        # A call that runs stays counted, so waiting for it would be in vain.
        whose = _whose(full.key, planned.allowance)
        return CallRefused("requests_exhausted", _NO_REQUESTS[whose], extra=extra | _limit(whose))
    retry = 1 if all(required <= other.tally.at_rest for other in money) else None
    whose = _whose(least_left.key, planned.allowance)
    return CallRefused("budget_exhausted", _NO_MONEY[whose], retry_after=retry, extra=extra | _limit(whose))


def _whose(key: CounterKey, allowance: Allowance) -> str:
    if key.scope_kind == "credential":
        return "key" if any(each.is_owners for each in allowance.overall) else "lent_key"
    return _WHOSE.get(key.scope_kind, "")


def _limit(whose: str) -> dict[str, int | str]:
    """Which limit above the access it was; of the access's own nothing is said."""
    return {"limit": whose} if whose else {}


_WHOSE = {"tier": "allocation", "provider": "provider"}

_NO_MONEY = {
    "": "The spending limit of this access does not cover the most that this request could cost.",
    "key": "The spending limit that the owner of this key has set for all apps does not cover the most that this request could cost.",
    "lent_key": "What the user of this access may spend on this key does not cover the most that this request could cost.",
    "allocation": "What is left of the monthly allocation of this user does not cover the most that this request could cost.",
    "provider": "The spending limit of this server for this provider does not cover the most that this request could cost.",
}

_NO_REQUESTS = {
    "": "All requests of this access are used up.",
    "key": "All requests that the owner of this key has set for all apps are used up.",
    "lent_key": "All requests that the user of this access may make on this key are used up.",
    "allocation": "All requests of the monthly allocation of this user are used up.",
    "provider": "All requests that this server allows to this provider are used up.",
}
