"""The published schema and the parser take the same objects, but for what the language of schemas cannot say."""

import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError, validators

from broker.core.access import ALL_ACTIONS, PERIODS
from broker.core.details import BadDetails, parse_details
from broker.oauth.details_schema import SCHEMA
from tests.core.accesses import ASKED


def _pattern(_validator: object, pattern: str, instance: object, _schema: object) -> Iterator[ValidationError]:
    """As ECMA-262 has it, and not Python: `$` is the end of the text, never the place before a last line break."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError("does not match")


Validator = validators.extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]

NUMBERS = st.integers(-1, 3) | st.sampled_from((59, 60, 10**10, 10**10 + 1, 10**12, 10**12 + 1, 10**30))
JUNK: st.SearchStrategy[Any] = st.none() | st.booleans() | st.text(max_size=2) | NUMBERS | st.just([]) | st.just({})
TEXTS = st.text(max_size=3) | st.sampled_from(("x" * 200, "x" * 201, "x" * 280, "x" * 281, "x" * 500, "x" * 501, "é\n"))
PROVIDERS = st.sampled_from(("openai", "a", "a" * 64, "a" * 65, "-a", "A", "openai\n", "a_b-c", ""))
MODELS = st.sampled_from(
    ("*", "gpt-*", "gpt-4o", "g*t", "**", "a b", "é", "", "m" * 199 + "*", "m" * 200, "m" * 201, "a\n")
)
AMOUNTS = st.sampled_from(
    (
        *("5", "5.00", "0.000001", "999999999.999999", "0", "0.0", "0.000000", "0.0000001", "1000000000"),
        *("05", "-1", "1e3", "1,0", "9999999999", "5.", ".5", " 5", "5\n", "", "NaN", "0.00000\n"),
    )
)


def lists(items: st.SearchStrategy[Any], longest: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, max_size=longest)


BUDGETS = st.fixed_dictionaries(
    {},
    optional={
        "amount": AMOUNTS | JUNK,
        "currency": st.sampled_from(("USD", "usd", "EUR")) | JUNK,
        "per": st.sampled_from((*PERIODS, "year")) | JUNK,
        "note": JUNK,
    },
)
RATE_NAMES = ("requests_per_minute", "tokens_per_minute", "concurrent", "requests_per_hour")
RATES = st.fixed_dictionaries({}, optional=dict.fromkeys(RATE_NAMES, NUMBERS | JUNK))
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(("ai_model_access", "llm-inference")) | JUNK,
    "provider": PROVIDERS | JUNK,
    "models": lists(MODELS) | st.just([f"m{n}" for n in range(65)]) | st.just([f"m{n}" for n in range(64)]) | JUNK,
    "actions": lists(st.sampled_from((*ALL_ACTIONS, "everything"))) | st.just(list(ALL_ACTIONS)) | JUNK,
    "budget": BUDGETS | JUNK,
    "max_requests": NUMBERS | JUNK,
    "rate_limit": RATES | JUNK,
    "max_output_tokens": NUMBERS | JUNK,
    "expires_in": NUMBERS | JUNK,
    "locations": lists(TEXTS, 9) | st.just([f"l{n}" for n in range(9)]) | JUNK,
    "purpose": TEXTS | JUNK,
    "expires_at": NUMBERS,
    "identifier": TEXTS,
    "unknown": JUNK,
}


def is_read(element: dict[str, Any]) -> bool:
    try:
        return bool(parse_details(json.dumps([element])))
    except BadDetails:
        return False


def is_valid(element: dict[str, Any]) -> bool:
    return bool(Validator(SCHEMA).is_valid(element))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@given(st.fixed_dictionaries({}, optional=MEMBERS))
def test_any_object_is_valid_exactly_when_it_is_read(element: dict[str, Any]) -> None:
    assert is_valid(element) == is_read(element)


@given(ASKED, st.sampled_from(sorted(MEMBERS)), st.data())
def test_a_right_object_with_one_member_changed_is_valid_exactly_when_it_is_read(
    access: Any, name: str, data: st.DataObject
) -> None:
    element = access.to_wire()
    assert is_valid(element)
    assert is_read(element)
    element[name] = data.draw(MEMBERS[name])
    assert is_valid(element) == is_read(element)
    del element[name]
    assert is_valid(element) == is_read(element)


def test_what_a_schema_cannot_say_is_how_a_whole_number_is_written() -> None:
    """To a schema 5.0 is an integer; here it is refused, as every number with a fraction or an exponent is."""
    element = {
        "type": "ai_model_access",
        "provider": "openai",
        "models": ["*"],
        "actions": ["chat"],
        "max_requests": 5.0,
    }
    assert is_valid(element)
    assert not is_read(element)
