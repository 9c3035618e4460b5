"""What a call costs by how it ended, and the row that says so."""

import json
from functools import lru_cache
from typing import Literal, NamedTuple

from broker.core.errors import BrokerError
from broker.core.extras import NO_EXTRAS, Extras
from broker.core.money import MicroUSD
from broker.core.strict_json import dumps, loads
from broker.core.usage import NO_USAGE, Price, Usage
from broker.ledger.keys import CounterKey
from broker.ledger.windows import Scope

Mark = Literal["not_run", "reported", "estimated", "unresolved"]


class Ending(NamedTuple):
    """How a call ended. `usage` is the provider's own report; without one that can be believed, the bound is taken."""

    mark: Mark
    outcome: str
    usage: Usage | None = None
    status: int = 0
    reached: bool = True
    price: Price | None = None
    """Of the model that has answered, where that was a dearer one than the call was admitted for."""
    model: str = ""
    """What the provider says has answered, where it does; not for the books."""


class Settled(NamedTuple):
    """What the call cost, and what it cost beyond its bound."""

    cost: MicroUSD
    overrun: MicroUSD


_NOTHING = MicroUSD(0)
FREE = Settled(_NOTHING, _NOTHING)


def price_of(ending: Ending, price: Price, hold: int) -> Settled:
    """The cost of an ending: never more than the hold, the rest is the overrun."""
    return _cost(believed(ending), price, hold)


def _cost(ending: Ending, price: Price, hold: int) -> Settled:
    if ending.mark == "not_run":
        return FREE
    if ending.usage is None or not (ending.price or price).can_price(ending.usage):
        return Settled(MicroUSD(hold), _NOTHING)
    true_cost = (ending.price or price).cost(ending.usage)
    return Settled(true_cost, _NOTHING) if true_cost <= hold else Settled(MicroUSD(hold), MicroUSD(true_cost - hold))


def believed(ending: Ending) -> Ending:
    """An absurd usage is none: whoever handed it in, the books take the bound."""
    if ending.usage is None or not ending.usage.is_absurd():
        return ending
    return ending._replace(mark="estimated" if ending.mark == "reported" else ending.mark, usage=None)


class Close(NamedTuple):
    """What is asked of the books at the end of a call; idempotent by reservation id."""

    reservation_id: str
    ending: Ending


class Held(NamedTuple):
    """What was fixed when a call was admitted, and all that its settlement needs."""

    grant_id: str
    provider: str
    model: str
    hold: int
    price: Price
    charged: tuple[CounterKey, ...]
    rate_tokens: int
    scopes: tuple[Scope, ...] | None
    """All that it counts in, if anything was limited there when it was admitted, else none of it; None where that is not known."""
    admitted_at: int

    def end(self, close: Close, now: int) -> "Ended":
        ending = believed(close.ending)
        mark, outcome, usage, status, reached, price, _ = ending
        settled = _cost(ending, self.price, self.hold)
        ran = mark != "not_run"
        read, written, cached, kept, kept_long, extras = usage or NO_USAGE
        tokens = self.rate_tokens if usage is None else read + written
        state = "settled" if ran else "released"
        row = (
            state, mark, now, settled.cost, settled.overrun, read, written, cached, kept, kept_long,
            written_extras(extras), tokens, status, outcome, int(reached), close.reservation_id,
        )  # fmt: skip
        return Ended(settled, ran, ran or reached, tokens, row, None if price is None or usage is None else price.text)


class Ended(NamedTuple):
    """What an ending comes to."""

    settled: Settled
    ran: bool
    seen: bool
    """Whether the provider may have seen the call, which the rates then count."""
    tokens: int
    """What tokens a minute count from now on."""
    row: tuple[object, ...]
    """The parameters of the statement that says so."""
    price: str | None = None
    """What its row then says instead of the price that it was admitted at."""


def written_extras(extras: Extras) -> str:
    """As a row keeps them: JSON, or nothing where there are none."""
    return "" if extras is NO_EXTRAS else dumps(extras.named()).decode()


@lru_cache(maxsize=4096)
def read_extras(stored: str) -> Extras:
    return Extras(**json.loads(stored)) if stored else NO_EXTRAS


@lru_cache(maxsize=4096)
def read_price(stored: str) -> Price:
    """The price a call was admitted with."""
    read = loads(stored.encode())
    if not isinstance(read, dict):
        raise BrokerError(detail="a reservation has no price")
    return Price.from_dict(dict(read))
