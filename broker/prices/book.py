"""The price book: the operator's own prices, then the packaged ones; exact ids only, each with its provenance."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache

from broker.core.clock import MINUTE, SECOND
from broker.core.extras import NO_EXTRA_RATES, ExtraRates, Extras
from broker.core.usage import Price, Rates, Tier
from broker.prices import packaged, supplement
from broker.prices.packaged import Kind
from broker.store import own_prices
from broker.store.database import Database
from broker.store.tables import OwnPrice

OPERATOR = "operator"
"""The source of prices that the operator has set."""
EVERY = "*"
"""In the place of a model: what those of a provider cost that have no other price."""
_Limit = Callable[[str, str], int | None]
_DATED = re.compile(r"(?P<id>.+?)-(?:\d{4}-\d{2}-\d{2}|\d{8})", re.ASCII)


FREE = Price("broker", "free", (Tier(-1, Rates.of(0, 0)),))
"""Of a call that a provider asks no money for."""


class PriceBook:
    """Finds the price of a model; what it does not know is not sold."""

    def __init__(self) -> None:
        self._own: dict[tuple[str, str], Price] = {}
        self._markups: dict[tuple[str, str], int] = {}

    async def refresh(self, db: Database) -> None:
        """To be called at start and at each look at the change counter."""
        self._own = {(row.provider, row.model): own_price(row) for row in await db.read(own_prices.in_order)}
        self._markups = {(row.provider, row.models): row.added for row in await db.read(own_prices.markups_in_order)}

    def warm(self) -> None:
        """Reads the packaged lists, so that the first call does not wait for them."""
        for provider in ("openai", "anthropic", "google", "mistral", "cohere"):
            self.models(provider)
            output_limit(provider, "")

    def find(
        self, provider: str, model: str, now: int, kind: Kind = "output", tier: str = "", *, lasts: bool = False
    ) -> Price | None:
        """The price of a call that starts now, at the dearest of what may hold while it runs: for a day, if it `lasts`.

        An exact id, or that id with a date suffix; where the book lists dated siblings of the id, the dearest of all.
        A service tier of its own has the packaged price alone: of it, an operator's price says nothing.
        """
        own = None if tier else self._find_own(provider, model, kind)
        if own is not None and kind == "units" and own.tiers[0].rates.extras is NO_EXTRA_RATES:
            own = None
        found = own if own is not None else _packaged(provider, model, now // MINUTE, kind, tier, lasts)
        if found is None and not tier and kind != "units":
            found = self._own.get((provider, EVERY))
        return self._marked_up(provider, model, found)

    def find_batch(self, provider: str, model: str, now: int) -> Price | None:
        """The price of what is asked in a batch; an operator's own price counts as it is."""
        own = self._find_own(provider, model, "output")
        found = replace(own, is_batch=True) if own is not None else _batch(provider, model, now)
        return self._marked_up(provider, model, found)

    def _marked_up(self, provider: str, model: str, price: Price | None) -> Price | None:
        """With what the operator adds: of the id, else of the longest beginning of it, else of every model."""
        if price is None or not self._markups:
            return price
        starts = (f"{model[:size]}*" for size in range(len(model), -1, -1))
        added = next((self._markups[key] for each in (model, *starts) if (key := (provider, each)) in self._markups), 0)
        return replace(price, markup=added) if added else price

    def _find_own(self, provider: str, model: str, kind: Kind) -> Price | None:
        own = self._own.get((provider, model))
        if (
            own is None
            and self._own
            and (dated := _DATED.fullmatch(model))
            and model not in packaged.models(provider, kind)
        ):
            own = self._own.get((provider, dated["id"]))
        return own

    def since(self, provider: str, model: str, now: int) -> date | None:
        """From when on the price that holds now has held; None where nothing says so."""
        own = self._find_own(provider, model, "any")
        if own is not None:
            return _day(own)
        dated = _DATED.fullmatch(model)
        base = model if dated is None or model in _listed(provider, "any") else dated["id"]
        if base not in _listed(provider, "any") and (every := self._own.get((provider, EVERY))):
            return _day(every)
        return packaged.since(provider, supplement.listed_as(provider, base), now) or supplement.since(provider, base)

    def models(self, provider: str) -> list[str]:
        """Every id with a price, in order."""
        own = {model for name, model in self._own if name == provider and model != EVERY}
        return sorted(own.union(_listed(provider, "any")))


