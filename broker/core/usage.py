"""What a call used, and what that costs in whole micro-dollars."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

from broker.core.extras import NO_EXTRA_RATES, NO_EXTRAS, OWN_PRICE_NEEDED, ExtraRates, Extras
from broker.core.money import MicroUSD, ceil_div
from broker.core.strict_json import dumps

ABSURD_TOKENS = 2**31
"""A count from here on is no usage but a fault of the provider."""

_PER_MILLION = 1_000_000
HUNDREDTHS = 10_000
"""Of a per cent, in what is asked for once: markups are counted in them."""


class Usage(NamedTuple):
    """Tokens as the provider counted them; cached and cache-write tokens are part of the input."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_long_tokens: int = 0
    """What is kept for an hour, where `cache_write_tokens` are kept for minutes."""
    extras: Extras = NO_EXTRAS

    def is_absurd(self) -> bool:
        *tokens, extras = self
        for n in tokens if extras is NO_EXTRAS else (*tokens, *extras):
            if type(n) is not int or not 0 <= n < ABSURD_TOKENS:
                return True
        kept = self.cached_input_tokens + self.cache_write_tokens + self.cache_write_long_tokens
        if kept > self.input_tokens:
            return True
        if extras is NO_EXTRAS:
            return False
        return not extras.is_part_of(self.input_tokens, kept, self.cached_input_tokens, self.output_tokens)


NO_USAGE = Usage(0, 0)


