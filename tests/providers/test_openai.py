"""What OpenAI's dialect reads in an answer: the usage, or that there is none to believe."""

from typing import Any

import pytest

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.providers.openai import ChatCompletions, ChatMeter, OpenAI
from broker.providers.openai_usage import read_usage

USAGE: dict[str, Any] = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}


def event(chunk: Any) -> bytes:
    return b"data: " + dumps(chunk) + b"\n\n"


def metered(*events: bytes, wants_usage: bool = False) -> tuple[ChatMeter, list[bool]]:
    meter = ChatMeter(wants_usage=wants_usage)
    return meter, [meter.read(each) for each in events]


def test_the_usage_is_what_the_provider_counted() -> None:
    details = {"cached_tokens": 8, "cache_write_tokens": 2, "audio_tokens": 0}
    assert read_usage(USAGE | {"prompt_tokens_details": details}) == (Usage(20, 5, 8, 2), False)
    assert read_usage(USAGE) == (Usage(20, 5), False)
    assert read_usage(USAGE | {"prompt_tokens_details": None}) == (Usage(20, 5), False)
    assert read_usage(USAGE | {"prompt_tokens_details": {"cached_tokens": None}}) == (Usage(20, 5), False)


def test_a_usage_that_is_not_there_is_not_absurd() -> None:
    assert read_usage(None) == (None, False)
    assert ChatCompletions().usage({"choices": []}) == (None, False)
    assert ChatCompletions().usage([]) == (None, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt_tokens": -1}, {"prompt_tokens": 0}, {"prompt_tokens": "20"}, {"prompt_tokens": 20.0}, {"prompt_tokens": True},
        {"prompt_tokens": None}, {"completion_tokens": -5}, {"completion_tokens": None}, {"completion_tokens": 2**31},
        {"prompt_tokens_details": {"cached_tokens": 21}}, {"prompt_tokens_details": {"cached_tokens": -1}},
        {"prompt_tokens_details": {"cached_tokens": "8"}}, {"prompt_tokens_details": {"cached_tokens": False}},
        {"prompt_tokens_details": {"cached_tokens": ""}}, {"prompt_tokens_details": []}, {"prompt_tokens_details": 5},
    ],
    ids=str,
)  # fmt: skip
def test_a_usage_that_cannot_be_true_is_none(changes: dict[str, Any]) -> None:
    assert read_usage(USAGE | changes) == (None, True)


@pytest.mark.parametrize("usage", [[], 5, "20", False])
def test_a_usage_that_is_no_object_is_absurd(usage: Any) -> None:
    assert read_usage(usage) == (None, True)


def test_thoughts_that_stand_beside_the_completion_are_output_too() -> None:
    told: dict[str, Any] = {
        "prompt_tokens": 20,
        "completion_tokens": 5,
        "completion_tokens_details": {"reasoning_tokens": 300},
    }
    assert read_usage(told | {"total_tokens": 325}) == (Usage(20, 305), False)
    assert read_usage(told | {"total_tokens": 25}) == (Usage(20, 5), False)
    assert read_usage(told) == (Usage(20, 5), False)
    assert read_usage(
        told | {"total_tokens": 20 + 5 + 2**31, "completion_tokens_details": {"reasoning_tokens": 2**31}}
    )[1]


def test_the_cache_has_another_name_at_deepseek() -> None:
    told: dict[str, Any] = {
        "prompt_tokens": 20,
        "completion_tokens": 5,
        "prompt_cache_hit_tokens": 8,
        "prompt_cache_miss_tokens": 12,
    }
    assert read_usage(told) == (Usage(20, 5, 8), False)
    assert read_usage(told | {"prompt_cache_hit_tokens": 21}) == (None, True)


def test_no_output_is_a_usage_like_any_other() -> None:
    assert read_usage(USAGE | {"completion_tokens": 0}) == (Usage(20, 0), False)


def test_the_extra_event_with_the_usage_is_taken_out_unless_the_app_asked_for_it() -> None:
    text, last = event({"choices": [{"delta": {"content": "a"}}]}), event({"choices": [], "usage": USAGE})
    meter, passed = metered(text, last, b"data: [DONE]\n\n")
    assert passed == [True, False, True]
    assert (meter.seen.usage, meter.seen.is_complete) == (Usage(20, 5), True)
    assert metered(text, last, wants_usage=True)[1] == [True, True]


def test_a_usage_beside_the_last_words_is_read_and_passes() -> None:
    meter, passed = metered(event({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE}))
    assert passed == [True]
    assert meter.seen.usage == Usage(20, 5)


def test_the_last_usage_of_a_stream_counts() -> None:
    later = USAGE | {"completion_tokens": 9}
    meter, _ = metered(event({"choices": [], "usage": USAGE}), event({"choices": [], "usage": later}))
    assert meter.seen.usage == Usage(20, 9)


def test_a_usage_that_counts_along_is_not_the_whole_calls() -> None:
    along = event({"choices": [{"delta": {"content": "a"}, "finish_reason": None}], "usage": USAGE})
    meter, passed = metered(along)
    assert (meter.seen.usage, passed) == (None, [True])


def test_an_absurd_last_usage_takes_back_an_earlier_one() -> None:
    meter, _ = metered(event({"choices": [], "usage": USAGE}), event({"choices": [], "usage": {"prompt_tokens": -1}}))
    assert (meter.seen.usage, meter.seen.is_absurd) == (None, True)


def test_words_that_only_speak_of_usage_are_not_usage() -> None:
    chunk = {"choices": [{"delta": {"content": '"usage" [DONE] "error"'}}], "usage": None}
    meter, passed = metered(event(chunk), b': "usage"\n\n', b'data: {"usage"\n\n', b'data: ["usage"]\n\n')
    assert passed == [True] * 4
    assert meter.seen == ChatMeter(wants_usage=False).seen


def test_after_its_end_a_stream_says_nothing_more() -> None:
    meter, passed = metered(b"data: [DONE]\n\n", event({"choices": [], "usage": USAGE}))
    assert passed == [True, True]
    assert meter.seen.usage is None


def test_an_error_event_is_seen() -> None:
    meter, passed = metered(event({"error": {"message": "overloaded"}}))
    assert passed == [True]
    assert meter.seen.failed
    assert not meter.seen.is_complete


@pytest.mark.parametrize(
    ("answer", "is_error"),
    [
        ({"error": {"message": "no", "type": "x"}}, True),
        ({"error": {"message": 5}}, False),
        ({"error": "no"}, False),
        ({"message": "no"}, False),
        ([], False),
        (None, False),
    ],
    ids=str,
)
def test_an_error_in_the_providers_own_shape_is_known(answer: Any, is_error: bool) -> None:
    assert OpenAI().is_error(answer) is is_error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"), (401, "authentication_error"), (402, "insufficient_quota"), (403, "permission_error"),
        (404, "invalid_request_error"), (409, "invalid_request_error"), (413, "invalid_request_error"),
        (429, "rate_limit_error"), (502, "server_error"), (503, "server_error"),
    ],
)  # fmt: skip
def test_a_refusal_of_ours_is_said_in_the_dialect(status: int, kind: str) -> None:
    refusal = CallRefused("some_code", "What happened.", extra={"required": 5}, detail="for the log")
    said = loads(OpenAI().error(refusal, status))
    assert said == {
        "error": {"message": "What happened.", "type": kind, "param": None, "code": "some_code", "required": 5}
    }
    assert ChatMeter(wants_usage=False).ending(dumps(said)) == b"data: " + dumps(said) + b"\n\n"