@lru_cache(maxsize=1024)
def output_limit(provider: str, model: str) -> int | None:
    """The most output tokens a model gives, by its id without a date; None where it is not known."""
    return _limit(packaged.output_limit, supplement.output_limit, provider, model)


@lru_cache(maxsize=1024)
def context_limit(provider: str, model: str) -> int | None:
    """The most tokens that a model reads at once, by its id without a date; None where it is not known."""
    return _limit(packaged.context_limit, supplement.context_limit, provider, model)


def _limit(listed: _Limit, added: _Limit, provider: str, model: str) -> int | None:
    dated = _DATED.fullmatch(model)
    ids = (model, dated["id"]) if dated else (model,)
    return next((most for each in ids for of in (added, listed) if (most := of(provider, each)) is not None), None)


def using(provider: str, price: Price, most: Extras) -> Price | None:
    """The price of a call that can use so much besides plain tokens; None if some of it has none."""
    return (supplement.with_searches(provider, price) if most.searches else price).using(most)


def own_price(row: OwnPrice) -> Price:
    cached, written, written_long = row.cached_input, row.cache_write, row.cache_write_long
    extras = NO_EXTRA_RATES if row.searches is None else ExtraRates(searches=row.searches)
    rates = Rates.of(row.input, row.output, cached=cached, written=written, written_long=written_long, extras=extras)
    return Price(OPERATOR, str(row.created_at), (Tier(-1, rates),))


@lru_cache(maxsize=1024)
def _packaged(provider: str, model: str, minute: int, kind: Kind, tier: str, lasts: bool) -> Price | None:
    """Prices change by the day; looking one up takes as long as the rest of a call's judging."""
    model = supplement.listed_as(provider, model)
    listed = _listed(provider, kind)
    dated = _DATED.fullmatch(model)
    base = model if model in listed or dated is None else dated["id"]
    if base not in listed:
        return None
    siblings = [name for name in listed if (match := _DATED.fullmatch(name)) and match["id"] == base]
    found = [_price(provider, name, minute * MINUTE, tier, lasts) for name in [base, *siblings]]
    # Where an id of theirs has no price in this tier, nobody knows what that one costs in it.
    return None if tier and None in found else _dearest(found)


def _batch(provider: str, model: str, now: int) -> Price | None:
    """By the same rule as any other price."""
    model = supplement.listed_as(provider, model)
    listed = packaged.batch_models(provider)
    dated = _DATED.fullmatch(model)
    base = model if model in listed or dated is None else dated["id"]
    if base not in listed:
        return None
    siblings = [name for name in listed if (match := _DATED.fullmatch(name)) and match["id"] == base]
    found = _dearest(packaged.batch_price(provider, name, now) for name in [base, *siblings])
    return found and replace(found, is_batch=True)


def _listed(provider: str, kind: Kind) -> Collection[str]:
    more = supplement.models(provider, kind)
    return {*packaged.models(provider, kind), *more} if more else packaged.models(provider, kind)


def _price(provider: str, model: str, now: int, tier: str, lasts: bool) -> Price | None:
    found = packaged.price(provider, model, now, tier, packaged.LONGEST_WORK if lasts else packaged.LONGEST_CALL)
    return supplement.price(provider, model) if found is None and not tier else found


def _day(own: Price) -> date:
    return datetime.fromtimestamp(int(own.version) / SECOND, UTC).date()


def _dearest(found: Iterable[Price | None]) -> Price | None:
    prices = [price for price in found if price is not None]
    if not prices:
        return None
    return Price(prices[0].source, prices[0].version, packaged.dearest_tiers([price.tiers for price in prices]))
