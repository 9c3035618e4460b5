"""A request for a message: what of it is harmless, what is bounded, what needs an action, and what is refused."""

from typing import Any

import pytest

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.providers.anthropic import CountTokens, Messages
from broker.providers.anthropic_request import (
    CLIENT_TOOL_TOKENS,
    MESSAGE_TOKENS,
    REQUEST_TOKENS,
    TOOL_TOKENS,
    TOOLS_TOKENS,
)
from broker.providers.dialect import Reading
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.registry import Provider

PATH = "/v1/messages"
ANTHROPIC = Provider("anthropic", "anthropic", "https://api.anthropic.com")
OTHER = Provider("local", "anthropic", "http://127.0.0.1:1", frozenset(["min_p"]))
HELLO = {"role": "user", "content": "Hello"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
CACHED = {"cache_control": {"type": "ephemeral"}}
AN_HOUR = {"type": "ephemeral", "ttl": "1h"}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [HELLO]} | changes


def read(provider: Provider = ANTHROPIC, **changes: Any) -> Reading:
    asked = body(**changes)
    return Messages().read(asked, len(dumps(asked)), provider, PATH)


def sent(most: int = 9, provider: Provider = ANTHROPIC, **changes: Any) -> Any:
    return loads(read(provider, **changes).render(most))


def with_block(block: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [block]}]}


def test_a_plain_request_is_a_chat_that_needs_nothing_more() -> None:
    found = read()
    assert (found.model, found.action, found.extra_actions, found.unbounded) == (
        "claude-haiku-4-5",
        "chat",
        frozenset(),
        "",
    )
    assert (found.streamed, found.own_output, found.choices, found.target) == (False, 100, 1, PATH)
    assert found.covers_reasoning
    assert read(stream=True).streamed


def test_each_byte_may_be_eleven_tokens_as_the_tokenizer_is_not_known() -> None:
    found = Messages().read(body(messages=[HELLO] * 3), 1_000, ANTHROPIC, PATH)
    assert found.input_bound == 1_000 * NORMALISING_FACTOR + REQUEST_TOKENS + 3 * MESSAGE_TOKENS


def test_tools_add_a_system_prompt_and_those_of_anthropics_own_a_description() -> None:
    bash = {"type": "bash_20250124", "name": "bash"}
    found = Messages().read(body(tools=[TOOL, TOOL, bash]), 1_000, ANTHROPIC, PATH)
    tools = TOOLS_TOKENS + 2 * TOOL_TOKENS + CLIENT_TOOL_TOKENS
    assert found.input_bound == 1_000 * NORMALISING_FACTOR + REQUEST_TOKENS + MESSAGE_TOKENS + tools
    assert found.unbounded == ""


def test_the_maximum_that_is_sent_is_the_one_that_is_held() -> None:
    assert sent(7)["max_tokens"] == 7
    assert sent(7, max_tokens=None)["max_tokens"] == 7
    assert read(max_tokens=None).own_output is None


def test_filling_the_cache_alone_is_held_as_one_token_and_sent_as_asked() -> None:
    assert read(max_tokens=0).own_output == 1
    assert sent(1, max_tokens=0)["max_tokens"] == 0


def test_the_standard_price_tier_is_asked_for() -> None:
    assert sent()["service_tier"] == sent(service_tier="standard_only")["service_tier"] == "standard_only"
    assert "service_tier" not in sent(provider=OTHER)


@pytest.mark.parametrize(
    "changes",
    [
        {"system": "Be kind."},
        {"system": [{"type": "text", "text": "Be kind."} | CACHED]},
        {"cache_control": {"type": "ephemeral", "ttl": "5m"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}}},
        {"tools": [TOOL | CACHED | {"type": "custom", "strict": True}], "tool_choice": {"type": "auto"}},
        with_block({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "4"}]}),
        with_block({"type": "tool_result", "tool_use_id": "t", "content": "4", "is_error": False}),
        with_block({"type": "tool_use", "id": "t", "name": "f", "input": {"image": 1}}),
        with_block({"type": "thinking", "thinking": "hm", "signature": "x"}),
        with_block({"type": "redacted_thinking", "data": "x"}),
        {"speed": "standard"},
        {"inference_geo": "global"},
        {"mcp_servers": []},
        {"metadata": {"user_id": "u"}, "stop_sequences": ["x"], "temperature": 1, "top_p": 1, "top_k": 5},
    ],
    ids=str,
)
def test_what_its_bytes_bound_is_forwarded(changes: dict[str, Any]) -> None:
    found = read(**changes)
    assert (found.unbounded, found.extra_actions) == ("", frozenset())


