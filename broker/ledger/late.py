"""Endings that come after an ending: the sweep took the bound, or the same was asked twice."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from broker.core.money import MicroUSD
from broker.ledger.frozen import freeze
from broker.ledger.keys import CounterKey, load_keys
from broker.ledger.settle import Close, Held, Settled, believed, price_of, read_price
from broker.ledger.statements import RESERVATIONS, TRUTH
from broker.ledger.tally import Tallies
from broker.store.steps import Steps

Load = Callable[[Iterable[CounterKey]], Steps[None]]
"""Makes counters known that may not have been read in this transaction."""


class Stored(NamedTuple):
    """A reservation as RESERVATIONS gives it."""

    id: str
    state: str
    mark: str
    hold: int
    price: str
    charged: str
    rate_tokens: int
    cost: int
    overrun: int
    grant_id: str
    provider: str
    model: str
    admitted_at: int

    def held(self) -> Held:
        """Raises what a row that cannot be read raises."""
        keys = tuple(load_keys(self.charged))
        price = read_price(self.price)
        facts = (self.grant_id, self.provider, self.model, self.hold, price, keys, self.rate_tokens)
        return Held(*facts, scopes=None, admitted_at=self.admitted_at)


def held_of(reservation_ids: Iterable[str]) -> Steps[dict[str, Held]]:
    """Those of the reservations that are still held."""
    wanted = [(reservation_id,) for reservation_id in dict.fromkeys(reservation_ids)]
    if not wanted:
        return {}
    rows = [Stored(*row) for row in (yield RESERVATIONS, wanted)]
    return {row.id: row.held() for row in rows if row.state == "held"}


def end_late(row: tuple[Any, ...], close: Close, load: Load, tallies: Tallies, now: int) -> Steps[Settled]:
    """The truth that comes after the sweep changes only the mark and, beyond the bound, the overrun."""
    stored, ending = Stored(*row), believed(close.ending)
    if stored.mark != "unresolved" or ending.mark not in ("reported", "estimated"):
        return Settled(MicroUSD(stored.cost), MicroUSD(stored.overrun))
    held = stored.held()
    settled = price_of(ending, held.price, held.hold)
    changed = yield TRUTH, [(ending.mark, settled.overrun, ending.outcome, stored.id)]
    if changed and settled.overrun:
        money = tuple(key for key in held.charged if key.is_money())
        yield from load(money)
        tallies.book(money, 0, Settled(MicroUSD(0), settled.overrun), ran=False)
        yield from freeze(stored.id, held, settled, now)
    return Settled(MicroUSD(held.hold), settled.overrun)
