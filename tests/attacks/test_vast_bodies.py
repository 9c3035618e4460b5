"""A body of millions of small values must not keep a worker from its other calls, and from its lease."""

from collections.abc import Callable

import pytest

from broker.core.strict_json import MAX_VALUES, NotStrict, dumps, loads

VAST = MAX_VALUES + 1


@pytest.mark.parametrize(
    "made",
    [
        lambda: b"[" + b"{}," * VAST + b"0]",
        lambda: b"[" + b"[]," * VAST + b"0]",
        lambda: b"[" + b"1," * VAST + b"0]",
        lambda: dumps({str(number): "" for number in range(VAST + 1)}),
        lambda: dumps({"messages": [{"role": "user", "content": "hello"}] * VAST}),
    ],
    ids=["objects", "arrays", "numbers", "members", "messages"],
)
def test_too_many_values_are_refused_before_they_are_made(made: Callable[[], bytes]) -> None:
    raw = made()
    with pytest.raises(NotStrict, match="too many values"):
        loads(raw)


def test_signs_inside_a_text_are_no_values() -> None:
    text = 'a,b,[{"\\",' * VAST
    assert loads(dumps({"content": text})) == {"content": text}
    assert loads(b"[" + b"1," * 1000 + b"0]") == [1] * 1000 + [0]
