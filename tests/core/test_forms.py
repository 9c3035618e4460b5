from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import BadForm
from broker.core.forms import MAX_BYTES, MAX_FIELDS, parse_form

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)


@given(st.dictionaries(TEXT, TEXT, max_size=6))
def test_what_was_encoded_is_read_again(fields: dict[str, str]) -> None:
    form = parse_form(urlencode(fields).encode())
    assert {name: form.one(name) for name in form.names()} == fields


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        form = parse_form(raw)
    except BadForm:
        return
    assert all(isinstance(name, str) for name in form.names())


def test_a_field_that_stands_twice_is_never_chosen_from() -> None:
    form = parse_form(b"a=1&b=2&a=3")
    assert form.has_repeated()
    assert form.all("a") == ["1", "3"]
    assert form.one("b") == "2"
    with pytest.raises(BadForm):
        form.one("a")


def test_an_empty_value_counts_as_absent() -> None:
    form = parse_form(b"a=&b")
    assert (form.one("a"), form.one("b"), form.one("c"), form.text("a"), form.all("a")) == (None, None, None, "", [])
    assert form.names() == ["a", "b"]


@pytest.mark.parametrize(
    "raw",
    [b"a=%ff", b"%c3%28=1", b"a=\xc3\xa9", b"a=%00", b"%00=a", b"a" * (MAX_BYTES + 1), b"a=1&" * (MAX_FIELDS + 1)],
    ids=["bad UTF-8", "bad UTF-8 in a name", "raw bytes", "NUL", "NUL in a name", "too long", "too many"],
)
def test_what_cannot_be_read_in_one_way_is_refused(raw: bytes) -> None:
    with pytest.raises(BadForm):
        parse_form(raw)


def test_a_form_does_not_show_its_values() -> None:
    assert repr(parse_form(b"password=hunter2")) == "<form ['password']>"
