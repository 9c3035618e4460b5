"""The counters a call is charged to, and what they say to a call that does not fit."""

from dataclasses import dataclass

from broker.core.errors import CallRefused
from broker.core.money import MAX_MONEY
from broker.ledger.judge import LEAST_OUTPUT, Demand, Plan
from broker.ledger.keys import CounterKey, money_key, requests_key, token_scope
from broker.ledger.standing import Allowance, Standing
from broker.ledger.tally import Tally


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


def counters_of(standing: Standing, allowance: Allowance, now: int) -> dict[CounterKey, int]:
    """The counters of an allowance, and the limit that each would be opened with."""
    limits = {
        money_key(allowance.access_id, allowance.budget_per, now): allowance.budget,
        requests_key(allowance.access_id): allowance.max_requests,
    }
    if allowance.cap is not None:
        scope = token_scope(standing.jti, allowance.access_id)
        if allowance.cap.budget is not None:
            key = money_key(scope, allowance.cap.budget_per, now)._replace(scope_kind="token")
            limits[key] = allowance.cap.budget
        limits[requests_key(scope)._replace(scope_kind="token")] = allowance.cap.max_requests
    return limits


def tightest(charges: list[Charge]) -> Charge:
    return min((charge for charge in charges if charge.key.is_money()), key=lambda charge: charge.tally.left)


def exhausted(charge: Charge, charges: list[Charge], planned: Plan, demand: Demand) -> CallRefused:
    """The refusal of a call that did not fit into `charge`; its figures are those of the tightest money counter."""
    money = [other for other in charges if other.key.is_money()]
    required: int = planned.hold
    if demand.own_output is None and demand.covers_reasoning:
        least = demand.price.worst_case(demand.input_bound, LEAST_OUTPUT * demand.choices)
        required = min(required, least)
    least_left = tightest(charges).tally
    extra: dict[str, int | str] = {
        "required": required,
        "remaining": max(0, least_left.left),
        "held": least_left.held,
    }
    if not charge.key.is_money():
        # A call that runs stays counted, so waiting for it would be in vain.
        return CallRefused("requests_exhausted", "All requests of this access are used up.", extra=extra)
    retry = 1 if all(required <= other.tally.at_rest for other in money) else None
    words = "The spending limit of this access does not cover the most that this request could cost."
    return CallRefused("budget_exhausted", words, retry_after=retry, extra=extra)
