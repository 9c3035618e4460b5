"""Whatever a person chooses, what is granted is within what was asked for and what the operator allows."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from broker.core.access import ACTIONS, Access, Budget, Period, RateLimit, first_excess
from broker.core.clock import to_seconds
from broker.core.money import MicroUSD
from broker.oauth.consent_judge import judge
from broker.oauth.consent_terms import (
    CAUTIOUS_BUDGET,
    CAUTIOUS_SECONDS,
    COUNT_FIELDS,
    Offer,
    Policy,
    Present,
    Terms,
    ceiling,
    count_of,
    element_of,
    prefill,
)
from tests.turned_clock import NOON

START = to_seconds(NOON)
MODELS = ("gpt-4.1", "gpt-4.1-mini", "gpt-4.1*", "gpt-*", "*", "o3")

amounts = st.integers(1, 10**8).map(MicroUSD)
dollars = st.integers(10_000, 10**8).map(MicroUSD)
counts = st.none() | st.integers(1, 10**6)
periods: st.SearchStrategy[Period] = st.sampled_from(["grant", "day", "week", "month"])
patterns = st.lists(st.sampled_from(MODELS), min_size=1, unique=True).map(tuple)
actions = st.lists(st.sampled_from(ACTIONS), min_size=1, unique=True).map(tuple)
rates = st.builds(RateLimit, counts, counts, counts)

wishes = st.builds(
    Access,
    provider=st.just("openai"),
    models=patterns,
    actions=actions,
    budget=st.none() | st.builds(Budget, amounts, periods),
    max_requests=counts,
    rate_limit=rates,
    max_output_tokens=counts,
    expires_in=st.none() | st.integers(60, 10**8),
)
elements = st.builds(
    Access,
    provider=st.just("openai"),
    models=patterns,
    actions=actions,
    budget=st.builds(Budget, amounts, periods),
    max_requests=counts,
    rate_limit=rates,
    max_output_tokens=counts,
    expires_at=st.integers(START + 1, START + 10**8),
)
policies = st.builds(
    Policy,
    max_budget=dollars,
    default_budget=dollars,
    max_seconds=st.integers(1, 365).map(lambda days: days * 86_400),
    default_seconds=st.integers(1, 30).map(lambda days: days * 86_400),
    operator_keys=st.just("nobody"),
)
used = st.integers(0, 10**7)


@st.composite
def offers(draw: st.DrawFn, *, fresh: bool = False) -> Offer:
    asked, has = draw(wishes), None if fresh else draw(st.none() | elements)
    present = None
    if has is not None:
        present = Present(
            "crd_a", has, draw(used) if has.budget and has.budget.per == "grant" else 0, 0, draw(used), 60
        )
    return Offer(
        asked=asked,
        keys=("crd_a", "crd_b"),
        policy=draw(policies),
        present=present,
        continues=has is not None,
        cautious=draw(st.booleans()),
    )


def choices(offer: Offer) -> st.SearchStrategy[Terms]:
    """Around the bounds, below and above."""
    most = ceiling(offer, NOON)
    assert most.budget is not None
    assert most.expires_at is not None
    limit, near = most.budget.amount, st.integers(-3, 3)
    around = {name: counts | near.map((count_of(most, name) or 5).__add__) for name in COUNT_FIELDS}
    return st.builds(
        Terms,
        credential_id=st.sampled_from(["crd_a", "crd_b", "crd_theirs", ""]),
        spares=st.lists(st.sampled_from(["crd_b", "crd_a", "crd_theirs"]), unique=True, max_size=2).map(tuple),
        budget=st.none() | near.map(lambda more: MicroUSD(limit + more)) | amounts,
        ends_at=st.none()
        | near.map(lambda more: (most.expires_at or 0) + more)
        | st.integers(START - 5, START + 10**8),
        models=st.lists(st.sampled_from(MODELS), unique=True).map(tuple),
        actions=st.lists(st.sampled_from(ACTIONS), unique=True).map(tuple),
        counts=st.fixed_dictionaries(around),
    )


@given(st.data())
def test_what_passes_the_judge_is_within_the_ceiling(data: st.DataObject) -> None:
    offer = data.draw(offers())
    terms = data.draw(choices(offer))
    if judge(offer, terms, NOON) == ():
        granted = element_of(offer, terms)
        assert first_excess(granted, ceiling(offer, NOON)) is None
        assert granted.models
        assert granted.actions
        assert {terms.credential_id, *terms.spares} <= set(offer.keys)


@given(st.data())
def test_the_ceiling_is_what_was_asked_for_within_the_caps(data: st.DataObject) -> None:
    offer = data.draw(offers(fresh=True))
    most = ceiling(offer, NOON)
    wish = offer.asked if offer.asked.budget else replace(offer.asked, budget=None)
    ends_at = None if wish.expires_in is None else START + wish.expires_in
    assert first_excess(most, replace(wish, expires_in=None, expires_at=ends_at)) is None
    assert most.budget is not None
    assert most.budget.amount <= offer.policy.max_budget
    assert most.expires_at is not None
    assert most.expires_at <= START + offer.policy.max_seconds


@given(st.data())
def test_what_goes_on_gets_at_most_what_was_asked_for_from_now_on(data: st.DataObject) -> None:
    offer = data.draw(offers())
    if offer.present is None:
        return
    most = ceiling(offer, NOON)
    assert most.budget is not None
    asked = math.inf if offer.asked.budget is None else offer.asked.budget.amount
    assert most.budget.amount - offer.present.spent <= min(asked, offer.policy.max_budget)
    if offer.asked.max_requests is not None:
        assert most.max_requests == offer.asked.max_requests + offer.present.requests_used
    for pattern in most.models:
        assert first_excess(replace(most, models=(pattern,)), replace(most, models=offer.asked.models)) is None


@given(offers(fresh=True))
def test_a_fresh_form_can_be_approved_as_it_stands(offer: Offer) -> None:
    start = prefill(offer, NOON)
    assert judge(offer, start, NOON) == ()
    if offer.cautious:
        granted = element_of(offer, start)
        assert granted.budget is not None
        assert granted.budget.amount <= CAUTIOUS_BUDGET
        assert granted.expires_at is not None
        assert granted.expires_at <= START + CAUTIOUS_SECONDS


@given(offers())
def test_what_goes_on_starts_no_wider_than_it_is(offer: Offer) -> None:
    present = offer.present
    if present is None:
        return
    start = prefill(offer, NOON)
    has, granted = present.element, element_of(offer, start)
    assert granted.budget is not None
    assert has.budget is not None
    assert granted.budget.amount <= has.budget.amount
    same_period = replace(granted, budget=replace(granted.budget, per=has.budget.per))
    assert first_excess(same_period, has) is None
