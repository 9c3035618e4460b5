"""What a call used, and what that costs in whole micro-dollars."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple, Self

from broker.core.money import MicroUSD, ceil_div
from broker.core.strict_json import dumps

ABSURD_TOKENS = 2**31
"""A count from here on is no usage but a fault of the provider."""

_PER_MILLION = 1_000_000


class Usage(NamedTuple):
    """Tokens as the provider counted them; cached and cache-write tokens are part of the input."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_long_tokens: int = 0
    """What is kept for an hour, where `cache_write_tokens` are kept for minutes."""

    def is_absurd(self) -> bool:
        for n in self:
            if type(n) is not int or not 0 <= n < ABSURD_TOKENS:
                return True
        return self.cached_input_tokens + self.cache_write_tokens + self.cache_write_long_tokens > self.input_tokens


NO_USAGE = Usage(0, 0)


@dataclass(frozen=True)
class Rates:
    """Unit prices in micro-dollars a million tokens."""

    input: int
    output: int
    cached_input: int
    cache_write: int
    cache_write_long: int

    def cost(self, usage: Usage) -> MicroUSD:
        kept = usage.cache_write_tokens + usage.cache_write_long_tokens
        total = (
            (usage.input_tokens - usage.cached_input_tokens - kept) * self.input
            + usage.cached_input_tokens * self.cached_input
            + usage.cache_write_tokens * self.cache_write
            + usage.cache_write_long_tokens * self.cache_write_long
            + usage.output_tokens * self.output
        )
        return MicroUSD(ceil_div(total, _PER_MILLION))

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
    ) -> Self:
        """A class of tokens without a price of its own takes the dearest of its side, and an hour twice the input."""
        dearest = max(rate for rate in (rate_in, cached, written) if rate is not None)
        cached, written = (dearest if rate is None else rate for rate in (cached, written))
        return cls(
            rate_in, rate_out, cached, written, max(dearest, 2 * rate_in) if written_long is None else written_long
        )

    @classmethod
    def from_dict(cls, stored: dict[str, int]) -> Self:
        """What was stored before an hour in the cache had a price needs none."""
        return cls(**({"cache_write_long": 0} | stored))


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
        rates = self.tiers[0].rates if len(self.tiers) == 1 else None
        return None if rates is None else (self._dearest_input(rates), rates.output)

    def _dearest_input(self, rates: Rates) -> int:
        return max(rates.dearest_input, rates.cache_write_long) if self.writes_long else rates.dearest_input

    def cost(self, usage: Usage) -> MicroUSD:
        """Rounded up once a call."""
        if len(self.tiers) == 1 or self.is_batch:
            return self.tiers[0].rates.cost(usage)
        reached = [tier.rates for tier in self.tiers if usage.input_tokens > tier.start]
        return reached[-1].cost(usage)

    def input_cost(self, tokens: int) -> int:
        """The most that input of up to so many tokens can cost, in millionths of a micro-dollar."""
        return tokens * max(self._dearest_input(tier.rates) for tier in self._reachable(tokens))

    def output_rate(self, input_tokens: int) -> int:
        """The dearest reachable output rate, in micro-dollars a million tokens."""
        return max(tier.rates.output for tier in self._reachable(input_tokens))

    def worst_case(self, input_tokens: int, output_tokens: int) -> MicroUSD:
        """No usage within these bounds costs more."""
        flat = self._flat
        if flat is not None:
            return MicroUSD(-(-(input_tokens * flat[0] + output_tokens * flat[1]) // _PER_MILLION))
        total = self.input_cost(input_tokens) + output_tokens * self.output_rate(input_tokens)
        return MicroUSD(ceil_div(total, _PER_MILLION))

    def affordable_output(self, input_tokens: int, money: MicroUSD) -> int:
        """How many output tokens this money still covers beside the input; negative when not even the input fits."""
        left = money * _PER_MILLION - self.input_cost(input_tokens)
        rate = self.output_rate(input_tokens)
        if left < 0:
            return -1
        return left // rate if rate else ABSURD_TOKENS

    def _reachable(self, input_tokens: int) -> list[Tier]:
        return [tier for tier in self.tiers if input_tokens > tier.start]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, object]) -> "Price":
        tiers = stored["tiers"]
        if not isinstance(tiers, list):
            raise TypeError("a stored price has no tiers")
        read = tuple(Tier(tier["start"], Rates.from_dict(tier["rates"])) for tier in tiers)
        return cls(
            str(stored["source"]),
            str(stored["version"]),
            read,
            bool(stored.get("writes_long")),
            bool(stored.get("is_batch")),
        )
