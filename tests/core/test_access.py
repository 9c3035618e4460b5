"""The order of accesses, and narrowing within it."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.access import (
    Access,
    Budget,
    RateLimit,
    first_excess,
    lesser,
    narrow,
    narrow_all,
    pattern_within,
)
from broker.core.money import MicroUSD
from tests.core.accesses import ANY, ASKED, GRANTED, LIMITS, MODELS, NARROWING, lessened

CALLS = ("gpt-4o", "gpt-4o-mini", "gpt-5", "o1", "claude-3", "gemini")
NOTHING, TOO_MUCH = Budget(MicroUSD(0)), Budget(MicroUSD(10**9))
BASE = Access(provider="openai", models=("gpt-*",), actions=("chat", "images"))


def within(inner: Access, outer: Access) -> bool:
    return first_excess(inner, outer) is None


@given(ANY)
def test_every_access_is_within_itself(access: Access) -> None:
    assert within(access, access)


@given(st.data(), GRANTED | ASKED)
def test_less_in_every_member_is_within(data: st.DataObject, outer: Access) -> None:
    middle = data.draw(lessened(outer))
    assert within(middle, outer)
    inner = data.draw(lessened(middle))
    assert within(inner, middle)
    assert within(inner, outer)


@given(ANY, ANY, ANY)
def test_the_order_is_transitive_whatever_is_compared(left: Access, middle: Access, right: Access) -> None:
    middle, right = replace(middle, provider=left.provider), replace(right, provider=left.provider)
    if within(left, middle) and within(middle, right):
        assert within(left, right)


@given(st.data(), ANY, st.sampled_from(CALLS))
def test_two_that_are_within_each_other_mean_the_same(data: st.DataObject, left: Access, model: str) -> None:
    """Antisymmetric up to how it is written: the same models in other patterns, in another order, for another purpose."""
    right = data.draw(_rewritten(left))
    assert within(left, right)
    assert within(right, left)
    assert left.covers_model(model) == right.covers_model(model)


MEMBERS = ("models", "actions", "budget", "max_requests", "rate_limit", "max_output_tokens", "expires_at", "locations")


@given(st.data(), ANY, ANY, st.sampled_from(MEMBERS), st.sampled_from(CALLS))
def test_what_is_within_each_other_allows_the_same(
    data: st.DataObject, left: Access, other: Access, member: str, model: str
) -> None:
    right = replace(data.draw(_rewritten(left)), **{member: getattr(other, member)})
    if not (within(left, right) and within(right, left)):
        return
    assert left.covers_model(model) == right.covers_model(model)
    assert set(left.actions) == set(right.actions)
    assert _limits(left) == _limits(right)


def _limits(access: Access) -> Access:
    return replace(
        access, models=(), actions=(), locations=access.locations and tuple(sorted(access.locations)), purpose=None
    )


@st.composite
def _rewritten(draw: st.DrawFn, access: Access) -> Access:
    """Says the same: what one pattern covers may be named beside it, and nothing has an order."""
    spoken = [*access.models, *(pattern[:-1] + "x" for pattern in access.models if pattern.endswith("*"))]
    return replace(
        access,
        models=tuple(draw(st.permutations(spoken))),
        actions=tuple(draw(st.permutations(access.actions))),
        locations=None if access.locations is None else tuple(draw(st.permutations(access.locations))),
        purpose=draw(st.none() | st.just("another")),
    )


@given(NARROWING, GRANTED)
def test_narrowing_again_by_the_same_changes_nothing(asked: Access, granted: Access) -> None:
    once = narrow(asked, granted)
    assert narrow(asked, once) == once


@given(st.data(), GRANTED | ASKED, ANY, st.sampled_from(CALLS))
def test_what_is_within_covers_no_call_that_the_other_does_not(
    data: st.DataObject, outer: Access, other: Access, model: str
) -> None:
    for inner in (data.draw(lessened(outer)), replace(other, provider=outer.provider)):
        if within(inner, outer):
            assert outer.covers_model(model) or not inner.covers_model(model)
            assert set(inner.actions) <= set(outer.actions)


@given(NARROWING, GRANTED, st.sampled_from(CALLS))
def test_narrowing_never_widens(asked: Access, granted: Access, model: str) -> None:
    """What a token may do is what was granted, or the request is refused by name."""
    pairs = narrow_all((asked,), (granted,))
    if isinstance(pairs, str):
        return
    ((position, result),) = pairs
    assert position == 0
    assert within(result, granted)
    assert granted.covers_model(model) or not result.covers_model(model)
    assert (result.budget or TOO_MUCH).amount <= (granted.budget or NOTHING).amount
    assert (result.expires_at or 999) <= (granted.expires_at or 0)
    assert result.purpose is None


@given(st.data(), GRANTED)
def test_whatever_is_less_may_be_asked_for_and_is_what_comes_out(data: st.DataObject, granted: Access) -> None:
    less = data.draw(lessened(granted))
    assert narrow_all((less,), (granted,)) == [(0, replace(less, locations=granted.locations))]


@given(st.lists(NARROWING, min_size=1, max_size=3), st.lists(GRANTED, min_size=1, max_size=3))
def test_each_asked_access_takes_one_granted_access_of_its_own(asked: list[Access], granted: list[Access]) -> None:
    pairs = narrow_all(tuple(asked), tuple(granted))
    if isinstance(pairs, str):
        return
    assert len(pairs) == len(asked)
    assert len({position for position, _ in pairs}) == len(asked)
    assert all(within(result, granted[position]) for position, result in pairs)


@given(st.lists(NARROWING, min_size=1, max_size=3), st.lists(GRANTED, min_size=1, max_size=3))
def test_what_can_be_paired_in_any_order_is_not_refused(asked: list[Access], granted: list[Access]) -> None:
    def covers(one: Access, outer: Access) -> bool:
        return one.provider == outer.provider and within(narrow(one, outer), outer)

    ways = permutations(granted, len(asked))
    can = any(all(covers(one, outer) for one, outer in zip(asked, way, strict=True)) for way in ways)
    assert isinstance(narrow_all(tuple(asked), tuple(granted)), str) is not can


def test_the_first_makes_room_for_one_that_fits_nowhere_else() -> None:
    both, mini = Access("openai", ("gpt-4o", "gpt-4o-mini")), Access("openai", ("gpt-4o-mini",))
    asked = (Access("openai", ("gpt-4o-mini",)), Access("openai", ("gpt-4o",)))
    pairs = narrow_all(asked, (both, mini))
    assert not isinstance(pairs, str)
    assert [(position, result.models) for position, result in pairs] == [(1, ("gpt-4o-mini",)), (0, ("gpt-4o",))]


@given(GRANTED)
def test_asking_for_nothing_in_particular_inherits_everything(granted: Access) -> None:
    assert narrow_all((Access(provider=granted.provider),), (granted,)) == [(0, granted)]


@given(st.sampled_from(MODELS), st.sampled_from(MODELS), st.sampled_from(CALLS))
def test_a_pattern_within_another_names_no_model_that_the_other_does_not(inner: str, outer: str, model: str) -> None:
    if pattern_within(inner, outer) and pattern_within(model, inner):
        assert pattern_within(model, outer)


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "gpt-*", True),
        ("gpt-*", "gpt-4o", False),
        ("gpt-4o*", "gpt-*", True),
        ("gpt-*", "gpt-4o*", False),
        ("*", "*", True),
        ("*", "gpt-*", False),
        ("GPT-4o", "gpt-4o", False),
    ],
)
def test_patterns_are_exact_or_prefixes(inner: str, outer: str, expected: bool) -> None:
    assert pattern_within(inner, outer) is expected


@given(LIMITS, LIMITS)
def test_no_limit_is_more_than_any_limit(left: int | None, right: int | None) -> None:
    tighter = lesser(left, right)
    assert tighter == min((value for value in (left, right) if value is not None), default=None)
    assert within(replace(BASE, max_requests=tighter), replace(BASE, max_requests=left))


@pytest.mark.parametrize(
    ("inner", "member"),
    [
        ({"provider": "anthropic"}, "provider"),
        ({"models": ("gpt-4o", "o1")}, "models"),
        ({"actions": ("chat", "audio")}, "actions"),
        ({"budget": None}, "budget"),
        ({"budget": Budget(MicroUSD(2_000_001))}, "budget"),
        ({"budget": Budget(MicroUSD(1), "day")}, "budget"),
        ({"max_requests": 11}, "max_requests"),
        ({"max_requests": None}, "max_requests"),
        ({"rate_limit": RateLimit(6, 5, 5)}, "requests_per_minute"),
        ({"rate_limit": RateLimit(5, None, 5)}, "tokens_per_minute"),
        ({"rate_limit": RateLimit(5, 5, 6)}, "concurrent"),
        ({"max_output_tokens": 101}, "max_output_tokens"),
        ({"expires_in": 61}, "expires_in"),
        ({"expires_at": None}, "expires_at"),
        ({"identifier": "key_b"}, "identifier"),
        ({"locations": None}, "locations"),
        ({"locations": ("https://a.example", "https://b.example")}, "locations"),
    ],
)
def test_each_member_in_excess_is_named(inner: dict[str, object], member: str) -> None:
    outer = replace(
        BASE,
        budget=Budget(MicroUSD(2_000_000)),
        max_requests=10,
        rate_limit=RateLimit(5, 5, 5),
        max_output_tokens=100,
        expires_in=60,
        expires_at=100,
        identifier="key_a",
        locations=("https://a.example",),
    )
    assert first_excess(replace(outer, **inner), outer) == member  # type: ignore[arg-type]
