"""What a call costs, and that no usage within the bounds costs more than the bound."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.money import MicroUSD
from broker.core.strict_json import dumps, loads
from broker.core.usage import ABSURD_TOKENS, Price, Rates, Tier, Usage

RATES = st.builds(Rates, *[st.integers(0, 200_000_000)] * 5)
STARTS = st.lists(st.integers(0, 5_000), max_size=3, unique=True).map(lambda starts: [-1, *sorted(starts)])


@st.composite
def prices(draw: st.DrawFn) -> Price:
    tiers = tuple(Tier(start, draw(RATES)) for start in draw(STARTS))
    return Price("test", "1", tiers, writes_long=draw(st.booleans()))


@st.composite
def usages(draw: st.DrawFn, most_input: int, most_output: int, *, writes_long: bool) -> Usage:
    read = draw(st.integers(0, most_input))
    cached = draw(st.integers(0, read))
    kept = draw(st.integers(0, read - cached))
    long = draw(st.integers(0, read - cached - kept)) if writes_long else 0
    return Usage(read, draw(st.integers(0, most_output)), cached, kept, long)


@given(prices(), st.integers(0, 6_000), st.integers(0, 10_000), st.data())
def test_no_usage_within_the_bounds_costs_more_than_the_worst_case(
    price: Price, read: int, written: int, data: st.DataObject
) -> None:
    assert price.cost(data.draw(usages(read, written, writes_long=price.writes_long))) <= price.worst_case(
        read, written
    )


@given(prices(), st.integers(0, 6_000), st.integers(0, 10**9))
def test_the_output_that_money_affords_is_all_that_it_affords(price: Price, read: int, money: int) -> None:
    written = price.affordable_output(read, MicroUSD(money))
    if written < 0:
        assert price.worst_case(read, 0) > money
    else:
        assert price.worst_case(read, written) <= money
        assert written == ABSURD_TOKENS or price.worst_case(read, written + 1) > money


@given(prices())
def test_a_price_is_read_as_it_was_stored(price: Price) -> None:
    stored = loads(dumps(price.to_dict()))
    assert isinstance(stored, dict)
    assert Price.from_dict(dict(stored)) == price


def test_each_class_of_tokens_has_its_own_price() -> None:
    price = Price("t", "1", (Tier(-1, Rates(2_000_000, 10_000_000, 1_000_000, 3_000_000, 4_000_000)),))
    assert price.cost(Usage(100, 7, cached_input_tokens=40, cache_write_tokens=10)) == 50 * 2 + 40 + 10 * 3 + 7 * 10
    assert price.cost(Usage(100, 7, 40, 10, cache_write_long_tokens=5)) == 45 * 2 + 40 + 10 * 3 + 5 * 4 + 7 * 10


def test_only_a_call_that_may_keep_input_for_an_hour_is_held_at_the_price_of_that() -> None:
    price = Price("t", "1", (Tier(-1, Rates.of(2_000_000, 0, written=3_000_000)),))
    assert (price.worst_case(100, 0), replace(price, writes_long=True).worst_case(100, 0)) == (300, 400)
    assert replace(price, writes_long=True).affordable_output(100, MicroUSD(399)) < 0


def test_a_price_that_was_stored_before_an_hour_had_one_still_settles() -> None:
    rates = {"input": 5, "output": 7, "cached_input": 5, "cache_write": 6}
    stored: dict[str, object] = {"source": "s", "version": "1", "tiers": [{"start": -1, "rates": rates}]}
    price = Price.from_dict(stored)
    assert (price.writes_long, price.tiers[0].rates) == (False, Rates(5, 7, 5, 6, 0))


def test_a_class_without_a_price_takes_the_dearest_of_its_side_and_an_hour_twice_the_input() -> None:
    assert Rates.of(10, 3) == Rates(10, 3, 10, 10, 20)
    assert Rates.of(10, 3, cached=2) == Rates(10, 3, 2, 10, 20)
    assert Rates.of(10, 3, written=25) == Rates(10, 3, 25, 25, 25)
    assert Rates.of(10, 3, written_long=16) == Rates(10, 3, 10, 10, 16)


def test_the_whole_call_is_priced_at_the_tier_that_its_input_passes() -> None:
    price = Price(
        "t",
        "1",
        (
            Tier(-1, Rates(1_000_000, 1_000_000, 0, 0, 2_000_000)),
            Tier(100, Rates(2_000_000, 3_000_000, 0, 0, 4_000_000)),
        ),
    )
    assert price.cost(Usage(100, 10)) == 110
    assert price.cost(Usage(101, 10)) == 202 + 30


def test_a_hundred_thousand_thirds_of_a_micro_dollar_are_each_rounded_up() -> None:
    price = Price("t", "1", (Tier(-1, Rates(333_333, 333_333, 333_333, 333_333, 666_666)),))
    assert sum(price.cost(Usage(1, 0)) for _ in range(100_000)) == 100_000
    assert price.cost(Usage(2, 1)) == 1
    assert price.cost(Usage(0, 0)) == 0


@pytest.mark.parametrize(
    "usage",
    [
        Usage(-1, 0),
        Usage(0, -1),
        Usage(2**31, 0),
        Usage(0, 2**31),
        Usage(5, 0, cached_input_tokens=6),
        Usage(5, 0, cached_input_tokens=3, cache_write_tokens=3),
        Usage(5, 0, cached_input_tokens=3, cache_write_long_tokens=3),
        Usage(5, 0, cached_input_tokens=-1),
        Usage(True, 0),
        Usage(1.0, 0),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_a_usage_is_absurd(usage: Usage) -> None:
    assert usage.is_absurd()


def test_a_large_usage_is_not_absurd() -> None:
    assert not Usage(2**31 - 1, 2**31 - 1, 2**30, 2**30 - 1).is_absurd()
