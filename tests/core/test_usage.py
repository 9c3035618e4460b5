"""What a call costs, and that no usage within the bounds costs more than the bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.money import MicroUSD
from broker.core.strict_json import dumps, loads
from broker.core.usage import ABSURD_TOKENS, Price, Rates, Tier, Usage

RATES = st.builds(Rates, *[st.integers(0, 200_000_000)] * 4)
STARTS = st.lists(st.integers(0, 5_000), max_size=3, unique=True).map(lambda starts: [-1, *sorted(starts)])


@st.composite
def prices(draw: st.DrawFn) -> Price:
    return Price("test", "1", tuple(Tier(start, draw(RATES)) for start in draw(STARTS)))


@st.composite
def usages(draw: st.DrawFn, most_input: int, most_output: int) -> Usage:
    read = draw(st.integers(0, most_input))
    cached = draw(st.integers(0, read))
    return Usage(read, draw(st.integers(0, most_output)), cached, draw(st.integers(0, read - cached)))


@given(prices(), st.integers(0, 6_000), st.integers(0, 10_000), st.data())
def test_no_usage_within_the_bounds_costs_more_than_the_worst_case(
    price: Price, read: int, written: int, data: st.DataObject
) -> None:
    assert price.cost(data.draw(usages(read, written))) <= price.worst_case(read, written)


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
    price = Price("t", "1", (Tier(-1, Rates(2_000_000, 10_000_000, 1_000_000, 3_000_000)),))
    assert price.cost(Usage(100, 7, cached_input_tokens=40, cache_write_tokens=10)) == 50 * 2 + 40 + 10 * 3 + 7 * 10


def test_the_whole_call_is_priced_at_the_tier_that_its_input_passes() -> None:
    price = Price("t", "1", (Tier(-1, Rates(1_000_000, 1_000_000, 0, 0)), Tier(100, Rates(2_000_000, 3_000_000, 0, 0))))
    assert price.cost(Usage(100, 10)) == 110
    assert price.cost(Usage(101, 10)) == 202 + 30


def test_a_hundred_thousand_thirds_of_a_micro_dollar_are_each_rounded_up() -> None:
    price = Price("t", "1", (Tier(-1, Rates(333_333, 333_333, 333_333, 333_333)),))
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
        Usage(5, 0, cached_input_tokens=-1),
        Usage(True, 0),
        Usage(1.0, 0),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_a_usage_is_absurd(usage: Usage) -> None:
    assert usage.is_absurd()


def test_a_large_usage_is_not_absurd() -> None:
    assert not Usage(2**31 - 1, 2**31 - 1, 2**30, 2**30 - 1).is_absurd()
