"""What is counted besides plain tokens: what it costs, what it may cost at most, and what is no usage at all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.extras import NO_EXTRAS, ExtraRates, Extras
from broker.core.strict_json import loads
from broker.core.usage import Price, Rates, Tier, Usage

SPEAKING = Price(
    "t",
    "1",
    (Tier(-1, Rates.of(2_500_000, 10_000_000, extras=ExtraRates(input_audio=32_000_000, output_audio=64_000_000))),),
)
DRAWING = Price(
    "t",
    "1",
    (
        Tier(
            -1,
            Rates.of(
                5_000_000,
                10_000_000,
                cached=1_250_000,
                extras=ExtraRates(input_image=8_000_000, cached_image=2_000_000, output_image=32_000_000),
            ),
        ),
    ),
)  # fmt: skip
HEARING = Price("t", "1", (Tier(-1, Rates.of(0, 0, extras=ExtraRates(seconds=100_000_000))),))
READING_OUT = Price("t", "1", (Tier(-1, Rates.of(0, 0, extras=ExtraRates(characters=15_000_000))),))
SEARCHING = Price("t", "1", (Tier(-1, Rates.of(3_000_000, 15_000_000, extras=ExtraRates(searches=10_000_000_000))),))


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        (SPEAKING, Usage(100, 50), 250 + 500),
        (SPEAKING, Usage(100, 50, extras=Extras(input_audio_tokens=60, output_audio_tokens=40)), 40 * 5 // 2 + 60 * 32 + 10 * 10 + 40 * 64),
        (DRAWING, Usage(300, 1_056, extras=Extras(input_image_tokens=200, output_image_tokens=1_056)), 100 * 5 + 200 * 8 + 1_056 * 32),
        (DRAWING, Usage(300, 0, 120, extras=Extras(input_image_tokens=200, cached_image_tokens=80)), 60 * 5 + 40 * 5 // 4 + 120 * 8 + 80 * 2),
        (HEARING, Usage(0, 0, extras=Extras(seconds=61)), 6_100),
        (READING_OUT, Usage(0, 0, extras=Extras(characters=11)), 165),
        (READING_OUT, Usage(0, 0, extras=Extras(characters=1)), 15),
        (SEARCHING, Usage(1_000, 100, extras=Extras(searches=3)), 3_000 + 1_500 + 30_000),
    ],
    ids=["text alone", "sound", "pictures", "pictures of a cache", "a minute and a second", "characters", "one", "searches"],
)  # fmt: skip
def test_each_class_has_its_own_price(price: Price, usage: Usage, cost: int) -> None:
    assert price.cost(usage) == cost


def test_a_class_without_a_price_of_its_own_takes_the_dearest_of_its_side() -> None:
    price = Price("t", "1", (Tier(-1, Rates.of(5_000_000, 40_000_000, cached=1_000_000)),))
    assert (
        price.cost(Usage(10, 10, 4, extras=Extras(3, 0, 2, 0, 0, 10))) == (10 - 3 - 2) * 5 + 2 * 1 + 1 * 5 + 2 * 5 + 400
    )


@pytest.mark.parametrize(
    ("price", "most"),
    [
        (SEARCHING, Extras(input_audio_tokens=1)),
        (DRAWING, Extras(output_audio_tokens=1)),
        (SEARCHING, Extras(characters=1)),
        (READING_OUT, Extras(seconds=1)),
        (DRAWING, Extras(searches=1)),
    ],
    ids=["sound in", "sound out", "characters", "seconds", "searches"],
)
def test_what_has_no_price_of_its_own_cannot_be_used(price: Price, most: Extras) -> None:
    assert price.using(most) is None
    assert not price.can_price(Usage(2**30, 2**30, extras=most))
    assert price.can_price(Usage(5, 5))


def test_the_bound_holds_extras_at_their_dearest() -> None:
    price = SPEAKING.using(Extras(input_audio_tokens=60))
    assert price is not None
    # An answer may be sound in any part of it.
    assert price.worst_case(100, 50) == 40 * 5 // 2 + 60 * 32 + 50 * 64
    searching = SEARCHING.using(Extras(searches=2))
    assert searching is not None
    assert searching.worst_case(1_000, 10) == 3_000 + 150 + 20_000


def test_a_price_with_extras_is_stored_and_read_again_as_it_was() -> None:
    price = DRAWING.using(Extras(input_image_tokens=5, output_image_tokens=9))
    assert price is not None
    stored = loads(price.text.encode())
    assert isinstance(stored, dict)
    assert Price.from_dict(dict(stored)) == price
    assert "extras" not in Price("t", "1", (Tier(-1, Rates.of(1, 1)),)).text
    assert "most" not in DRAWING.text


@pytest.mark.parametrize(
    "usage",
    [
        Usage(10, 0, extras=Extras(input_audio_tokens=11)),
        Usage(10, 0, extras=Extras(input_audio_tokens=6, input_image_tokens=5)),
        Usage(10, 5, extras=Extras(output_image_tokens=6)),
        Usage(10, 0, 2, extras=Extras(input_image_tokens=5, cached_image_tokens=3)),
        Usage(10, 0, 4, extras=Extras(input_image_tokens=2, cached_image_tokens=3)),
        Usage(10, 0, 8, extras=Extras(input_image_tokens=5)),
        Usage(10, 0, extras=Extras(searches=-1)),
        Usage(10, 0, extras=Extras(seconds=2**31)),
        Usage(10, 0, extras=Extras(searches=True)),
    ],
    ids=["sound", "both", "output", "of cached", "of its class", "uncached", "negative", "vast", "a flag"],
)
def test_a_class_that_is_more_than_its_whole_is_absurd(usage: Usage) -> None:
    assert usage.is_absurd()


def _rates(read: int, written: int, cached: int, kept: int, kept_long: int) -> Rates:
    return Rates(read, written, cached, kept, kept_long)


_COUNTS = st.integers(min_value=0, max_value=10_000)
_RATES = st.integers(min_value=0, max_value=100_000_000)


@given(
    st.lists(_COUNTS, min_size=9, max_size=9),
    st.lists(_COUNTS, min_size=4, max_size=4),
    st.lists(_RATES, min_size=14, max_size=14),
)
def test_no_usage_within_its_bounds_costs_more_than_the_bound(
    extras: list[int], more: list[int], rates: list[int]
) -> None:
    told = Extras(*extras)
    told = told._replace(
        cached_audio_tokens=min(told.cached_audio_tokens, told.input_audio_tokens),
        cached_image_tokens=min(told.cached_image_tokens, told.input_image_tokens),
    )
    text, cached_text, written, said = more
    usage = Usage(
        told.of_input + text + cached_text + written,
        told.of_output + said,
        told.of_cached + cached_text,
        written,
        extras=told,
    )
    assert not usage.is_absurd()
    price = Price("t", "1", (Tier(-1, replace(_rates(*rates[:5]), extras=ExtraRates(*rates[5:]))),)).using(told)
    assert price is not None
    assert price.cost(usage) <= price.worst_case(usage.input_tokens, usage.output_tokens)


def test_nothing_besides_plain_tokens_is_one_value() -> None:
    assert Usage(1, 1).extras is NO_EXTRAS
    assert NO_EXTRAS.named() == {}
