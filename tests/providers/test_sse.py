"""A stream is split into events wherever its bytes were cut, and not one byte is changed."""

import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.providers.sse import EventSplitter, TooLong, data_of

STREAMS = st.lists(
    st.sampled_from(
        [b"data: a", b"data:b", b"event: x", b": comment", b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"\xff"]
    ),
    max_size=24,
).map(b"".join)


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[left:right] for left, right in pairwise(edges)]


def split(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    splitter = EventSplitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    return events, splitter.rest()


def said(events: list[bytes]) -> list[bytes]:
    return [data for event in events if (data := data_of(event))]


@given(STREAMS, st.lists(st.integers(0, 200), max_size=12))
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", [10])
@example(b"data: a\r\n\r\n\r\n\r\ndata: b\n\n", [10, 12])
def test_any_split_gives_the_same_bytes_and_the_same_events(stream: bytes, cuts: list[int]) -> None:
    events, rest = split(pieces(stream, cuts))
    whole, whole_rest = split([stream])
    assert b"".join(events) + rest == stream
    assert said([*events, rest]) == said([*whole, whole_rest])


@given(STREAMS)
def test_a_byte_at_a_time_is_no_different(stream: bytes) -> None:
    events, rest = split([bytes([byte]) for byte in stream])
    whole, whole_rest = split([stream])
    assert b"".join(events) + rest == stream
    assert said([*events, rest]) == said([*whole, whole_rest])


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"])
def test_an_event_is_given_as_soon_as_its_blank_line_is_there(end: bytes) -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a") == []
    assert splitter.feed(end + b"data: b") == [b"data: a" + end]
    assert splitter.rest() == b"data: b"
    assert splitter.rest() == b""


def test_an_event_longer_than_any_dialect_sends_is_refused() -> None:
    splitter = EventSplitter(longest=100)
    assert splitter.feed(b"data: " + b"a" * 94) == []
    with pytest.raises(TooLong):
        splitter.feed(b"a")


def test_a_long_event_in_small_pieces_is_not_read_again_with_each() -> None:
    splitter, chunk = EventSplitter(), b"a" * 512
    started = time.process_time()
    for _ in range(8_000):
        splitter.feed(chunk)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\r\n\r\n", b"a"),
        (b"data:  a\r\r", b" a"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"event: x\ndata: a\nid: 1\n\n", b"a"),
        (b": hello\n\n", b""),
        (b"database: a\n\n", b""),
        (b"", b""),
    ],
)
def test_the_data_of_an_event_is_its_data_lines(event: bytes, data: bytes) -> None:
    assert data_of(event) == data
