"""Cohere's dialect: what of a request is harmless, bounded or refused, what is billed, and what its errors look like."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.providers.cohere import Cohere, EventMeter, read_chat_usage, read_usage
from broker.providers.cohere_request import (
    DOCUMENT_TOKENS,
    MESSAGE_TOKENS,
    REQUEST_TOKENS,
    TEXT_TOKENS,
    TOOL_TOKENS,
)
from broker.providers.dialect import Reading
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.registry import Provider
from broker.providers.sse import EventSplitter
from tests.fake_cohere import STREAM, answer, end, named, usage
from tests.fake_provider import DONE

COHERE = Provider("cohere", "cohere", "https://api.cohere.com")
HELLO = {"role": "user", "content": "Hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def read(path: str = "/v2/chat", size: int = 0, provider: Provider = COHERE, **changes: Any) -> Reading:
    chat: dict[str, Any] = {"model": "command-a-03-2025", "messages": [HELLO]}
    embed: dict[str, Any] = {"model": "embed-v4.0", "texts": ["Hello"], "input_type": "search_query"}
    body = (chat if path == "/v2/chat" else embed) | changes
    endpoint = Cohere().endpoint("POST", path)
    assert endpoint is not None
    return endpoint.read(body, size or len(dumps(body)), provider, path)


def test_the_bound_covers_the_bytes_and_what_is_put_around_them() -> None:
    found = read(size=1_000, messages=[HELLO] * 2, tools=[TOOL], documents=["a", {"data": {"text": "b"}}])
    constants = REQUEST_TOKENS + 2 * MESSAGE_TOKENS + TOOL_TOKENS + 2 * DOCUMENT_TOKENS
    assert found.input_bound == 1_000 * NORMALISING_FACTOR + constants
    assert (found.model, found.action, found.choices, found.unbounded) == ("command-a-03-2025", "chat", 1, "")


def test_the_maximum_that_is_sent_is_the_one_that_is_held() -> None:
    found = read(max_tokens=50, stream=True, temperature=0.3, k=5)
    assert (found.own_output, found.streamed, found.wants_usage) == (50, True, True)
    sent = {"model": "command-a-03-2025", "messages": [HELLO], "stream": True, "temperature": 0.3, "k": 5}
    assert loads(found.render(7)) == sent | {"max_tokens": 7}


@pytest.mark.parametrize(
    ("model", "thinking", "covers"),
    [
        ("command-a-03-2025", None, True),
        ("command-r7b-12-2024", None, True),
        ("command-a-reasoning-08-2025", None, False),
        ("command-a-reasoning-08-2025", {"type": "disabled"}, True),
        ("command-a-03-2025", {"type": "enabled", "token_budget": 9}, False),
        ("command-z", None, False),
    ],
)
def test_the_maximum_covers_thoughts_only_where_there_are_none(model: str, thinking: Any, *, covers: bool) -> None:
    assert read(model=model, thinking=thinking).covers_reasoning is covers


def test_of_a_server_of_ones_own_that_speaks_it_nothing_is_known() -> None:
    assert not read(provider=Provider("local", "cohere", "http://127.0.0.1:1")).covers_reasoning


@pytest.mark.parametrize(
    ("changes", "what", "action"),
    [
        ({"priority": 1}, "priority", ""),
        ({"connectors": [{"id": "web-search"}]}, "connectors", "web_search"),
        ({"surprise": 1}, "surprise", ""),
        ({"tools": [{"type": "web"}]}, "tools.web", ""),
        ({"messages": [HELLO | {"surprise": 1}]}, "messages.surprise", ""),
        ({"messages": [{"content": [{"type": "image_url", "image_url": {}}]}]}, "messages.content.image_url", "vision"),
        ({"messages": [{"content": [{"type": "text", "text": "x", "image_url": 1}]}]}, "messages.content.image_url", "vision"),
        ({"messages": [{"content": ["x"]}]}, "messages.content.type", ""),
    ],
)  # fmt: skip
def test_what_is_not_known_or_has_no_bound_is_named(changes: dict[str, Any], what: str, action: str) -> None:
    found = read(**changes)
    assert found.unbounded.endswith(f": {what}.")
    assert found.extra_actions == (frozenset([action]) if action else frozenset())


@pytest.mark.parametrize("changes", [{"messages": []}, {"messages": "x"}, {"documents": "x"}, {"model": ["x"]}])
def test_what_is_no_chat_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as refused:
        read(**changes)
    assert refused.value.code == "invalid_request"


def test_embeddings_cost_what_goes_in() -> None:
    found = read("/v2/embed", size=1_000, texts=["a", "b"], embedding_types=["float"])
    assert (found.action, found.own_output, found.unbounded) == ("embeddings", 0, "")
    assert found.input_bound == 1_000 * NORMALISING_FACTOR + 2 * TEXT_TOKENS
    inputs = [{"content": [{"type": "text", "text": "x"}]}]
    assert read("/v2/embed", texts=None, inputs=inputs).unbounded == ""


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"images": ["data:image/png;base64,AAAA"]}, "images"),
        ({"inputs": [{"content": [{"type": "image_url", "image_url": {}}]}]}, "inputs.content.image_url"),
    ],
)
def test_pictures_have_no_bound_here(changes: dict[str, Any], what: str) -> None:
    found = read("/v2/embed", **changes)
    assert found.unbounded.endswith(f": {what}.")
    assert found.extra_actions == frozenset(["vision"])


@pytest.mark.parametrize("texts", [None, [], [5], "x"])
def test_embeddings_need_texts(texts: Any) -> None:
    with pytest.raises(CallRefused):
        read("/v2/embed", texts=texts)


def test_what_is_billed_counts_and_not_what_the_model_read() -> None:
    assert read_usage(usage()) == (Usage(10, 5), False)
    assert read_usage(usage(input_tokens=10.0, output_tokens=5.0, search_units=0)) == (Usage(10, 5), False)
    assert read_usage({"billed_units": {"input_tokens": 7}}) == (Usage(7, 0), False)
    assert read_usage(None) == read_usage({"tokens": {"input_tokens": 7}}) == (None, False)


@pytest.mark.parametrize(
    "billed",
    [
        {"input_tokens": -1}, {"input_tokens": 0}, {"input_tokens": 1.5}, {"input_tokens": "10"}, {"input_tokens": True},
        {"output_tokens": 2**31}, {"output_tokens": -1}, {"search_units": 1}, {"images": 3}, {"classifications": 1},
        {"surprise": "x"}, {"output_tokens": float("nan")}, {"output_tokens": float("inf")},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_true_or_was_not_asked_for_takes_the_bound(billed: dict[str, Any]) -> None:
    assert read_usage(usage(**billed)) == (None, True)


@pytest.mark.parametrize("billed", [{"input_tokens": 7}, {"input_tokens": 7, "output_tokens": None}, {}], ids=str)
def test_a_chat_whose_bill_says_nothing_of_its_output_takes_the_bound(billed: dict[str, Any]) -> None:
    assert read_chat_usage({"billed_units": billed}) == (None, True)
    meter = EventMeter()
    meter.read(named(end(usage={"billed_units": billed})))
    assert (meter.seen.is_complete, meter.seen.usage, meter.seen.is_absurd) == (True, None, True)


def test_a_chat_may_say_that_it_gave_nothing() -> None:
    assert read_chat_usage({"billed_units": {"input_tokens": 7, "output_tokens": 0}}) == (Usage(7, 0), False)


@given(st.data())
def test_the_usage_is_the_same_wherever_the_stream_is_cut(data: st.DataObject) -> None:
    whole = b"".join(map(named, STREAM)) + DONE
    meter, splitter, start = EventMeter(), EventSplitter(), 0
    while start < len(whole):
        size = data.draw(st.integers(1, 120))
        assert all(meter.read(each) for each in splitter.feed(whole[start : start + size]))
        start += size
    assert (meter.seen.is_complete, meter.seen.failed, meter.seen.usage) == (True, False, Usage(10, 5))


def test_a_stream_without_its_end_has_no_usage_and_text_that_looks_like_it_is_none() -> None:
    meter = EventMeter()
    for said in (*STREAM[:-1], {"type": "content-delta", "delta": {"message": {"content": {"text": "message-end"}}}}):
        meter.read(named(said))
    assert (meter.seen.is_complete, meter.seen.usage) == (False, None)


def test_a_stream_that_its_provider_broke_off_has_failed() -> None:
    meter = EventMeter()
    meter.read(named(end("ERROR", error="overloaded", usage=None)))
    assert (meter.seen.is_complete, meter.seen.failed, meter.seen.usage) == (False, True, None)


@pytest.mark.parametrize(
    ("said", "is_error"),
    [
        ({"message": "invalid api token"}, True),
        ({"id": "x", "message": "too many tokens"}, True),
        ({"data": "x"}, False),
        ({"message": {"x": 1}}, False),
        (answer(message="x"), False),
        ("x", False),
    ],
)
def test_an_error_of_the_providers_own_is_known_by_its_shape(said: Any, is_error: bool) -> None:
    assert Cohere().is_error(said) is is_error


def test_a_refusal_has_coheres_shape_whole_and_in_a_stream() -> None:
    refusal = CallRefused("budget_exhausted", "Nothing is left.", extra={"remaining": 5})
    told = {"message": "Nothing is left.", "code": "budget_exhausted", "remaining": 5}
    assert loads(Cohere().error(refusal, 402)) == told
    meter = EventMeter()
    event = meter.ending(Cohere().error(refusal, 402))
    assert event.startswith(b"event: message-end\ndata: ")
    assert b'"error":"Nothing is left.","code":"budget_exhausted","remaining":5' in event
    meter.read(event)
    assert meter.seen.failed


@pytest.mark.parametrize(
    "path", ["/v1/chat", "/v1/embed", "/v2/parse", "/v1/embed-jobs", "/v1/datasets", "/v1/classify", "/v2/chat/x"]
)
def test_what_is_not_listed_is_no_endpoint(path: str) -> None:
    assert Cohere().endpoint("POST", path) is None
    assert Cohere().methods(path) == ()


def test_the_list_of_models_has_coheres_shape() -> None:
    listed: Any = loads(Cohere().listing(["command-a", "embed-v4.0"], COHERE))
    assert [(each["name"], each["endpoints"]) for each in listed["models"]] == [
        ("command-a", ["chat"]),
        ("embed-v4.0", ["embed"]),
    ]
    assert Cohere().is_listing("/v1/models")
