"""What is known of a server changes what is sent to it and what is held; of one that is not known the least is assumed."""

from typing import Any

import pytest

from broker.core.strict_json import dumps, loads
from broker.providers.dialect import Reading
from broker.providers.known import KINDS, NORMALISING_FACTOR
from broker.providers.openai_request import MESSAGE_TOKENS, REQUEST_TOKENS, read_chat
from broker.providers.registry import Provider, Registry

PATH = "/v1/chat/completions"


def read(provider: Provider, **changes: Any) -> Reading:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True} | changes
    return read_chat(body, len(dumps(body)), provider, PATH)


def of(name: str, like: str = "") -> Provider:
    return Provider(name, "openai", "http://127.0.0.1:9", like=like)


@pytest.mark.parametrize(
    ("name", "maximum", "covers"),
    [
        ("openai", "max_completion_tokens", True), ("groq", "max_completion_tokens", True),
        ("deepseek", "max_tokens", True), ("x-ai", "max_completion_tokens", False), ("openrouter", "max_tokens", False),
        ("together", "max_tokens", False), ("ollama", "max_tokens", True), ("vllm", "max_tokens", True),
        ("llama-cpp", "max_tokens", True), ("stranger", "max_tokens", False),
    ],
)  # fmt: skip
def test_each_takes_its_maximum_by_one_name_and_says_whether_it_covers_thoughts(
    name: str, maximum: str, *, covers: bool
) -> None:
    found = read(of(name), max_tokens=50, max_completion_tokens=40)
    sent: Any = loads(found.render(7))
    assert (found.own_output, found.covers_reasoning) == (40, covers)
    assert {key: sent[key] for key in sent if key.startswith("max")} == {maximum: 7}
    assert sent["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(("name", "factor"), [("openai", 1), ("deepseek", 1), ("groq", 11), ("ollama", 11), ("x", 11)])
def test_only_where_the_tokenizer_is_known_a_byte_is_at_most_a_token(name: str, factor: int) -> None:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    assert read_chat(body, 1_000, of(name), PATH).input_bound == 1_000 * factor + REQUEST_TOKENS + MESSAGE_TOKENS
    assert factor in (1, NORMALISING_FACTOR)


def test_a_server_of_another_name_is_what_it_is_said_to_be_like() -> None:
    assert read(of("gpu")).covers_reasoning is False
    assert read(of("gpu", like="vllm")).covers_reasoning is True
    assert read(of("gpu", like="vllm"), top_k=5, min_p=0.1).unbounded == ""
    assert read(of("gpu"), top_k=5).unbounded.endswith(": top_k.")


@pytest.mark.parametrize(
    ("name", "field", "action"),
    [
        ("groq", {"search_settings": {}}, "web_search"), ("x-ai", {"search_parameters": {}}, "web_search"),
        ("openrouter", {"plugins": [{"id": "web"}]}, "web_search"), ("openrouter", {"models": ["a", "b"]}, ""),
        ("openrouter", {"route": "fallback"}, ""), ("vllm", {"chat_template": "x"}, ""),
    ],
)  # fmt: skip
def test_what_would_cost_more_or_call_another_model_is_refused(name: str, field: dict[str, Any], action: str) -> None:
    found = read(of(name), **field)
    assert found.unbounded.endswith(f": {next(iter(field))}.")
    assert found.extra_actions == (frozenset([action]) if action else frozenset())


@pytest.mark.parametrize(
    ("name", "tier", "bounded"),
    [
        ("openai", "default", True), ("openai", "scale", False), ("openai", "auto", False),
        ("groq", "on_demand", True), ("groq", "default", False), ("groq", "auto", False),
    ],
)  # fmt: skip
def test_a_tier_without_a_price_of_its_own_is_not_bounded(name: str, tier: str, *, bounded: bool) -> None:
    assert (read(of(name), service_tier=tier).unbounded == "") is bounded


@pytest.mark.parametrize(
    ("base_url", "path", "own"),
    [
        ("https://api.groq.com/openai", "/openai/v1/chat/completions", "/v1/chat/completions"),
        ("https://api.groq.com/openai", "/v1/chat/completions", "/v1/chat/completions"),
        ("https://api.groq.com/openai", "/openai/openai/v1/models", "/openai/v1/models"),
        ("https://api.groq.com/openai", "/openaiv1/models", "/openaiv1/models"),
        ("https://openrouter.ai/api", "/api/v1/models", "/v1/models"),
        ("https://api.openai.com", "/openai/v1/models", "/openai/v1/models"),
    ],
)
def test_what_an_sdk_adds_of_the_address_itself_counts_once(base_url: str, path: str, own: str) -> None:
    assert Provider("groq", "openai", base_url).own_path(path) == own


def test_the_keys_of_the_environment_have_the_names_that_their_providers_document() -> None:
    environ = {"CO_API_KEY": "key-of-cohere", "XAI_API_KEY": "key-of-xai", "MISTRAL_API_KEY": "key-of-mistral"}
    registry = Registry(environ)
    found = {name: key.reveal() for name in KINDS if (key := registry.environment_key(name))}
    assert found == {"cohere": "key-of-cohere", "x-ai": "key-of-xai", "mistral": "key-of-mistral"}
    assert registry.names_with_environment_key() == ["cohere", "mistral"]
    own = Registry(environ | {"COHERE_API_KEY": "key-by-its-name"}).environment_key("cohere")
    assert own is not None
    assert own.reveal() == "key-by-its-name"
