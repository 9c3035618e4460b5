"""What Anthropic's dialect reads in an answer, and what it says itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.providers.anthropic import Anthropic, CountTokens, MessageMeter, Messages, read_usage
from broker.providers.registry import Provider
from broker.providers.sse import EventSplitter
from tests.fake_anthropic import STREAM, event, message, started, stopped, usage

OURS = Provider("anthropic", "anthropic", "https://api.anthropic.com")


def metered(*said: dict[str, Any]) -> MessageMeter:
    meter = MessageMeter()
    assert all(meter.read(event(each)) for each in said)
    return meter


def test_what_was_cached_is_input_too() -> None:
    cached = usage(cache_read_input_tokens=100, cache_creation_input_tokens=20)
    assert read_usage(cached) == (Usage(130, 5, 100, 20), False)
    assert read_usage(usage(cache_read_input_tokens=None)) == (Usage(10, 5), False)
    assert Messages().usage(message()) == (Usage(10, 5), False)


def test_what_is_kept_for_an_hour_is_a_class_of_its_own() -> None:
    kept = {"ephemeral_1h_input_tokens": 15, "ephemeral_5m_input_tokens": 5}
    found, _ = read_usage(usage(cache_creation_input_tokens=20, cache_creation=kept))
    assert found == Usage(30, 5, 0, 5, 15)
    assert read_usage(usage(cache_creation_input_tokens=14, cache_creation=kept)) == (None, True)
    assert read_usage(usage(cache_creation={"ephemeral_1h_input_tokens": -1})) == (None, True)
    streamed = metered(started(cache_creation_input_tokens=20, cache_creation=kept), stopped())
    assert streamed.seen.usage == Usage(30, 5, 0, 5, 15)


def test_a_usage_that_is_not_there_is_not_absurd() -> None:
    assert read_usage(None) == Messages().usage({}) == Messages().usage([]) == (None, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"input_tokens": -1}, {"input_tokens": 0}, {"input_tokens": "10"}, {"input_tokens": 1.0}, {"input_tokens": True},
        {"input_tokens": None}, {"output_tokens": -1}, {"output_tokens": None}, {"output_tokens": 2**31},
        {"input_tokens": 5, "cache_read_input_tokens": -2}, {"cache_creation_input_tokens": "3"},
        {"cache_read_input_tokens": 2**31},
    ],
    ids=str,
)  # fmt: skip
def test_a_usage_that_cannot_be_true_is_none(changes: dict[str, Any]) -> None:
    assert read_usage(usage(**changes)) == (None, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"service_tier": "priority"},
        {"speed": "fast"},
        {"inference_geo": "us"},
    ],
    ids=str,
)
def test_a_run_at_a_price_that_was_not_asked_for_is_booked_at_its_bound(changes: dict[str, Any]) -> None:
    assert read_usage(usage(**changes)) == (None, True)


def test_the_usage_of_a_stream_is_that_of_its_last_event_but_one_on_top_of_its_first() -> None:
    meter = metered(started(cache_read_input_tokens=7), stopped())
    assert meter.seen.usage == Usage(17, 5, 7, 0)
    assert metered(started(), stopped(input_tokens=12)).seen.usage == Usage(12, 5)
    assert not meter.seen.is_complete


def test_a_stream_is_complete_with_its_last_event() -> None:
    seen = metered(*STREAM).seen
    assert (seen.is_complete, seen.usage, seen.failed) == (True, Usage(10, 5), False)


def test_a_stream_that_was_cut_before_its_end_has_no_usage_yet() -> None:
    assert metered(*STREAM[:-2]).seen.usage is None


def test_an_event_of_a_stream_that_says_it_failed_is_seen() -> None:
    failed = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert metered(started(), failed).seen.failed


@pytest.mark.parametrize(
    "raw",
    [
        b"data: {broken message_start\n\n",
        b'data: ["message_delta"]\n\n',
        b'event: message_delta\ndata: {"type":"message_delta","delta":5,"usage":5}\n\n',
        b'data: {"type":"message_start","message":5}\n\n',
        b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"message_stop"}}\n\n',
    ],
)
def test_other_events_pass_and_count_for_nothing(raw: bytes) -> None:
    meter = MessageMeter()
    assert meter.read(raw)
    assert meter.seen == MessageMeter().seen


@given(st.data())
def test_the_usage_is_the_same_wherever_the_stream_is_cut(data: st.DataObject) -> None:
    whole = b"".join(event(said) for said in STREAM)
    meter, splitter, start = MessageMeter(), EventSplitter(), 0
    while start < len(whole):
        size = data.draw(st.integers(1, 80))
        for each in splitter.feed(whole[start : start + size]):
            meter.read(each)
        start += size
    assert (meter.seen.is_complete, meter.seen.usage) == (True, Usage(10, 5))


def test_counting_tokens_uses_none() -> None:
    assert CountTokens().usage({"input_tokens": 900}) == (Usage(0, 0), False)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"), (401, "authentication_error"), (402, "billing_error"), (403, "permission_error"),
        (404, "not_found_error"), (405, "not_found_error"), (413, "invalid_request_error"), (429, "rate_limit_error"),
        (502, "api_error"), (503, "api_error"), (504, "api_error"),
    ],
)  # fmt: skip
def test_a_refusal_has_anthropics_shape(status: int, kind: str) -> None:
    refusal = CallRefused("budget_exhausted", "Nothing is left.", extra={"remaining": 5})
    said = loads(Anthropic().error(refusal, status))
    error = {"type": kind, "message": "Nothing is left.", "code": "budget_exhausted", "remaining": 5}
    assert said == {"type": "error", "error": error}
    assert MessageMeter().ending(dumps(said)) == b"event: error\ndata: " + dumps(said) + b"\n\n"


@pytest.mark.parametrize(
    ("answer", "is_error"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}, "request_id": "req"}, True),
        ({"error": {"type": "overloaded_error", "message": "x"}}, False),
        ({"type": "error", "error": {"message": "x"}}, False),
        ({"type": "error", "error": "x"}, False),
        ([], False),
        (None, False),
    ],
)
def test_an_error_of_the_providers_own_is_known_by_its_shape(answer: Any, is_error: bool) -> None:
    assert Anthropic().is_error(answer) is is_error


def test_the_version_of_the_app_crosses_and_an_odd_one_does_not() -> None:
    assert Anthropic().headers([(b"anthropic-version", b"2026-10-21")]) == [(b"anthropic-version", b"2026-10-21")]
    usual = [(b"anthropic-version", b"2023-06-01")]
    assert Anthropic().headers([]) == Anthropic().headers([(b"anthropic-version", b"x\r\ny: z")]) == usual


def test_only_betas_that_change_no_price_cross() -> None:
    betas = b"interleaved-thinking-2025-05-14, fast-mode-2026-02-01,oauth-2025-04-20"
    crossed = Anthropic().headers([(b"anthropic-beta", betas), (b"anthropic-beta", b"effort-2025-11-24"), (b"x", b"y")])
    assert crossed[1:] == [(b"anthropic-beta", b"interleaved-thinking-2025-05-14,effort-2025-11-24")]


def test_the_list_of_models_has_anthropics_shape() -> None:
    listed = loads(Anthropic().listing(["a", "b"], OURS))
    assert isinstance(listed, dict)
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("a", "b", False)
    empty = loads(Anthropic().listing([], OURS))
    assert isinstance(empty, dict)
    assert (empty["data"], empty["first_id"]) == ([], None)


def test_only_its_own_paths_are_endpoints() -> None:
    assert Anthropic().endpoint("POST", "/v1/messages") is not None
    for path in ("/v1/messages/batches/x", "/v1/complete", "/v1/messages/", "/v1/files/x", "/v1/chat/completions"):
        assert Anthropic().endpoint("POST", path) is None
