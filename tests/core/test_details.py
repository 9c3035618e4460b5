"""Reading authorization_details: what is not exactly right is refused whole."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.access import Access
from broker.core.details import BadDetails, parse_details
from tests.core.accesses import ASKED, GRANTED

GOOD: dict[str, Any] = {"type": "ai_model_access", "provider": "openai", "models": ["gpt-4o"], "actions": ["chat"]}


def read(**changes: object) -> tuple[Access, ...]:
    return parse_details(json.dumps([GOOD | changes]))


@given(st.lists(ASKED, min_size=1, max_size=4))
def test_what_is_asked_comes_back_from_json_as_it_went(accesses: list[Access]) -> None:
    wire = [access.to_wire() for access in accesses]
    assert parse_details(json.dumps(wire)) == tuple(accesses)
    assert parse_details(wire) == tuple(accesses)  # type: ignore[arg-type]


@given(GRANTED)
def test_what_was_granted_may_be_given_back_at_the_token_endpoint(access: Access) -> None:
    assert parse_details(json.dumps([access.to_wire()]), "token") == (access,)


def test_at_the_token_endpoint_members_may_be_absent() -> None:
    (access,) = parse_details('[{"type":"ai_model_access","provider":"openai"}]', "token")
    assert access == Access(provider="openai")


@pytest.mark.parametrize("name", ["expires_at", "identifier"])
def test_what_only_the_server_adds_is_refused_in_a_request(name: str) -> None:
    value: object = 100 if name == "expires_at" else "key_a"
    assert parse_details(json.dumps([GOOD | {name: value}]), "token")
    with pytest.raises(BadDetails):
        read(**{name: value})


@pytest.mark.parametrize("name", ["type", "provider", "models", "actions"])
def test_a_required_member_is_missed(name: str) -> None:
    element = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(BadDetails):
        parse_details(json.dumps([element]))


def usd(amount: object, **more: object) -> dict[str, object]:
    return {"amount": amount, "currency": "USD", **more}


@pytest.mark.parametrize(
    "changes",
    [
        {"unknown": 1},
        {"type": "payment_initiation"},
        {"type": None},
        {"provider": "OpenAI"},
        {"provider": ""},
        {"provider": "-x"},
        {"provider": "a" * 65},
        {"provider": ["openai"]},
        {"provider": "openai\n"},
        {"models": []},
        {"models": "gpt-4o"},
        {"models": ["gpt-4o", "gpt-4o"]},
        {"models": ["gpt-4o", 4]},
        {"models": ["gpt-*-mini"]},
        {"models": ["**"]},
        {"models": [""]},
        {"models": ["gpt 4o"]},
        {"models": ["gpt-4ö"]},
        {"models": ["m" * 201]},
        {"models": [f"m{n}" for n in range(65)]},
        {"actions": []},
        {"actions": ["chat", "chat"]},
        {"actions": ["everything"]},
        {"actions": ["models"]},
        {"budget": 5},
        {"budget": "5.00"},
        {"budget": {}},
        {"budget": {"amount": "5.00"}},
        {"budget": usd(5)},
        {"budget": usd(5.0)},
        {"budget": usd("-5.00")},
        {"budget": usd("0")},
        {"budget": usd("0.0000001")},
        {"budget": usd("1e9")},
        {"budget": usd("1,000.00")},
        {"budget": usd(" 5.00")},
        {"budget": usd("05.00")},
        {"budget": usd("５.00")},
        {"budget": usd("NaN")},
        {"budget": usd("Infinity")},
        {"budget": usd("9999999999.00")},
        {"budget": {"amount": "5.00", "currency": "EUR"}},
        {"budget": {"amount": "5.00", "currency": "usd"}},
        {"budget": usd("5.00", per="year")},
        {"budget": usd("5.00", per=None)},
        {"budget": usd("5.00", note="x")},
        {"max_requests": 0},
        {"max_requests": -1},
        {"max_requests": 1.0},
        {"max_requests": True},
        {"max_requests": "5"},
        {"max_requests": 10**30},
        {"max_requests": None},
        {"rate_limit": {}},
        {"rate_limit": 5},
        {"rate_limit": {"requests_per_minute": 0}},
        {"rate_limit": {"requests_per_hour": 5}},
        {"max_output_tokens": 0},
        {"expires_in": 59},
        {"expires_in": 10**30},
        {"locations": []},
        {"locations": "https://a.example"},
        {"purpose": ""},
        {"purpose": "x" * 281},
        {"purpose": 5},
    ],
)
def test_a_wrong_member_refuses_the_whole_request(changes: dict[str, object]) -> None:
    with pytest.raises(BadDetails) as found:
        read(**changes)
    assert found.value.args[0].isascii()
    assert not set('"\\') & set(found.value.args[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        "[]",
        "[null]",
        "[[]]",
        '["ai_model_access"]',
        "[" * 10_000,
        "[" * 100 + "]" * 100,
        json.dumps([GOOD] * 17),
        json.dumps([GOOD])[:-1],
        json.dumps([GOOD]).replace('"provider"', '"provider": "x", "provider"'),
        json.dumps([GOOD | {"max_requests": 1}]).replace("1", "NaN"),
        json.dumps([GOOD | {"max_requests": 1}]).replace("1", "1e5"),
        json.dumps([GOOD | {"purpose": "x" * 70_000}]),
        json.dumps([GOOD | {"purpose": "p"}]).replace('"p"', '"\\ud800"'),
        "\ud800",
    ],
)
def test_text_with_more_than_one_reading_is_refused(text: str) -> None:
    with pytest.raises(BadDetails):
        parse_details(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "budget", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_json_at_all_is_read_or_refused(value: object) -> None:
    try:
        accesses = parse_details(json.dumps([value]))
    except BadDetails:
        return
    assert all(isinstance(access, Access) for access in accesses)
