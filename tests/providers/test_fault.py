"""What a refusal says of its key, in the words of each provider."""

from typing import Any

import pytest

from broker.core.clock import DAY, MINUTE, SECOND
from broker.providers.fault import Fault, fault_of, status_in_stream

NOW = 1_763_760_000 * SECOND


def openai(code: str | None = None, kind: str = "requests", message: str = "No.") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str = "No.") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def headers(**named: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]


@pytest.mark.parametrize(
    ("named", "wait"),
    [
        ({"retry_after": "5"}, 5 * SECOND),
        ({"retry_after_ms": "1500", "retry_after": "2"}, 1_500_000),
        ({"retry_after": "Fri, 21 Nov 2025 21:20:30 GMT"}, 30 * SECOND),
        ({"retry_after": "0"}, SECOND),
        ({"retry_after": "-5"}, MINUTE),
        ({"retry_after": "soon"}, MINUTE),
        ({"retry_after": "1e9"}, MINUTE),
        ({"retry_after": "9" * 60}, DAY),
        ({"retry_after": "Fri, 21 Nov 2015 21:20:30 GMT"}, SECOND),
        ({}, MINUTE),
        ({"x_ratelimit_reset_requests": "6m0s"}, 6 * MINUTE),
        ({"x_ratelimit_reset_requests": "20ms", "x_ratelimit_reset_tokens": "1m30.5s"}, 90_500_000),
        (
            {
                "x_ratelimit_reset_requests": "8s",
                "x_ratelimit_remaining_requests": "0",
                "x_ratelimit_reset_tokens": "1m",
                "x_ratelimit_remaining_tokens": "900",
            },
            8 * SECOND,
        ),
        ({"x_ratelimit_reset": "1763760012"}, 12 * SECOND),
        ({"x_ratelimit_reset": "1763760012000"}, 12 * SECOND),
        ({"x_ratelimit_reset_requests": "1s or so"}, MINUTE),
        ({"anthropic_ratelimit_input_tokens_reset": "2025-11-21T21:20:07Z"}, 7 * SECOND),
        ({"anthropic_ratelimit_input_tokens_reset": "2025-11-21T21:20:07"}, MINUTE),
        ({"x_other_reset": "5s"}, MINUTE),
    ],
)
def test_a_key_that_is_limited_rests_until_the_provider_says(named: dict[str, str], wait: int) -> None:
    assert fault_of(429, headers(**named), openai(), NOW) == Fault("rate_limited", NOW + wait)


def test_googles_delay_stands_in_the_body() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    error: Any = {"error": {"code": 429, "message": "No.", "status": "RESOURCE_EXHAUSTED", "details": [info]}}
    assert fault_of(429, [], error, NOW) == Fault("rate_limited", NOW + 34_500_000)


@pytest.mark.parametrize(
    ("status", "error", "cause"),
    [
        (401, openai("invalid_api_key"), "refused"),
        (401, anthropic("authentication_error"), "refused"),
        (403, anthropic("permission_error"), "unwell"),
        (402, openai(message="Insufficient Balance"), "no_credit"),
        (429, openai("insufficient_quota", "insufficient_quota"), "no_credit"),
        (400, anthropic("invalid_request_error", "Your credit balance is too low to access the API."), "no_credit"),
        (400, {"error": {"code": 400, "message": "No.", "details": [{"reason": "API_KEY_INVALID"}]}}, "refused"),
        (500, anthropic("api_error"), "unwell"),
        (503, openai(), "unwell"),
        (529, anthropic("overloaded_error"), "unwell"),
    ],
)
def test_a_refusal_is_of_the_key_or_of_the_provider(status: int, error: Any, cause: str) -> None:
    fault = fault_of(status, [], error, NOW)
    assert fault is not None
    assert fault.cause == cause
    assert fault.is_of_key == (cause != "unwell")


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 502, 504])
def test_what_is_wrong_with_the_request_is_wrong_with_every_key(status: int) -> None:
    assert fault_of(status, headers(retry_after="5"), openai(), NOW) is None


@pytest.mark.parametrize(
    "echoed", ["insufficient_quota", "credit balance is too low", "Insufficient Balance", "API_KEY_INVALID"]
)
def test_what_an_app_had_repeated_in_a_message_lets_no_key_rest(echoed: str) -> None:
    message = f"Invalid value: '{echoed}'. Supported values are: 'system', 'assistant', 'user', and 'tool'."
    assert fault_of(400, [], openai("invalid_value", "invalid_request_error", message), NOW) is None
    assert fault_of(400, [], anthropic("invalid_request_error", f"messages.0.role: {echoed}"), NOW) is None
    assert fault_of(400, [], {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}, NOW) is None


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (anthropic("overloaded_error"), 529),
        (anthropic("rate_limit_error"), 429),
        (openai("rate_limit_exceeded"), 429),
        (openai("insufficient_quota", "insufficient_quota"), 429),
        ({"error": {"code": 429, "message": "No.", "status": "RESOURCE_EXHAUSTED"}}, 429),
        (anthropic("invalid_request_error"), 0),
        ({"error": "No."}, 0),
        ({"choices": []}, 0),
        (None, 0),
    ],
)
def test_an_error_in_a_stream_has_the_status_of_a_whole_answer(event: Any, status: int) -> None:
    assert status_in_stream(event) == status
