"""Answers that come from another model than was asked for."""

from dataclasses import replace

from broker.core.clock import Clock
from broker.core.extras import NO_EXTRAS
from broker.core.usage import Price
from broker.ledger.settle import Ending
from broker.ops.log import logger
from broker.prices.book import OPERATOR, PriceBook, using
from broker.proxy.forward import Work

log = logger("proxy")


class OtherModels:
    """Has a call paid for at the dearer of the model that was asked for and the one that the provider says has answered."""

    def __init__(self, prices: PriceBook, clock: Clock) -> None:
        self._prices = prices
        self._clock = clock

    def judged(self, work: Work, asked: Price, ending: Ending) -> Ending:
        """The ending, with the price of the model that has answered if by that the call costs more; never raises."""
        usage, reading = ending.usage, work.reading
        if usage is None or ending.model in ("", reading.model) or reading.is_free or reading.is_batch:
            return ending
        # What the operator has said of a model stands, whatever a server calls it.
        if asked.source == OPERATOR or usage.is_absurd():
            return ending
        name = work.provider.name
        price = self._prices.find(name, ending.model, self._clock(), reading.priced_by, reading.tier)
        if price is not None and reading.at_once is not None:
            price = price.within(reading.at_once)
        if price is not None and reading.most is not NO_EXTRAS:
            price = using(name, price, reading.most)
        if price is None or not price.can_price(usage) or price.cost(usage) <= asked.cost(usage):
            return ending
        log.error("call.other_model", provider=name, asked=reading.model, answered=ending.model)
        return ending._replace(price=replace(price, version=f"{price.version}, of {ending.model}"))
