"""What a narrowed token is worth: no more than what it was narrowed to, and no more than what its grant gives now."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from broker.core.access import ACTIONS, Access, Budget, RateLimit, first_excess, pattern_within
from broker.core.money import MicroUSD
from broker.ledger.worth import meet

MODELS = ("gpt-4.1", "gpt-4.1-mini", "gpt-4.1*", "gpt-*", "*", "o3")
counts = st.none() | st.integers(1, 1000)
elements = st.builds(
    Access,
    provider=st.just("openai"),
    models=st.lists(st.sampled_from(MODELS), min_size=1, unique=True).map(tuple),
    actions=st.lists(st.sampled_from(ACTIONS), min_size=1, unique=True).map(tuple),
    budget=st.builds(Budget, st.integers(1, 1000).map(MicroUSD)),
    max_requests=counts,
    rate_limit=st.builds(RateLimit, counts, counts, counts),
    max_output_tokens=counts,
    expires_at=st.integers(1, 1000),
)


@given(elements, elements)
def test_it_is_within_both(granted: Access, cap: Access) -> None:
    both = meet(granted, cap)
    assert first_excess(both, granted) is None
    assert first_excess(both, cap) is None


@given(elements, elements, st.sampled_from(["gpt-4.1", "gpt-4.1-mini", "gpt-5", "o3", "o3-mini"]))
def test_it_has_every_model_that_both_have(granted: Access, cap: Access, model: str) -> None:
    in_both = all(any(pattern_within(model, pattern) for pattern in one.models) for one in (granted, cap))
    assert any(pattern_within(model, pattern) for pattern in meet(granted, cap).models) == in_both


@given(elements)
def test_a_cap_that_is_the_grant_itself_takes_nothing_away(granted: Access) -> None:
    both = meet(granted, granted)
    assert set(both.models) == set(granted.models)
    assert replace(both, models=granted.models) == granted


def test_a_grants_budget_that_renews_otherwise_leaves_the_tokens_own() -> None:
    granted = Access("openai", ("*",), ("chat",), Budget(MicroUSD(5), "day"))
    cap = replace(granted, budget=Budget(MicroUSD(9)))
    assert meet(granted, cap).budget == cap.budget
