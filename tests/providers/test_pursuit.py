"""The usage of a batch is the sum of its requests', and none where one of them cannot be believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.extras import NO_EXTRAS
from broker.core.usage import Price, Rates, Tier, Usage
from broker.providers.openai import PURSUITS
from broker.providers.pursuit import Ended, Sum

USAGES = st.builds(
    lambda plain, out, cached, written, kept: Usage(plain + cached + written + kept, out, cached, written, kept),
    *[st.integers(0, 100_000)] * 5,
)
PRICE = Price(
    "book", "1", (Tier(-1, Rates.of(3_000_000, 15_000_000, cached=300_000, written=3_750_000)),), is_batch=True
)


def summed(used: list[Usage], most_input: int | None = None) -> Usage | None:
    total = Sum(len(used), most_input)
    for each in used:
        total.add(each)
    return total.of(len(used))


@given(st.lists(USAGES, max_size=20))
def test_the_sum_costs_what_its_parts_cost_rounded_up_once(used: list[Usage]) -> None:
    total = summed(used)
    assert total is not None
    costs = [PRICE.cost(each) for each in used]
    assert sum(costs) - len(used) <= PRICE.cost(total) <= sum(costs)
    assert total.extras is NO_EXTRAS


def test_extras_are_added_up_too() -> None:
    seen = NO_EXTRAS._replace(input_image_tokens=100)
    total = summed([Usage(300, 5, extras=seen), Usage(10, 5), Usage(200, 5, extras=seen)])
    assert total == Usage(510, 15, extras=NO_EXTRAS._replace(input_image_tokens=200))


@pytest.mark.parametrize(
    "odd", [None, Usage(-1, 5), Usage(2**31, 5), Usage(5, 5, 6), Usage(201, 1)], ids=["none", "negative", "vast", "more cached", "above the tier"]
)  # fmt: skip
def test_one_that_cannot_be_believed_makes_it_none(odd: Usage | None) -> None:
    total = Sum(3, most_input=200)
    for each in (Usage(200, 1), odd, Usage(200, 1)):
        total.add(each)
    assert total.of(3) is None


def test_there_are_as_many_as_were_said_and_no_more_than_were_sent() -> None:
    total = Sum(2, None)
    total.add(Usage(1, 1))
    assert (total.of(2), total.of(1)) == (None, Usage(1, 1))
    total.add(Usage(1, 1))
    total.add(Usage(1, 1))
    assert total.of(3) is None


@pytest.mark.parametrize("status", ["completed", "expired", "cancelled"])
def test_a_batch_that_does_not_say_how_many_ran_has_no_usage(status: str) -> None:
    pursued = PURSUITS["openai", "batch"]
    ended = pursued.ended({"status": status}, "batch_1")
    assert ended == Ended()
    ended = pursued.ended({"status": status, "request_counts": {"completed": 0}}, "batch_1")
    assert ended == Ended(is_sum=True)
    assert pursued.ended({"status": "failed"}, "batch_1") == Ended(is_sum=True)
