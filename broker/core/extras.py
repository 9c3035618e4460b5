"""What a call uses besides plain tokens: classes of its tokens that have a price of their own, and what is no token at all."""

from collections.abc import Iterable
from typing import NamedTuple


class Extras(NamedTuple):
    """Counts; the classes of tokens are part of the input, of what was cached, or of the output."""

    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    cached_audio_tokens: int = 0
    cached_image_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    characters: int = 0
    """Of a text to be spoken."""
    seconds: int = 0
    """Of a recording to be written down, the last one whole."""
    searches: int = 0
    """Of the web, by the provider."""

    @property
    def of_input(self) -> int:
        return self.input_audio_tokens + self.input_image_tokens

    @property
    def of_cached(self) -> int:
        return self.cached_audio_tokens + self.cached_image_tokens

    @property
    def of_output(self) -> int:
        return self.output_audio_tokens + self.output_image_tokens

    def is_part_of(self, read: int, kept: int, cached: int, written: int) -> bool:
        """Whether no class has more tokens than the whole that it is part of."""
        return (
            self.of_input <= read
            and self.of_cached <= cached
            and self.of_output <= written
            and self.cached_audio_tokens <= self.input_audio_tokens
            and self.cached_image_tokens <= self.input_image_tokens
            and self.of_input - self.of_cached <= read - kept
        )

    def named(self) -> dict[str, int]:
        """Those that are there."""
        return {name: count for name, count in zip(self._fields, self, strict=True) if count}


NO_EXTRAS = Extras()


def together(each: Iterable[Extras]) -> Extras:
    """NO_EXTRAS itself where none has any."""
    used = [extras for extras in each if extras is not NO_EXTRAS]
    return Extras._make(map(sum, zip(*used, strict=True))) if used else NO_EXTRAS


class ExtraRates(NamedTuple):
    """Micro-dollars a million of each of Extras, in their order; None where it has no price of its own."""

    input_audio: int | None = None
    input_image: int | None = None
    cached_audio: int | None = None
    cached_image: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    characters: int | None = None
    seconds: int | None = None
    searches: int | None = None

    def named(self) -> dict[str, int]:
        return {name: rate for name, rate in zip(self._fields, self, strict=True) if rate is not None}

    def dearest(self, other: "ExtraRates") -> "ExtraRates":
        """Of two prices of which either may hold."""
        return ExtraRates._make(
            b if a is None else a if b is None else max(a, b) for a, b in zip(self, other, strict=True)
        )


NO_EXTRA_RATES = ExtraRates()
OWN_PRICE_NEEDED = ("input_audio", "output_audio", "characters", "seconds", "searches")
"""What must have a price of its own before it can be used: it costs many times what stands beside it."""
