"""Figures longer than any machine word are no figures."""

import pytest

from broker.core.details import MAX_COUNT
from broker.web.words import parse_count_input, parse_money_input


@pytest.mark.parametrize("groups", [4, 30, 50_000])
def test_a_figure_of_many_thousands_is_not_read(groups: int) -> None:
    text = "1" + ",000" * groups
    assert parse_count_input(text) is None
    assert parse_money_input(text) is None


def test_the_longest_figure_is_one_that_can_be_stored() -> None:
    assert parse_count_input("999,999,999,999") == 999_999_999_999 <= MAX_COUNT
    assert parse_money_input("1,240.00") == 1_240_000_000
