"""What a call costs by how it ended, and the row that says so."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

from broker.core.errors import BrokerError
from broker.core.money import MicroUSD
from broker.core.strict_json import dumps, loads
from broker.core.usage import NO_USAGE, Price, Usage
from broker.ledger.keys import CounterKey

Mark = Literal["not_run", "reported", "estimated", "unresolved"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended. `usage` is the provider's own report; without one that can be believed, the bound is taken."""

    mark: Mark
    outcome: str
    usage: Usage | None = None
    status: int = 0
    reached: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """What the call cost, and what it cost beyond its bound."""

    cost: MicroUSD
    overrun: MicroUSD


def price_of(ending: Ending, price: Price, hold: int) -> Settled:
    """The cost of an ending: never more than the hold, the rest is the overrun."""
    if ending.mark == "not_run":
        return Settled(MicroUSD(0), MicroUSD(0))
    if ending.usage is None or ending.usage.is_absurd():
        return Settled(MicroUSD(hold), MicroUSD(0))
    true_cost = price.cost(ending.usage)
    return Settled(MicroUSD(min(true_cost, hold)), MicroUSD(max(0, true_cost - hold)))


def believed(ending: Ending) -> Ending:
    """An absurd usage is none: whoever handed it in, the books take the bound."""
    if ending.usage is None or not ending.usage.is_absurd():
        return ending
    return replace(ending, mark="estimated" if ending.mark == "reported" else ending.mark, usage=None)


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

    def counted(self, usage: Usage | None) -> int:
        """What tokens a minute count once it has ended."""
        return self.rate_tokens if usage is None else usage.input_tokens + usage.output_tokens

    def end(self, close: Close, now: int) -> "tuple[Settled, tuple[object, ...]]":
        """What it costs, and the parameters of the statement that says so."""
        ending = believed(close.ending)
        settled = price_of(ending, self.price, self.hold)
        usage = ending.usage or NO_USAGE
        return settled, (
            "released" if ending.mark == "not_run" else "settled",
            ending.mark,
            now,
            settled.cost,
            settled.overrun,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            self.counted(ending.usage),
            ending.status,
            ending.outcome,
            int(ending.reached),
            close.reservation_id,
        )


@lru_cache(maxsize=4096)
def stored_price(price: Price) -> str:
    return dumps(price.to_dict()).decode()


@lru_cache(maxsize=4096)
def read_price(stored: str) -> Price:
    """The price a call was admitted with."""
    read = loads(stored.encode())
    if not isinstance(read, dict):
        raise BrokerError(detail="a reservation has no price")
    return Price.from_dict(dict(read))
