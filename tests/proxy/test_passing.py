"""Events on their way past: the short look at their bytes says what reading each of them would."""

import json
from random import Random

import pytest

from broker.core.secret import Secret
from broker.core.usage import Usage
from broker.providers.anthropic import MessageMeter
from broker.providers.cohere import EventMeter
from broker.providers.dialect import Meter
from broker.providers.google import ChunkMeter, GroundedMeter
from broker.providers.google_usage import Apart
from broker.providers.mistral import ErrorMeter
from broker.providers.openai import ChatMeter, ResponseMeter, Responses
from broker.providers.sse import EventSplitter, TooLong
from broker.proxy.answer import KeyGuard, scrub_event
from broker.proxy.passing import KeyFound, Passing
from tests.fake_provider import DONE, delta, event, usage, usage_event

KEY = "sk-test-0123456789"
NO_USAGE_YET = json.dumps(delta("Hi") | {"usage": None}, separators=(",", ":"))
QUOTED = delta('He said "usage" and "error" and [DONE] and "usage":null.')
KINDS: dict[str, list[bytes]] = {
    "chat": [
        event(delta("Hello")), f"data: {NO_USAGE_YET}\n\n".encode(), event(QUOTED), event(usage_event()), b": ping\r\n\r\n", DONE,
        event({"error": {"message": "org-abcdef"}}), b"data: no JSON\r\r", b"\n", event(delta("x" * 3000)),
    ],
    "messages": [
        event({"type": "message_start", "message": {"usage": {"input_tokens": 3}}}), event({"type": "ping"}),
        event({"type": "content_block_delta", "delta": {"text": "message_"}}), event({"type": "content_block_delta"}),
        event({"type": "message_delta", "delta": {"stop_reason": "end"}, "usage": {"output_tokens": 2}}),
        event({"type": "message_stop"}), event({"type": "error", "error": {"type": "a", "message": "org-abcdef"}}),
    ],
    "google": [
        event({"candidates": [{"content": "a"}]}), b'data: {"a": 1}\r\n\r\n', event({"error": {"code": 1}}),
        event({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1}}),
        event({"usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 9}}),
    ],
    "grounded": [
        event({"candidates": [{"content": "a", "groundingMetadata": {"webSearchQueries": ["b"]}}]}), event({"candidates": [{"content": "a"}]}),
        event({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1}}),
    ],
    "mistral": [
        event(delta("Hello")), event({"object": "error", "message": "org-abcdef", "type": "a"}), event(usage_event()), DONE,
        event(delta('"object": "error"')),
    ],
    "cohere": [
        event({"type": "content-delta"}), event({"type": "content-delta", "delta": "message-end"}),
        event({"type": "message-end", "delta": {"usage": {"billed_units": {"input_tokens": 1, "output_tokens": 2}}}}),
    ],
    "responses": [
        event({"type": "response.created", "response": {"id": "a"}}), event({"type": "response.output_text.delta"}),
        event({"type": "response.completed", "response": {"id": "a", "usage": {"input_tokens": 1, "output_tokens": 2}}}),
    ],
}  # fmt: skip


def meter_of(kind: str, *, wants_usage: bool = False) -> Meter:
    meters: dict[str, Meter] = {
        "chat": ChatMeter(wants_usage=wants_usage), "messages": MessageMeter(), "google": ChunkMeter(),
        "grounded": GroundedMeter(Apart(searches=True)), "mistral": ErrorMeter(wants_usage=wants_usage),
        "cohere": EventMeter(), "responses": ResponseMeter(Responses().usage),
    }  # fmt: skip
    return meters[kind]


def read_each(meter: Meter, pieces: list[bytes]) -> bytes:
    """What passes where every event is read by itself."""
    splitter, passed = EventSplitter(), b""
    for piece in pieces:
        shown = b"".join(each for each in splitter.feed(piece) if meter.read(each))
        passed += scrub_event(shown) if meter.seen.failed else shown
    return passed


def in_pieces(raw: bytes, chance: Random) -> list[bytes]:
    """Cut mostly where events end, as streams are."""
    ends = [at for at in range(1, len(raw)) if raw[at - 2 : at] == b"\n\n" or chance.random() < 0.002]
    cuts = sorted(chance.sample(ends, min(len(ends), chance.randrange(6))))
    return [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("wants_usage", [False, True])
def test_what_passes_and_what_is_learnt_is_as_if_each_event_were_read(kind: str, wants_usage: bool) -> None:
    for seed in range(300):
        chance = Random(seed)
        weights = [20 if number < 2 else 1 for number in range(len(KINDS[kind]))]
        raw = b"".join(chance.choices(KINDS[kind], weights, k=chance.randrange(1, 60)))
        pieces = in_pieces(raw, chance)
        expected, read = meter_of(kind, wants_usage=wants_usage), meter_of(kind, wants_usage=wants_usage)
        passing = Passing(Secret(KEY), read)
        passed = b"".join(passing.feed(piece) for piece in pieces)
        wanted = read_each(expected, pieces)
        if not read.seen.failed:
            # Blank lines beyond that of an event may pass a piece sooner.
            assert passed.rstrip(b"\n") == wanted.rstrip(b"\n"), seed
        else:
            assert scrub_event(passed).rstrip(b"\n") == scrub_event(wanted).rstrip(b"\n"), seed
            assert b"org-abcdef" not in passed
        assert read.seen == expected.seen, seed


def test_the_usage_of_a_long_stream_in_one_piece_is_found() -> None:
    meter = ChatMeter(wants_usage=False)
    raw = event(delta("word")) * 2_000 + event(usage_event(usage(7, 3))) + DONE
    assert Passing(Secret(KEY), meter).feed(raw) == event(delta("word")) * 2_000 + DONE
    assert meter.seen.usage == Usage(7, 3)


def test_half_an_event_waits_for_its_other_half() -> None:
    passing = Passing(Secret(KEY), ChatMeter(wants_usage=False))
    first = event(delta("one"))
    assert passing.feed(first + b"data: ha") == first
    assert passing.feed(b"lf\n\n") == b"data: half\n\n"


def test_a_key_in_two_pieces_is_found_and_stays_found() -> None:
    passing = Passing(Secret(KEY), ChatMeter(wants_usage=False))
    passed = passing.feed(b"data: " + KEY[:9].encode())
    with pytest.raises(KeyFound):
        passing.feed(KEY[9:].encode() + b"\n\n")
    with pytest.raises(KeyFound):
        passing.feed(b"")
    assert passed == b""
    assert KeyGuard(Secret(KEY)).feed(b"data: x\n\n") == b"data: x\n\n"


def test_an_event_without_end_stays_too_long() -> None:
    passing = Passing(Secret(KEY), ChatMeter(wants_usage=False))
    with pytest.raises(TooLong):
        passing.feed(b"data: " + b"x" * 4_200_000)
    with pytest.raises(TooLong):
        passing.feed(b"")
