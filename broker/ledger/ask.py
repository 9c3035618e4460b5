"""What a call asks of the books before it is forwarded, and what it is given."""

from typing import Any, NamedTuple

from broker.core.credential import SealedKey
from broker.core.money import MicroUSD
from broker.core.usage import Price
from broker.ledger.charges import Charge, tightest
from broker.ledger.judge import Demand, Plan
from broker.ledger.keys import CounterKey, dump_keys
from broker.ledger.rates import RateLeft
from broker.ledger.settle import Held, stored_price
from broker.ledger.standing import Standing


class Ask(NamedTuple):
    """A call that wants to be admitted, under an id that was drawn for it and the lease of its worker."""

    id: str
    jti: str
    demand: Demand
    boot_id: str


class Reservation(NamedTuple):
    """A durable hold; what is settled against it was fixed here."""

    id: str
    jti: str
    grant_id: str
    access_id: str
    credential: SealedKey
    hold: MicroUSD
    output_max: int
    price: Price
    charged: tuple[CounterKey, ...]
    money_left: MicroUSD
    """Of the tightest money counter, once this hold is taken."""
    money_held: MicroUSD
    admitted_at: int
    ends_at: int
    """When the access ends, whatever still runs."""
    changes: int
    """The counter of changes when it was admitted: what was taken away since, it has to be told."""
    rate: RateLeft | None = None


def admitted(
    ask: Ask, standing: Standing, planned: Plan, charges: list[Charge], rate: RateLeft | None, now: int, changes: int
) -> Reservation:
    """To be called once the hold is taken from every charge."""
    tally = tightest(charges).tally
    return Reservation(
        id=ask.id,
        jti=standing.jti,
        grant_id=standing.grant_id,
        access_id=planned.allowance.access_id,
        credential=planned.allowance.credential,
        hold=planned.hold,
        output_max=planned.output_max,
        price=ask.demand.price,
        charged=tuple(charge.key for charge in charges),
        money_left=MicroUSD(tally.left),
        money_held=MicroUSD(tally.held),
        admitted_at=now,
        ends_at=planned.allowance.ends_at,
        changes=changes,
        rate=rate,
    )


def held(reservation: Reservation, ask: Ask, planned: Plan) -> Held:
    demand = ask.demand
    return Held(
        reservation.grant_id,
        demand.provider,
        demand.model,
        reservation.hold,
        reservation.price,
        reservation.charged,
        planned.tokens(demand),
    )


def row(reservation: Reservation, ask: Ask, standing: Standing, planned: Plan) -> tuple[Any, ...]:
    """In the order of RESERVATION_COLUMNS."""
    demand = ask.demand
    return (
        reservation.id,
        reservation.grant_id,
        reservation.access_id,
        reservation.jti,
        standing.user_id,
        reservation.credential.id,
        demand.provider,
        demand.model,
        demand.action,
        int(demand.streamed),
        "held",
        "",
        reservation.hold,
        dump_keys(reservation.charged),
        stored_price(reservation.price),
        demand.input_bound,
        planned.output_bound,
        planned.tokens(demand),
        ask.boot_id,
        reservation.admitted_at,
        *(0,) * 7,
        "",
        0,
    )
