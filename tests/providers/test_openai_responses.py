"""Responses: what of a request is harmless, bounded or refused, and where an answer says what was used."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.providers.dialect import Reading
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.openai import ResponseMeter, Responses
from broker.providers.openai_request import MESSAGE_TOKENS, REQUEST_TOKENS, TOOL_TOKENS
from broker.providers.openai_usage import read_response_usage
from broker.providers.registry import Provider
from broker.providers.sse import EventSplitter
from tests.fake_openai import STREAM, named, response, response_usage, said

PATH = "/v1/responses"
OPENAI = Provider("openai", "openai", "https://api.openai.com")
OTHER = Provider("local", "openai", "http://127.0.0.1:1", frozenset(["top_k"]))
HELLO = {"role": "user", "content": "Hello"}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "input": "Hello"} | changes


def read(provider: Provider = OPENAI, size: int = 0, **changes: Any) -> Reading:
    asked = body(**changes)
    return Responses().read(asked, size or len(dumps(asked)), provider, PATH)


def sent(provider: Provider = OPENAI, **changes: Any) -> Any:
    return loads(read(provider, **changes).render(9))


def with_part(part: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [part]}]}


def test_a_plain_request_is_a_chat_that_needs_nothing_more() -> None:
    found = read()
    assert (found.model, found.action, found.extra_actions, found.unbounded) == ("gpt-4o-mini", "chat", frozenset(), "")
    assert (found.streamed, found.own_output, found.choices, found.target) == (False, None, 1, PATH)
    assert found.covers_reasoning
    assert not read(OTHER).covers_reasoning


def test_every_byte_may_be_a_token_and_constants_cover_what_the_provider_adds() -> None:
    tool = {"type": "function", "name": "f"}
    found = read(size=1_000, input=[HELLO] * 3, tools=[tool] * 2)
    assert found.input_bound == 1_000 + REQUEST_TOKENS + 3 * MESSAGE_TOKENS + 2 * TOOL_TOKENS
    found = read(size=1_000, tools=[tool, {"type": "namespace", "name": "n", "tools": [tool] * 3}])
    assert found.input_bound == 1_000 + REQUEST_TOKENS + MESSAGE_TOKENS + 5 * TOOL_TOKENS
    found = read(OTHER, size=1_000)
    assert found.input_bound == 1_000 * NORMALISING_FACTOR + REQUEST_TOKENS + MESSAGE_TOKENS


def test_the_answer_is_not_kept_at_the_provider_and_the_standard_tier_is_asked_for() -> None:
    told = sent()
    assert (told["store"], told["service_tier"], told["max_output_tokens"]) == (False, "default", 9)
    assert "service_tier" not in sent(OTHER)
    assert sent(max_output_tokens=50)["max_output_tokens"] == 9
    assert read(max_output_tokens=50).own_output == 50


@pytest.mark.parametrize(
    "changes",
    [
        {"instructions": "Be kind.", "temperature": 1, "text": {"format": {"type": "text"}}, "truncation": "auto"},
        {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"], "store": False},
        {"tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}, {"type": "local_shell"}]},
        {
            "tools": [{"type": "namespace", "tools": [{"type": "function", "name": "f"}]}],
            "client_metadata": {"turn": "1"},
        },
        {"input": [HELLO, {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}]},
        with_part({"type": "input_text", "text": "Hello"}),
        {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "4"}]}]},
        {"input": [{"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"}]},
        {"input": [{"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}]}]},
        {"previous_response_id": None, "background": False, "conversation": None, "prompt": None},
    ],
    ids=str,
)
def test_what_its_bytes_bound_is_forwarded(changes: dict[str, Any]) -> None:
    found = read(**changes)
    assert (found.unbounded, found.extra_actions) == ("", frozenset())


@pytest.mark.parametrize(
    ("changes", "named_so", "action"),
    [
        ({"prompt": {"id": "p"}}, "prompt", ""),
        ({"service_tier": "auto"}, "service_tier", ""),
        ({"prompt_cache_retention": "24h"}, "prompt_cache_retention", ""),
        ({"new_field": 1}, "new_field", ""),
        ({"include": ["file_search_call.results"]}, "include.file_search_call.results", ""),
        ({"include": [5]}, "include.?", ""),
        ({"tools": [{"type": "web_search_preview"}]}, "tools.web_search_preview", "web_search"),
        ({"tools": [{"type": "file_search"}]}, "tools.file_search", "files"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools.code_interpreter", "code_execution"),
        ({"tools": [{"type": "image_generation"}]}, "tools.image_generation", "images"),
        ({"tools": [{"type": "mcp"}]}, "tools.mcp", ""),
        ({"tools": [{}]}, "tools.type", ""),
        ({"tools": [{"type": "namespace", "tools": [{"type": "web_search"}]}]}, "tools.web_search", "web_search"),
        (
            {"tools": [{"type": "namespace", "tools": [{"type": "namespace", "tools": [{"type": "mcp"}]}]}]},
            "tools.mcp",
            "",
        ),
        ({"input": [{"type": "item_reference", "id": "rs_1"}]}, "input.item_reference", ""),
        ({"input": [{"type": "web_search_call", "results": []}]}, "input.web_search_call.results", "web_search"),
        ({"input": [HELLO | {"extra": 1}]}, "input.message.extra", ""),
        (with_part({"type": "input_image", "image_url": "x"}), "input.message.input_image", "vision"),
        (with_part({"type": "input_file", "file_ids": "x"}), "input.message.input_file", "files"),
        (with_part({"type": "input_text", "text": "x", "image_url": "y"}), "input.message.image_url", "vision"),
        (with_part(5), "input.message.type", ""),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image"}]}]},
            "input.function_call_output.input_image",
            "vision",
        ),
        ({"model": "gpt-4o-search-preview"}, "model", "web_search"),
    ],
    ids=str,
)
def test_what_has_no_bound_is_named_with_the_action_it_needs(
    changes: dict[str, Any], named_so: str, action: str
) -> None:
    found = read(**changes)
    assert found.unbounded == f"The cost of this cannot be bounded here: {named_so}."
    assert found.extra_actions == (frozenset([action]) if action else frozenset())


def test_a_field_that_the_operator_calls_harmless_is_forwarded() -> None:
    assert read(OTHER, top_k=5).unbounded == ""
    assert read(OPENAI, top_k=5).unbounded


@pytest.mark.parametrize(
    "changes",
    [
        {"model": None}, {"input": None}, {"input": []}, {"input": 5}, {"input": [5]}, {"tools": {}}, {"include": "x"},
        {"input": [{"role": "user", "content": 5}]}, {"max_output_tokens": 0}, {"max_output_tokens": "5"}, {"stream": 1},
        {"input": "\ud800"},
    ],
    ids=repr,
)  # fmt: skip
def test_a_body_of_wrong_types_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as refused:
        read(size=100, **changes)
    assert refused.value.code == "invalid_request"


def test_the_usage_has_other_names_for_the_same_figures() -> None:
    cached = response_usage(input_tokens_details={"cached_tokens": 4, "cache_write_tokens": 1})
    assert read_response_usage(cached) == (Usage(10, 5, 4, 1), False)
    assert Responses().usage(response()) == (Usage(10, 5), False)
    assert Responses().usage({}) == Responses().usage([]) == (None, False)
    assert read_response_usage([]) == read_response_usage(response_usage(input_tokens=0)) == (None, True)
    assert read_response_usage(response_usage(output_tokens=-1)) == (None, True)


def metered(*each: dict[str, Any]) -> ResponseMeter:
    meter = ResponseMeter(Responses().usage)
    assert all(meter.read(named(one)) for one in each)
    return meter


def test_a_stream_is_complete_with_its_last_event() -> None:
    seen = metered(*STREAM).seen
    assert (seen.is_complete, seen.usage, seen.failed) == (True, Usage(10, 5), False)
    cut = metered(*STREAM[:-1]).seen
    assert (cut.is_complete, cut.usage, cut.failed) == (False, None, False)
    assert metered(said("response.incomplete", 1, response=response("incomplete"))).seen.is_complete


def test_a_stream_that_failed_says_what_it_used() -> None:
    seen = metered(said("response.failed", 1, response=response("failed"))).seen
    assert (seen.is_complete, seen.usage, seen.failed) == (False, Usage(10, 5), True)
    assert metered(said("error", 1, message="x")).seen.failed
    assert metered(said("response.other", 1, error={"message": "x"})).seen.failed is False


def test_a_stream_that_breaks_ends_with_an_error_event_that_goes_on_counting() -> None:
    error = {"message": "Cut.", "type": "server_error", "param": None, "code": "grant_paused"}
    told = {"code": "grant_paused", "message": "Cut.", "param": None, "error": error}
    for events, number in ((STREAM[:4], 4), ([], 0), ([{"type": "response.other"}], 0)):
        said = {"type": "error", "sequence_number": number} | told
        assert metered(*events).ending(dumps({"error": error})) == b"event: error\ndata: " + dumps(said) + b"\n\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"data: {broken response.completed\n\n",
        b'data: ["response.completed"]\n\n',
        b'data: {"type":"response.output_text.delta","delta":"response.completed"}\n\n',
        b'data: {"type":"response.completed","response":5}\n\n',
    ],
)
def test_other_events_pass_and_count_for_nothing(raw: bytes) -> None:
    meter = ResponseMeter(Responses().usage)
    assert meter.read(raw)
    assert meter.seen == ResponseMeter(Responses().usage).seen


@given(st.data())
def test_the_usage_is_the_same_wherever_the_stream_is_cut(data: st.DataObject) -> None:
    whole = b"".join(named(each) for each in STREAM)
    meter, splitter, start = ResponseMeter(Responses().usage), EventSplitter(), 0
    while start < len(whole):
        size = data.draw(st.integers(1, 120))
        for each in splitter.feed(whole[start : start + size]):
            meter.read(each)
        start += size
    assert (meter.seen.is_complete, meter.seen.usage) == (True, Usage(10, 5))