@dataclass(frozen=True)
class Rates:
    """Unit prices in micro-dollars a million tokens."""

    input: int
    output: int
    cached_input: int
    cache_write: int
    cache_write_long: int
    extras: ExtraRates = NO_EXTRA_RATES

    def total(self, usage: Usage) -> int:
        """What it costs, in millionths of a micro-dollar."""
        kept = usage.cache_write_tokens + usage.cache_write_long_tokens
        beside = 0 if usage.extras is NO_EXTRAS else self._difference(usage.extras)
        return (
            beside
            + (usage.input_tokens - usage.cached_input_tokens - kept) * self.input
            + usage.cached_input_tokens * self.cached_input
            + usage.cache_write_tokens * self.cache_write
            + usage.cache_write_long_tokens * self.cache_write_long
            + usage.output_tokens * self.output
        )

    def _difference(self, extras: Extras) -> int:
        """What extras cost more than the plain tokens that they are counted among."""
        rates = self.resolved
        cached, written = extras.of_cached, extras.of_output
        plain = (extras.of_input - cached) * self.input + cached * self.cached_input + written * self.output
        audio, image = extras.cached_audio_tokens, extras.cached_image_tokens
        uncached = extras._replace(
            input_audio_tokens=extras.input_audio_tokens - audio, input_image_tokens=extras.input_image_tokens - image
        )
        return sum(count * rate for count, rate in zip(uncached, rates, strict=True)) - plain

    @property
    def plain(self) -> tuple[int, int, int, int, int]:
        """Of tokens that are no extras."""
        return self.input, self.output, self.cached_input, self.cache_write, self.cache_write_long

    @cached_property
    def resolved(self) -> tuple[int, ...]:
        """The rate of each extra: one without a price of its own takes the dearest of its side, and what is no token has none."""
        audio, image, cached_audio, cached_image, said, drawn, *rest = self.extras
        audio, image = (self.dearest_input if rate is None else rate for rate in (audio, image))
        cached_audio = max(audio, self.dearest_input) if cached_audio is None else cached_audio
        cached_image = max(image, self.dearest_input) if cached_image is None else cached_image
        given = [self.dearest_output if rate is None else rate for rate in (said, drawn)]
        return (audio, image, cached_audio, cached_image, *given, *(rate or 0 for rate in rest))

    @cached_property
    def dearest_output(self) -> int:
        """Of whatever kind the answer is."""
        return max(self.output, self.extras.output_audio or 0, self.extras.output_image or 0)

    def most(self, extras: Extras) -> int:
        """The most that so many extras can cost besides the input's other tokens, in millionths of a micro-dollar."""
        audio, image, cached_audio, cached_image, _, _, *rest = self.resolved
        tokens = extras.input_audio_tokens * max(audio, cached_audio) + extras.input_image_tokens * max(
            image, cached_image
        )
        counts = (extras.characters, extras.seconds, extras.searches)
        return tokens + sum(count * rate for count, rate in zip(counts, rest, strict=True))

    @cached_property
    def dearest_input(self) -> int:
        return max(self.input, self.cached_input, self.cache_write)

    @classmethod
    def of(
        cls,
        rate_in: int,
        rate_out: int,
        *,
        cached: int | None = None,
        written: int | None = None,
        written_long: int | None = None,
        extras: ExtraRates = NO_EXTRA_RATES,
    ) -> Self:
        """A class of tokens without a price of its own takes the dearest of its side, and an hour twice the input."""
        dearest = max(rate for rate in (rate_in, cached, written) if rate is not None)
        cached, written = (dearest if rate is None else rate for rate in (cached, written))
        written_long = max(dearest, 2 * rate_in) if written_long is None else written_long
        return cls(rate_in, rate_out, cached, written, written_long, extras)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """What was stored before an hour in the cache had a price needs none."""
        return cls(**({"cache_write_long": 0} | stored | {"extras": ExtraRates(**stored.get("extras", {}))}))

    def to_dict(self) -> dict[str, object]:
        plain: dict[str, object] = {
            name: getattr(self, name) for name in ("input", "output", "cached_input", "cache_write", "cache_write_long")
        }
        return plain | ({"extras": named} if (named := self.extras.named()) else {})


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates for a call whose input is above `start` tokens; the whole call is priced at them."""

    start: int
    rates: Rates


@dataclass(frozen=True)
class Price:
    """The price of a model with its provenance; tiers in rising order, the first starting below zero input."""

    source: str
    version: str
    tiers: tuple[Tier, ...]
    writes_long: bool = False
    """Whether the call may keep input for an hour, which is the dearest of its side."""
    is_batch: bool = False
    """Whether it is of many requests together, none of which is above the first tier where a usage is told."""
    most: Extras = NO_EXTRAS
    """The most of each extra that the call can use; of an answer, any part may be of any class."""
    markup: int = 0
    """What the operator adds to it, in hundredths of a per cent."""

    def __hash__(self) -> int:
        """Each call looks its price up: of what is alike only what mostly tells prices apart."""
        first = self.tiers[0].rates if self.tiers else None
        return hash((self.version, first and first.input, first and first.output))

    @cached_property
    def text(self) -> str:
        """JSON, as a reservation keeps it."""
        return dumps(self.to_dict()).decode()

    @cached_property
    def _flat(self) -> tuple[int, int] | None:
        """The dearest input and the output of a price without steps."""
        rates = self.tiers[0].rates if len(self.tiers) == 1 and self.most is NO_EXTRAS and not self.markup else None
        return None if rates is None else (self._dearest_input(rates), rates.dearest_output)

    def _dearest_input(self, rates: Rates) -> int:
        return max(rates.dearest_input, rates.cache_write_long) if self.writes_long else rates.dearest_input

    def cost(self, usage: Usage) -> MicroUSD:
        """Rounded up once a call."""
        if len(self.tiers) == 1 or self.is_batch:
            return self._whole(self.tiers[0].rates.total(usage))
        reached = [tier.rates for tier in self.tiers if usage.input_tokens > tier.start]
        return self._whole(reached[-1].total(usage))

    def _whole(self, millionths: int) -> MicroUSD:
        """With the markup, rounded up."""
        if not self.markup:
            return MicroUSD(-(-millionths // _PER_MILLION))
        return MicroUSD(ceil_div(millionths * (HUNDREDTHS + self.markup), _PER_MILLION * HUNDREDTHS))

    def marked_up(self, rate: int) -> int:
        """A unit price as it is charged, rounded up to be shown."""
        return ceil_div(rate * (HUNDREDTHS + self.markup), HUNDREDTHS)

    def input_cost(self, tokens: int) -> int:
        """The most that input of up to so many tokens can cost, in millionths of a micro-dollar."""
        plain = max(0, tokens - self.most.of_input)
        reached = [tier.rates for tier in self._reachable(tokens)]
        extras = 0 if self.most is NO_EXTRAS else max(rates.most(self.most) for rates in reached)
        return plain * max(self._dearest_input(rates) for rates in reached) + extras

    def output_rate(self, input_tokens: int) -> int:
        """The dearest reachable output rate, in micro-dollars a million tokens."""
        return max(tier.rates.dearest_output for tier in self._reachable(input_tokens))

    def worst_case(self, input_tokens: int, output_tokens: int) -> MicroUSD:
        """No usage within these bounds costs more."""
        flat = self._flat
        if flat is not None:
            return MicroUSD(-(-(input_tokens * flat[0] + output_tokens * flat[1]) // _PER_MILLION))
        return self._whole(self.input_cost(input_tokens) + output_tokens * self.output_rate(input_tokens))

    def affordable_output(self, input_tokens: int, money: MicroUSD) -> int:
        """How many output tokens this money still covers beside the input; negative when not even the input fits."""
        left = money * _PER_MILLION * HUNDREDTHS // (HUNDREDTHS + self.markup) - self.input_cost(input_tokens)
        rate = self.output_rate(input_tokens)
        if left < 0:
            return -1
        return left // rate if rate else ABSURD_TOKENS

    def _reachable(self, input_tokens: int) -> list[Tier]:
        return [tier for tier in self.tiers if input_tokens > tier.start]

    def using(self, most: Extras) -> "Price | None":
        """The price of a call that can use so much besides plain tokens; None if some of it has none."""
        asked = dict(zip(ExtraRates._fields, most, strict=True))
        if any(
            asked[name] and getattr(tier.rates.extras, name) is None for name in OWN_PRICE_NEEDED for tier in self.tiers
        ):
            return None
        return replace(self, most=most)

    def within(self, at_once: int) -> Self:
        """The price of a call of many turns, none of which reads more than this."""
        return replace(self, tiers=tuple(tier for tier in self.tiers if tier.start < at_once))

    def can_price(self, usage: Usage) -> bool:
        """Whether nothing is in it that a call was not to use, and that has no price."""
        return usage.extras is NO_EXTRAS or self.using(usage.extras) is not None

    def to_dict(self) -> dict[str, object]:
        tiers = [{"start": tier.start, "rates": tier.rates.to_dict()} for tier in self.tiers]
        told = {"source": self.source, "version": self.version, "tiers": tiers, "writes_long": self.writes_long}
        told |= {"is_batch": True} if self.is_batch else {}
        told |= {"markup": self.markup} if self.markup else {}
        return told | ({"most": self.most.named()} if self.most is not NO_EXTRAS else {})

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Price":
        tiers = stored["tiers"]
        if not isinstance(tiers, list):
            raise TypeError("a stored price has no tiers")
        read = tuple(Tier(tier["start"], Rates.from_dict(tier["rates"])) for tier in tiers)
        most = Extras(**stored["most"]) if "most" in stored else NO_EXTRAS
        writes_long, is_batch = bool(stored.get("writes_long")), bool(stored.get("is_batch"))
        origin, markup = (str(stored["source"]), str(stored["version"])), int(stored.get("markup", 0))
        return cls(*origin, read, writes_long, is_batch, most, markup)
