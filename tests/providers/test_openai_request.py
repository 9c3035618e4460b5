"""A chat request: what of it is harmless, what is bounded, what needs an action, and what is refused."""

from typing import Any

import pytest

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.providers.dialect import Reading
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.openai_request import MESSAGE_TOKENS, REQUEST_TOKENS, TOOL_TOKENS, read_chat
from broker.providers.registry import Provider

PATH = "/v1/chat/completions"
OPENAI = Provider("openai", "openai", "https://api.openai.com")
OTHER = Provider("local", "openai", "http://127.0.0.1:1", frozenset(["top_k"]))
HELLO = {"role": "user", "content": "Hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [HELLO]} | changes


def read(provider: Provider = OPENAI, **changes: Any) -> Reading:
    asked = body(**changes)
    return read_chat(asked, len(dumps(asked)), provider, PATH)


def sent(provider: Provider = OPENAI, most: int = 9, **changes: Any) -> Any:
    return loads(read(provider, **changes).render(most))


def test_every_byte_may_be_a_token_and_constants_cover_what_the_provider_adds() -> None:
    found = read_chat(body(messages=[HELLO] * 3, tools=[TOOL] * 2), 1_000, OPENAI, PATH)
    assert found.input_bound == 1_000 + REQUEST_TOKENS + 3 * MESSAGE_TOKENS + 2 * TOOL_TOKENS


def test_where_the_tokenizer_is_not_known_each_byte_may_be_eleven_tokens() -> None:
    found = read_chat(body(), 1_000, OTHER, PATH)
    assert found.input_bound == 1_000 * NORMALISING_FACTOR + REQUEST_TOKENS + MESSAGE_TOKENS
    assert not found.covers_reasoning


def test_a_plain_request_is_a_chat_that_needs_nothing_more() -> None:
    found = read()
    assert (found.model, found.action, found.extra_actions, found.unbounded) == ("gpt-4o-mini", "chat", frozenset(), "")
    assert (found.streamed, found.wants_usage, found.own_output, found.choices) == (False, False, None, 1)
    assert found.covers_reasoning


@pytest.mark.parametrize(
    ("changes", "own"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 5),
        ({"max_tokens": 8, "max_completion_tokens": 7}, 7),
        ({"max_tokens": None, "max_completion_tokens": None}, None),
    ],
    ids=str,
)
def test_of_two_spellings_of_the_maximum_the_smaller_counts(changes: dict[str, Any], own: int | None) -> None:
    assert read(**changes).own_output == own


def test_the_maximum_is_sent_under_the_one_name_that_the_provider_takes() -> None:
    both: dict[str, Any] = {"max_tokens": 5, "max_completion_tokens": 7}
    assert {name: value for name, value in sent(**both).items() if name.startswith("max_")} == {
        "max_completion_tokens": 9
    }
    assert {name: value for name, value in sent(OTHER, **both).items() if name.startswith("max_")} == {"max_tokens": 9}


def test_the_standard_price_tier_is_asked_for() -> None:
    assert sent()["service_tier"] == "default"
    assert sent(service_tier=None)["service_tier"] == "default"
    assert "service_tier" not in sent(OTHER)


def test_the_usage_of_a_stream_is_always_asked_for() -> None:
    assert sent(stream=True)["stream_options"] == {"include_usage": True}
    options = {"include_usage": False, "include_obfuscation": False}
    assert sent(stream=True, stream_options=options)["stream_options"] == options | {"include_usage": True}
    assert "stream_options" not in sent(stream_options=None)


@pytest.mark.parametrize(
    ("options", "wants"),
    [(None, False), ({}, False), ({"include_usage": False}, False), ({"include_usage": True}, True)],
)
def test_it_is_known_whether_the_app_asked_for_the_usage_itself(options: Any, wants: bool) -> None:
    found = read(stream=True, stream_options=options)
    assert (found.streamed, found.wants_usage) == (True, wants)


