import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.money import MAX_MONEY, MicroUSD, ceil_div, parse_decimal, to_decimal


@given(st.integers(0, MAX_MONEY - 1))
def test_what_is_written_is_read_again(amount: int) -> None:
    assert parse_decimal(to_decimal(MicroUSD(amount))) == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("5", 5_000_000),
        ("5.00", 5_000_000),
        ("0.000001", 1),
        ("1.5", 1_500_000),
        ("999999999.999999", MAX_MONEY - 1),
    ],
)
def test_dollars_are_read_as_micro_dollars(text: str, amount: int) -> None:
    assert parse_decimal(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "", " 1", "1 ", "1.", ".5", "01", "+1", "-1", "1e3", "1,5", "1_000", "0.0000001", "1000000000", "NaN", "Infinity",
        "١", "１", "1.5\n", "0x1", "1.2.3",
    ],
)  # fmt: skip
def test_what_is_not_a_plain_amount_is_not_read(text: str) -> None:
    assert parse_decimal(text) is None


@pytest.mark.parametrize(("amount", "text"), [(0, "0.00"), (1, "0.000001"), (1_500_000, "1.50"), (2_000_100, "2.0001")])
def test_money_is_written_with_two_places_or_as_many_as_it_needs(amount: int, text: str) -> None:
    assert to_decimal(MicroUSD(amount)) == text


@given(st.integers(0, 10**30), st.integers(1, 10**12))
def test_division_rounds_up_exactly(numerator: int, denominator: int) -> None:
    quotient = ceil_div(numerator, denominator)
    assert (quotient - 1) * denominator < numerator <= quotient * denominator
