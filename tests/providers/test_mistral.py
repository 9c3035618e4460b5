"""Mistral's dialect: what of a request is harmless, bounded or refused, and what its own errors look like."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.providers.dialect import Reading
from broker.providers.mistral import PROMPT_TOKENS, Mistral
from broker.providers.openai import ChatMeter
from broker.providers.openai_request import MESSAGE_TOKENS, REQUEST_TOKENS
from broker.providers.registry import Provider
from broker.providers.sse import EventSplitter
from tests.fake_mistral import STREAM
from tests.fake_provider import DONE, event

CHAT, EMBED = "/v1/chat/completions", "/v1/embeddings"
MISTRAL = Provider("mistral", "mistral", "https://api.mistral.ai")
HELLO = {"role": "user", "content": "Hello"}


def read(path: str = CHAT, size: int = 0, **changes: Any) -> Reading:
    usual: dict[str, Any] = {"messages": [HELLO]} if path == CHAT else {"input": ["Hello"]}
    body = {"model": "mistral-small-2603"} | usual | changes
    endpoint = Mistral().endpoint("POST", path)
    assert endpoint is not None
    return endpoint.read(body, size or len(dumps(body)), MISTRAL, path)


def with_part(part: dict[str, Any]) -> Reading:
    return read(messages=[{"role": "user", "content": [part]}])


def test_a_byte_is_at_most_a_token_and_the_maximum_has_its_name_there() -> None:
    found = read(size=1_000, stream=True, max_tokens=50)
    assert found.input_bound == 1_000 + REQUEST_TOKENS + MESSAGE_TOKENS
    assert (found.own_output, found.covers_reasoning, found.streamed, found.unbounded) == (50, True, True, "")
    sent: Any = loads(found.render(7))
    assert sent == {
        "model": "mistral-small-2603", "messages": [HELLO], "stream": True, "max_tokens": 7,
        "service_tier": "standard_only",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "added"),
    [({"safe_prompt": True}, 1), ({"prompt_mode": "reasoning"}, 1), ({"safe_prompt": False, "prompt_mode": None}, 0)],
)
def test_prompts_that_mistral_adds_are_held(changes: dict[str, Any], added: int) -> None:
    found = read(size=1_000, **changes)
    assert found.input_bound == 1_000 + REQUEST_TOKENS + MESSAGE_TOKENS + added * PROMPT_TOKENS
    assert found.unbounded == ""


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "x"},
        {"type": "reference", "reference_ids": [1, 2]},
        {"type": "thinking", "thinking": [{"type": "text", "text": "x"}], "closed": True},
    ],
)
def test_parts_of_text_are_bounded_by_their_bytes(part: dict[str, Any]) -> None:
    assert with_part(part).unbounded == ""


@pytest.mark.parametrize(
    ("part", "what", "action"),
    [
        ({"type": "image_url", "image_url": "https://x.test/a.png"}, "image_url", "vision"),
        ({"type": "document_url", "document_url": "https://x.test/a.pdf"}, "document_url", "files"),
        ({"type": "file", "file_id": "f"}, "file", "files"),
        ({"type": "input_audio", "input_audio": "AAAA"}, "input_audio", "audio"),
        ({"type": "resource", "resource": {}}, "resource", ""),
        ({"type": "thinking", "thinking": [{"type": "image_url", "image_url": "x"}]}, "image_url", "vision"),
        ({"type": "text", "text": "x", "image_url": "https://x.test/a.png"}, "image_url", "vision"),
    ],
)
def test_other_parts_are_named_with_the_action_they_need(part: dict[str, Any], what: str, action: str) -> None:
    found = with_part(part)
    assert found.unbounded.endswith(f": messages.content.{what}.")
    assert found.extra_actions == (frozenset([action]) if action else frozenset())


@pytest.mark.parametrize(
    ("changes", "what", "action"),
    [
        ({"prediction": {"type": "content", "content": "x"}}, "prediction", ""),
        ({"guardrails": [{}]}, "guardrails", ""),
        ({"service_tier": "auto"}, "service_tier", ""),
        ({"stream_options": {"include_usage": True}, "stream": True}, "stream_options", ""),
        ({"store": False}, "store", ""),
        ({"tools": [{"type": "web_search"}]}, "tools.web_search", "web_search"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools.code_interpreter", "code_execution"),
        ({"tools": [{"type": "document_library", "library_ids": []}]}, "tools.document_library", "files"),
    ],
)
def test_what_is_not_known_or_has_no_bound_is_named(changes: dict[str, Any], what: str, action: str) -> None:
    found = read(**changes)
    assert found.unbounded.endswith(f": {what}.")
    assert found.extra_actions == (frozenset([action]) if action else frozenset())


def test_embeddings_have_fields_of_their_own() -> None:
    found = read(EMBED, output_dimension=64, output_dtype="int8")
    assert (found.action, found.own_output, found.unbounded) == ("embeddings", 0, "")
    assert read(EMBED, dimensions=64).unbounded.endswith(": dimensions.")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/fim/completions", "/v1/agents/completions", "/v1/ocr", "/v1/responses", "/v1/completions", "/v1/moderations",
        "/v1/audio/transcriptions", "/v1/conversations", "/v1/chat/moderations", "/v1/files",
    ],
)  # fmt: skip
def test_what_is_not_listed_is_no_endpoint(path: str) -> None:
    assert Mistral().endpoint("POST", path) is None
    assert Mistral().methods(path) == ()


@given(st.data())
def test_the_usage_of_a_stream_is_read_unasked_wherever_it_is_cut(data: st.DataObject) -> None:
    whole = b"".join(event(said) for said in STREAM) + DONE
    meter, splitter, start = ChatMeter(wants_usage=False), EventSplitter(), 0
    while start < len(whole):
        size = data.draw(st.integers(1, 80))
        assert all(meter.read(each) for each in splitter.feed(whole[start : start + size]))
        start += size
    assert (meter.seen.is_complete, meter.seen.usage) == (True, Usage(10, 5))


@pytest.mark.parametrize(
    ("said", "is_error"),
    [
        ({"object": "error", "message": "x", "type": "invalid_model", "param": None, "code": "1500"}, True),
        ({"object": "error", "message": {"detail": []}, "type": "invalid_request_error"}, True),
        ({"message": "Unauthorized", "request_id": "x"}, True),
        ({"detail": [{"loc": ["body"], "msg": "x"}]}, True),
        ({"detail": "Unauthorized"}, True),
        ({"message": "x"}, False),
        ({"object": "chat.completion", "choices": [], "detail": "x"}, False),
        ("x", False),
        (None, False),
    ],
)
def test_an_error_of_the_providers_own_is_known_by_its_shape(said: Any, is_error: bool) -> None:
    assert Mistral().is_error(said) is is_error


def test_a_refusal_has_mistrals_shape() -> None:
    refusal = CallRefused("budget_exhausted", "Nothing is left.", extra={"remaining": 5})
    assert loads(Mistral().error(refusal, 402)) == {
        "object": "error", "message": "Nothing is left.", "type": "insufficient_quota", "param": None,
        "code": "budget_exhausted", "remaining": 5,
    }  # fmt: skip
