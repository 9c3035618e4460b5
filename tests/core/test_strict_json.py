"""JSON that two readers could understand in two ways is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.strict_json import MAX_DEPTH, JSONValue, NotStrict, dumps, loads

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[JSONValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_again(value: JSONValue) -> None:
    assert loads(dumps(value)) == value


@given(VALUES)
def test_escaped_text_is_read_as_the_text(value: JSONValue) -> None:
    assert loads(json.dumps(value, ensure_ascii=True).encode()) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        loads(raw)
    except NotStrict:
        return
    json.loads(raw)


@given(
    VALUES, st.sampled_from(['{{"a":1,"a":{}}}', '[{{"x":{{"b":{},"\\u0062":2}}}}]', '{{"q":{{"a":{},"b":1,"a":1}}}}'])
)
def test_a_key_that_stands_twice_is_refused_at_any_depth(value: JSONValue, around: str) -> None:
    with pytest.raises(NotStrict):
        loads(around.format(dumps(value).decode()).encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"nul", b"NaN", b"[Infinity]", b"-Infinity", b'{"a":1e999}', b"-1e999", b"[1,]", b'{"a":1,}', b"{'a':1}",
        b"01", b"1 2", b"[1]]", b'"\x01"', b'"a', b"\xef\xbb\xbf{}", b'"\xff"', b'"\xed\xa0\x80"', b'"\\ud800"',
        b'{"\\udfff":1}', b'["\\ude00\\ud83d"]', b"/**/1", b"+1", b".5", b"1" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_strict_is_refused(raw: bytes) -> None:
    with pytest.raises(NotStrict):
        loads(raw)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize(("left", "right"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_bounded(left: bytes, right: bytes) -> None:
    assert loads(left * MAX_DEPTH + b"1" + right * MAX_DEPTH) is not None
    with pytest.raises(NotStrict):
        loads(left * (MAX_DEPTH + 1) + b"1" + right * (MAX_DEPTH + 1))
    with pytest.raises(NotStrict):
        loads(left * 100_000)


def test_brackets_in_texts_and_side_by_side_are_not_depth() -> None:
    assert loads(dumps(["[{" * 200, '\\"[' * 100])) == ["[{" * 200, '\\"[' * 100]
    assert loads(b"[" + b"[1]," * 500 + b"1]") == [[1]] * 500 + [1]


SIGNS: st.SearchStrategy[JSONValue] = st.recursive(
    st.text('"\\\\[]{},:a\n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('"\\\\[{'), inner, max_size=3),
)


@given(SIGNS)
def test_depth_is_counted_around_texts_of_any_signs(value: JSONValue) -> None:
    raw, room = dumps(value), MAX_DEPTH - _depth(value)
    assert loads(b"[" * room + raw + b"]" * room) is not None
    with pytest.raises(NotStrict, match="nested too deeply"):
        loads(b"[" * (room + 1) + raw + b"]" * (room + 1))


def _depth(value: JSONValue) -> int:
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


@pytest.mark.parametrize(
    "raw",
    [
        b'\\"' + b"[" * 100_000,
        b'["\\\\",\\"' + b"[" * 100_000,
        b"[1]" * 100_000,
        b'"' * 5_000_000,
        b"\\" * 99 + b"[" * 99,
    ],
)
def test_what_is_no_json_is_refused_whatever_stands_behind_its_fault(raw: bytes) -> None:
    with pytest.raises(NotStrict):
        loads(raw)


def test_what_json_does_not_know_is_not_written() -> None:
    with pytest.raises(ValueError):
        dumps([float("nan")])
    with pytest.raises(TypeError):
        dumps(object())