@pytest.mark.parametrize(
    ("changes", "named", "action"),
    [
        ({"service_tier": "auto"}, "service_tier", ""),
        ({"speed": "fast"}, "speed", ""),
        ({"inference_geo": "us"}, "inference_geo", ""),
        ({"container": "c_1"}, "container", "code_execution"),
        ({"mcp_servers": [{"type": "url", "url": "https://x"}]}, "mcp_servers", ""),
        ({"context_management": {"edits": []}}, "context_management", ""),
        ({"output_config": {"task_budget": 5}}, "output_config.task_budget", ""),
        ({"new_field": 1}, "new_field", ""),
        ({"cache_control": {"type": "ephemeral", "ttl": "24h"}}, "cache_control", ""),
        ({"tools": [TOOL | {"cache_control": {"type": "ephemeral", "ttl": 5}}]}, "tools.cache_control", ""),
        ({"tools": [TOOL | {"defer_loading": True}]}, "tools.defer_loading", ""),
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "tools.web_search_20260318", "web_search"),
        ({"tools": [{"type": "web_fetch_20250910", "name": "f"}]}, "tools.web_fetch_20250910", "web_search"),
        ({"tools": [{"type": "code_execution_20250825"}]}, "tools.code_execution_20250825", "code_execution"),
        ({"tools": [{"type": "computer_toolset_20260801"}]}, "tools.computer_toolset_20260801", "vision"),
        ({"tools": [{"type": 5}]}, "tools.type", ""),
        (with_block({"type": "image", "source": {}}), "messages.content.image", "vision"),
        (with_block({"type": "document", "source": {}}), "messages.content.document", "files"),
        (with_block({"type": "container_upload", "file_id": "f"}), "messages.content.container_upload", "files"),
        (with_block({"text": "no type"}), "messages.content.type", ""),
        (with_block({"type": "text", "text": "x", "image_url": "y"}), "messages.content.text.image_url", ""),
        (
            with_block({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}),
            "messages.content.tool_result.image",
            "vision",
        ),
        ({"messages": [HELLO | {"output_config": {}}]}, "messages.output_config", ""),
        ({"system": [{"type": "image"}]}, "system.image", "vision"),
    ],
    ids=str,
)
def test_what_has_no_bound_is_named_with_the_action_it_needs(changes: dict[str, Any], named: str, action: str) -> None:
    found = read(**changes)
    assert found.unbounded == f"The cost of this cannot be bounded here: {named}."
    assert found.extra_actions == (frozenset([action]) if action else frozenset())


def test_a_field_that_the_operator_calls_harmless_is_forwarded() -> None:
    assert read(OTHER, min_p=0.1).unbounded == ""
    assert read(ANTHROPIC, min_p=0.1).unbounded


@pytest.mark.parametrize(
    "changes",
    [
        {"model": None}, {"model": 5}, {"model": ""}, {"model": "x" * 201}, {"messages": []}, {"messages": None},
        {"messages": "Hello"}, {"messages": [5]}, {"messages": [{"role": "user", "content": 5}]}, {"system": 5},
        {"max_tokens": -1}, {"max_tokens": "5"}, {"max_tokens": True}, {"max_tokens": 2**53 + 1}, {"stream": "yes"},
        {"tools": {}}, {"tools": [5]}, {"system": "\ud800"},
    ],
    ids=repr,
)  # fmt: skip
def test_a_body_of_wrong_types_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as refused:
        Messages().read(body(**changes), 100, ANTHROPIC, PATH)
    assert refused.value.code == "invalid_request"


def test_counting_tokens_is_free_and_goes_as_it_came() -> None:
    asked: dict[str, Any] = {"model": "claude-haiku-4-5", "messages": [HELLO]}
    found = CountTokens().read(asked, 50, ANTHROPIC, f"{PATH}/count_tokens")
    assert found.is_free
    assert loads(found.render(5)) == asked
    assert found.target == "/v1/messages/count_tokens"


@pytest.mark.parametrize(
    "changes",
    [
        {"cache_control": AN_HOUR},
        {"tools": [TOOL | {"cache_control": AN_HOUR}]},
        {"system": [{"type": "text", "text": "Be kind.", "cache_control": AN_HOUR}]},
        with_block({"type": "text", "text": "Hello", "cache_control": AN_HOUR}),
    ],
    ids=str,
)
def test_a_call_that_keeps_input_for_an_hour_says_so(changes: dict[str, Any]) -> None:
    found = read(**changes)
    assert (found.unbounded, found.writes_long) == ("", True)
    assert not read(system=[{"type": "text", "text": '"ttl":"1h"'} | CACHED]).writes_long
