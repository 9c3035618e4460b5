"""The packaged lists of prices and output limits: exact ids and integers, kept as text until a provider is asked for."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, reduce
from typing import Any, Literal, Self

from broker.core.clock import SECOND
from broker.core.extras import ExtraRates
from broker.core.usage import Price, Rates, Tier

Kind = Literal["output", "input", "units", "any"]
"""What a price says: what comes out, too; at least what goes in; characters or seconds; anything."""

PLAIN = 5
"""Rates of plain tokens, which stand before those of extras."""

LONGEST_CALL = timedelta(hours=1)
"""Price dates and hours are looked at this far ahead: a call is priced at the dearest while it can run."""

LONGEST_WORK = timedelta(hours=24) + LONGEST_CALL
"""As long as providers give themselves for a batch from when they have it, and a response in the background may go on."""


@dataclass(frozen=True, slots=True)
class Spell:
    """When a price holds: from a date on, or within hours of each day; the last that holds counts."""

    since: date | None
    begins: time | None
    ends: time | None
    tiers: tuple[Tier, ...]

    @classmethod
    def read(cls, since: str | None, begins: str | None, ends: str | None, rows: list[list[int]]) -> Self:
        tiers = tuple(Tier(start, _rates(numbers)) for start, *numbers in rows)
        return cls(date.fromisoformat(since) if since else None, _hour(begins), _hour(ends), tiers)

    def holds(self, instant: datetime) -> bool:
        if self.since is not None:
            return instant.date() >= self.since
        if self.begins is None or self.ends is None:
            return True
        hour = instant.time()
        if self.ends < self.begins:
            return hour >= self.begins or hour < self.ends
        return self.begins <= hour < self.ends


@dataclass(frozen=True, slots=True)
class Listed:
    """What is listed of one provider, by model."""

    spells: dict[str, list[Spell]]
    inputs: dict[str, list[Spell]]
    """Of models that give no tokens: what goes in is all that is paid for."""
    units: dict[str, list[Spell]]
    """Of models whose calls are paid for by characters or seconds."""
    tiers: dict[str, list[Spell]]
    """Prices by token in a service tier of its own, by tier/model."""
    limits: dict[str, int]
    contexts: dict[str, int]
    """The most tokens that a model reads at once."""
    batches: dict[str, list[Spell]]
    """Of models with a price for what is asked in a batch."""


_given: list[bytes] = []


def give(lists: bytes) -> None:
    """What another process has read of the snapshot, so that this one need not."""
    _given[:] = [lists]


def models(provider: str, kind: Kind = "output") -> Collection[str]:
    """The exact ids that have a price of that kind."""
    listed = _listed(provider)
    match kind:
        case "output":
            return listed.spells.keys()
        case "units":
            return listed.units.keys()
        case "input":
            return listed.spells.keys() | listed.inputs.keys()
        case _:
            return listed.spells.keys() | listed.inputs.keys() | listed.units.keys()


def price(provider: str, model: str, now: int, tier: str = "", longest: timedelta = LONGEST_CALL) -> Price | None:
    listed = _listed(provider)
    spells = listed.spells.get(model) or listed.inputs.get(model) or listed.units.get(model)
    if tier:
        spells = listed.tiers.get(f"{tier}/{model}")
    if spells is None:
        return None
    return Price(_lists()["source"], _lists()["version"], dearest_tiers(active(spells, now, longest)))


def batch_models(provider: str) -> tuple[str, ...]:
    return tuple(_listed(provider).batches)


def batch_price(provider: str, model: str, now: int) -> Price | None:
    """Of a model whose batch price is listed: the dearest while a batch can run."""
    spells = _listed(provider).batches.get(model)
    if spells is None:
        return None
    tiers = dearest_tiers(active(spells, now, LONGEST_WORK))
    return Price(_lists()["source"], _lists()["version"], tiers, is_batch=True)


def since(provider: str, model: str, now: int) -> date | None:
    """The first day of the price that holds now, where its list has days."""
    listed = _listed(provider)
    instant = datetime.fromtimestamp(now / SECOND, UTC)
    spells = listed.spells.get(model) or listed.inputs.get(model) or listed.units.get(model) or []
    return ([spell.since for spell in spells if spell.holds(instant)] or [None])[-1]


def output_limit(provider: str, model: str) -> int | None:
    """The most output tokens a model gives, by the packaged model list."""
    return _listed(provider).limits.get(model)


def context_limit(provider: str, model: str) -> int | None:
    return _listed(provider).contexts.get(model)


def dearest_tiers(alternatives: list[tuple[Tier, ...]]) -> tuple[Tier, ...]:
    """For each input size the dearest of each rate."""
    starts = sorted({tier.start for tiers in alternatives for tier in tiers})
    return tuple(Tier(start, _maximum([_at(tiers, start) for tiers in alternatives])) for start in starts)


def _at(tiers: tuple[Tier, ...], start: int) -> Rates:
    return [tier.rates for tier in tiers if tier.start <= start][-1]


def _maximum(rates: list[Rates]) -> Rates:
    plain = (max(values) for values in zip(*(each.plain for each in rates), strict=True))
    return replace(Rates(*plain), extras=reduce(ExtraRates.dearest, (each.extras for each in rates)))


def _rates(numbers: list[Any]) -> Rates:
    plain = Rates(*numbers[:PLAIN])
    return plain if len(numbers) == PLAIN else replace(plain, extras=ExtraRates._make(numbers[PLAIN]))


def active(spells: list[Spell], now: int, longest: timedelta = LONGEST_CALL) -> list[tuple[Tier, ...]]:
    """What may hold while a call that starts now can run."""
    if len(spells) == 1:
        return [spells[0].tiers]
    start = datetime.fromtimestamp(now / SECOND, UTC)
    return [_at_instant(spells, instant) for instant in _changes(spells, start, start + longest)]


def _changes(spells: list[Spell], start: datetime, end: datetime) -> list[datetime]:
    """The start, and every instant up to the end at which another price may begin to hold."""
    hours = {time(0)}.union(*((spell.begins, spell.ends) for spell in spells)) - {None}
    days = [start.date() + timedelta(days=day) for day in range((end.date() - start.date()).days + 1)]
    instants = {datetime.combine(day, hour, UTC) for day in days for hour in hours if hour is not None}
    return [start, *sorted(instant for instant in instants if start < instant <= end)]


def _at_instant(spells: list[Spell], instant: datetime) -> tuple[Tier, ...]:
    return ([spell.tiers for spell in spells if spell.holds(instant)] or [spells[0].tiers])[-1]


@cache
def _listed(provider: str) -> Listed:
    text = _lists()["providers"].get(provider)
    lists = ("prices", "inputs", "units", "tiers", "batches")
    found = json.loads(text) if text else {key: {} for key in (*lists, "limits", "contexts")}
    prices, inputs, units, tiers, batches = (_spells(found[name]) for name in lists)
    return Listed(prices, inputs, units, tiers, found["limits"], found["contexts"], batches)


def _spells(told: dict[str, list[list[Any]]]) -> dict[str, list[Spell]]:
    return {model: [Spell.read(*row) for row in rows] for model, rows in told.items()}


@cache
def _lists() -> dict[str, Any]:
    if not _given:
        from broker.prices import snapshot

        give(snapshot.read())
    told: dict[str, Any] = json.loads(_given.pop())
    return told


def _hour(text: str | None) -> time | None:
    """In UTC, which is what it is in where it says nothing else."""
    if text is None:
        return None
    hour = time.fromisoformat(text)
    return datetime.combine(date(1970, 1, 1), hour).astimezone(UTC).time() if hour.tzinfo else hour