def test_what_the_app_wrote_crosses_unchanged() -> None:
    fields: dict[str, Any] = {
        "temperature": 0.25, "seed": 2**60, "stop": ["é", "\N{GRINNING FACE}"], "response_format": {"type": "json_object"},
        "tools": [TOOL], "tool_choice": "auto", "metadata": {"a": "b"}, "n": 2, "logit_bias": {"50256": -100},
    }  # fmt: skip
    assert {name: value for name, value in sent(**fields).items() if name in fields} == fields
    assert sent(**fields)["messages"] == [HELLO]


@pytest.mark.parametrize(
    ("changes", "name", "action"),
    [
        ({"best_of": 4}, "best_of", None),
        ({"previous_response_id": "r"}, "previous_response_id", None),
        ({"background": True}, "background", None),
        ({"top_k": 4}, "top_k", None),
        ({"store": True}, "store", None),
        ({"service_tier": "auto"}, "service_tier", None),
        ({"prediction": {"type": "content"}}, "prediction", None),
        ({"modalities": ["text", "audio"]}, "modalities", "audio"),
        ({"audio": {"voice": "x"}}, "audio", "audio"),
        ({"web_search_options": {}}, "web_search_options", "web_search"),
        ({"tools": [{"type": "web_search"}]}, "tools.web_search", "web_search"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools.code_interpreter", None),
        ({"tools": [{}]}, "tools.type", None),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.content.image_url", "vision"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages.content.input_audio",
            "audio",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages.content.file", "files"),
        ({"messages": [{"role": "user", "content": ["text"]}]}, "messages.content.content", None),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages.audio", None),
    ],
    ids=str,
)
def test_what_has_no_bound_is_named_and_not_forwarded(changes: dict[str, Any], name: str, action: str | None) -> None:
    found = read(**changes)
    assert name in found.unbounded
    assert found.extra_actions == (frozenset() if action is None else {action})


@pytest.mark.parametrize("model", ["gpt-4o-search-preview", "gpt-5-search-api", "o3-deep-research", "search-x"])
def test_a_model_that_searches_by_itself_needs_the_action_and_has_no_bound(model: str) -> None:
    found = read(model=model)
    assert (found.extra_actions, bool(found.unbounded)) == (frozenset(["web_search"]), True)
    assert read(model="gpt-rosalind-research").unbounded == ""


def test_a_name_is_shown_in_plain_letters_only() -> None:
    odd: dict[str, Any] = {"<b>\n\u202e" + "x" * 99: 1}
    found = read(**odd)
    assert "?b???x" in found.unbounded
    assert len(found.unbounded) < 100


def test_a_field_that_the_operator_called_harmless_crosses() -> None:
    assert read(OTHER, top_k=4).unbounded == ""
    assert sent(OTHER, top_k=4)["top_k"] == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"store": False}, {"store": None}, {"modalities": ["text"]}, {"service_tier": "default"}, {"audio": None},
        {"tools": None}, {"tools": [TOOL, {"type": "custom", "custom": {}}]}, {"functions": [{"name": "f"}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [], "audio": None}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_costs_nothing_more_is_taken(changes: dict[str, Any]) -> None:
    assert read(**changes).unbounded == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"model": None}, {"model": ""}, {"model": 4}, {"model": "m" * 201}, {"messages": None}, {"messages": []},
        {"messages": "hello"}, {"messages": ["hello"]}, {"messages": [{"role": "user", "content": 4}]}, {"tools": {}},
        {"tools": ["f"]}, {"functions": [1]}, {"stream": "yes"}, {"stream": 1}, {"stream_options": {}},
        {"stream": True, "stream_options": []}, {"stream": True, "stream_options": {"include_usage": 1}},
        {"stream": True, "stream_options": {"x": 1}}, {"n": 0}, {"n": 129}, {"n": True}, {"n": 1.0}, {"max_tokens": 0},
        {"max_tokens": -1}, {"max_tokens": "5"}, {"max_completion_tokens": 2**53 + 1}, {"max_tokens": True},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_a_request_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as caught:
        read(**changes)
    assert caught.value.code == "invalid_request"


def test_nothing_of_the_apps_own_text_is_in_a_refusal() -> None:
    with pytest.raises(CallRefused) as caught:
        read(model={"secret": "sk-1234567890"})
    assert "sk-" not in caught.value.description
