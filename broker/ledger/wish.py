"""An admission that is looked at closely: what it may be charged to, and in which order that is tried."""

from collections.abc import Iterable
from dataclasses import dataclass

from broker.core.errors import CallRefused
from broker.core.money import MicroUSD
from broker.ledger.ask import Ask
from broker.ledger.charges import Charge, exhausted, tightest
from broker.ledger.judge import Demand, Plan, plan
from broker.ledger.keys import CounterKey
from broker.ledger.standing import Allowance, Standing


@dataclass(frozen=True, slots=True)
class Wish:
    place: int
    """Among the operations of its transaction."""
    ask: Ask
    standing: Standing
    found: list[tuple[Allowance, dict[CounterKey, int]]]


def tries(
    found: list[tuple[Allowance, list[Charge]]], demand: Demand
) -> Iterable[tuple[Allowance, list[Charge], Plan | CallRefused]]:
    """First the accesses in order, the call as it is; then the one with the most left, with the call cut to its money."""
    for allowance, charges in found:
        yield allowance, charges, plan(allowance, demand, None)
    richest, charges = max(found, key=lambda pair: tightest(pair[1]).tally.left)
    yield richest, charges, plan(richest, demand, MicroUSD(tightest(charges).tally.left))


def over(charges: list[Charge], planned: Plan, demand: Demand) -> CallRefused | None:
    """The refusal by the first counter that the hold does not fit into."""
    full = next((charge for charge in charges if not charge.fits(planned.hold)), None)
    return None if full is None else exhausted(full, charges, planned, demand)
