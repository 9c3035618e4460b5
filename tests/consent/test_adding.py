"""What an app asks to add to what it has: all of the wish, and nothing lost of what goes on."""

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from broker.core.access import Access, first_excess
from broker.core.money import MAX_MONEY, MicroUSD
from broker.oauth.consent_changes import changes_of
from broker.oauth.consent_judge import judge
from broker.oauth.consent_target import added_to
from broker.oauth.consent_terms import CENT, Offer, Policy, Present, ceiling, element_of, prefill
from tests.consent.test_terms import START, elements, used, wishes
from tests.turned_clock import NOON

WIDE = Policy(MicroUSD(MAX_MONEY), MicroUSD(10_000), 10**10, 86_400, "nobody")
"""An operator who caps nothing."""


@st.composite
def presents(draw: st.DrawFn) -> Present:
    has = draw(elements)
    assume(has.budget is not None and has.budget.amount >= CENT)
    spent = draw(used) if has.budget is not None and has.budget.per == "grant" else 0
    left = (has.expires_at or 0) - START
    return Present("crd_a", has, spent, 0, draw(used), draw(st.integers(left, left + 10**6)))


def adding(asked: Access, present: Present) -> Offer:
    return Offer(added_to(asked, present), ("crd_a",), WIDE, present, continues=True, adds=True)


@settings(max_examples=30)
@given(wishes, presents())
def test_the_whole_wish_is_in_it(asked: Access, present: Present) -> None:
    assert first_excess(asked, added_to(asked, present)) is None


@settings(max_examples=30)
@given(wishes, presents())
def test_what_goes_on_may_go_on_as_it_is(asked: Access, present: Present) -> None:
    offer = adding(asked, present)
    most = ceiling(offer, NOON)
    has = present.element
    if most.budget is not None and has.budget is not None and most.budget.per != has.budget.per:
        has = replace(has, budget=most.budget)
    assert first_excess(has, replace(most, max_requests=None)) is None
    if most.max_requests is not None:
        assert has.max_requests is not None
        assert has.max_requests <= most.max_requests
    untouched = prefill(offer, NOON)
    assert judge(offer, untouched, NOON) == ()
    assert set(has.actions) <= set(element_of(offer, untouched).actions)


@settings(max_examples=30)
@given(wishes, presents())
def test_nothing_of_it_is_called_less(asked: Access, present: Present) -> None:
    assert all(change.way != "less" for change in changes_of(adding(asked, present)))
