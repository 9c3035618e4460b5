"""A request to generate: what of it is harmless, what is bounded, what needs an action, and what is refused."""

from typing import Any

import pytest

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.providers.dialect import Reading
from broker.providers.google import Google
from broker.providers.google_request import CONTENT_TOKENS, REQUEST_TOKENS, TOOL_TOKENS, TOOLS_TOKENS
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.registry import Provider

PATH = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
GOOGLE = Provider("google", "google", "https://generativelanguage.googleapis.com")
OTHER = Provider("local", "google", "http://127.0.0.1:1", frozenset(["extra"]))
HELLO = {"role": "user", "parts": [{"text": "Hello"}]}
FUNCTIONS = {"functionDeclarations": [{"name": "f"}, {"name": "g"}]}


def body(**changes: Any) -> dict[str, Any]:
    return {"contents": [HELLO]} | changes


def read(provider: Provider = GOOGLE, path: str = PATH, query: str = "", size: int = 0, **changes: Any) -> Reading:
    asked = body(**changes)
    endpoint = Google().endpoint("POST", path)
    assert endpoint is not None
    return endpoint.read(asked, size or len(dumps(asked)), provider, path + query)


def sent(most: int = 9, **changes: Any) -> Any:
    return loads(read(**changes).render(most))


def with_part(part: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [part]}]}


def test_a_plain_request_is_a_chat_with_the_model_of_its_path() -> None:
    found = read()
    assert (found.model, found.action, found.extra_actions, found.unbounded) == (
        "gemini-2.5-flash",
        "chat",
        frozenset(),
        "",
    )
    assert (found.streamed, found.own_output, found.choices, found.target) == (False, None, 1, PATH)
    assert found.covers_reasoning


def test_a_stream_is_one_by_its_path_and_its_query() -> None:
    found = read(path=STREAM, query="?alt=sse")
    assert (found.streamed, found.target) == (True, f"{STREAM}?alt=sse")
    with pytest.raises(CallRefused, match=r"alt=sse"):
        read(path=STREAM)
    assert read(query="?alt=sse").target == PATH


def test_each_byte_may_be_eleven_tokens_as_the_tokenizer_is_not_known() -> None:
    found = read(size=1_000, contents=[HELLO] * 3, systemInstruction={"parts": [{"text": "x"}]})
    assert found.input_bound == 1_000 * NORMALISING_FACTOR + REQUEST_TOKENS + 4 * CONTENT_TOKENS
    found = read(size=1_000, tools=[FUNCTIONS])
    tools = TOOLS_TOKENS + 2 * TOOL_TOKENS
    assert found.input_bound == 1_000 * NORMALISING_FACTOR + REQUEST_TOKENS + CONTENT_TOKENS + tools


def test_the_maximum_that_is_sent_is_the_one_that_is_held() -> None:
    assert sent(7)["generationConfig"] == {"maxOutputTokens": 7}
    config = {"maxOutputTokens": 50, "temperature": 1}
    assert sent(7, generationConfig=config)["generationConfig"] == {"temperature": 1, "maxOutputTokens": 7}
    assert read(generationConfig=config).own_output == 50


def test_names_in_snake_case_are_the_same_names() -> None:
    found = read(generation_config={"max_output_tokens": 50, "candidate_count": 2})
    assert (found.own_output, found.choices) == (50, 2)
    told = sent(7, generation_config={"max_output_tokens": 50}, system_instruction={"parts": [{"text": "x"}]})
    assert told["generationConfig"] == {"maxOutputTokens": 7}
    assert "systemInstruction" in told


@pytest.mark.parametrize(
    "changes",
    [
        {"generationConfig": {"maxOutputTokens": 5, "max_output_tokens": 5_000}},
        {"generationConfig": {}, "generation_config": {"maxOutputTokens": 5_000}},
        with_part({"inlineData": {}, "inline_data": {}}),
    ],
    ids=str,
)
def test_two_spellings_of_one_name_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CallRefused, match="two spellings"):
        read(**changes)


def test_thoughts_are_in_the_maximum_of_googles_own_models_or_where_there_are_none() -> None:
    assert not read(OTHER).covers_reasoning
    assert read(OTHER, generationConfig={"thinkingConfig": {"thinkingBudget": 0}}).covers_reasoning


@pytest.mark.parametrize(
    "changes",
    [
        {"systemInstruction": {"parts": [{"text": "Be kind."}]}},
        {"safetySettings": [], "toolConfig": {}, "labels": {"a": "b"}, "model": "models/gemini-2.5-flash"},
        {"tools": [FUNCTIONS]},
        {"generationConfig": {"responseModalities": ["TEXT"], "responseJsonSchema": {}, "thinkingConfig": {}}},
        with_part({"functionCall": {"name": "f", "args": {"inline_data": 1}}, "thoughtSignature": "x"}),
        with_part({"functionResponse": {"name": "f", "response": {"file_data": 1}}}),
        with_part({"text": "hm", "thought": True}),
        {"cachedContent": None, "store": False},
    ],
    ids=str,
)
def test_what_its_bytes_bound_is_forwarded(changes: dict[str, Any]) -> None:
    found = read(**changes)
    assert (found.unbounded, found.extra_actions) == ("", frozenset())


@pytest.mark.parametrize(
    ("changes", "named", "action"),
    [
        ({"cachedContent": "cachedContents/x"}, "cachedContent", "files"),
        ({"serviceTier": "priority"}, "serviceTier", ""),
        ({"store": True}, "store", ""),
        ({"newField": 1}, "newField", ""),
        ({"tools": [{"googleMaps": {}}]}, "tools.googleMaps", "web_search"),
        (
            {"tools": [{"googleSearch": {"searchTypes": {}}}]},
            "tools.googleSearch",
            "web_search",
        ),
        (
            {"tools": [{"codeExecution": {}}]},
            "tools.codeExecution (what is read again between its steps is paid for, and nothing sets a most of it)",
            "code_execution",
        ),
        ({"tools": [FUNCTIONS | {"fileSearch": {}}]}, "tools.fileSearch", "files"),
        ({"tools": [{"newTool": {}}]}, "tools.newTool", ""),
        ({"generationConfig": {"speechConfig": {}}}, "generationConfig.speechConfig", "audio"),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, "generationConfig.responseModalities", "images"),
        ({"generationConfig": {"routingConfig": {}}}, "generationConfig.routingConfig", ""),
        (with_part({"inlineData": {"mimeType": "image/png", "data": ""}}), "parts.image", "vision"),
        (with_part({"inline_data": {"mime_type": "audio/mp3", "data": None}}), "parts.audio", "audio"),
        (with_part({"inlineData": {"mimeType": "application/zip", "data": ""}}), "parts.application", "files"),
        (with_part({"inlineData": 5}), "parts.inlineData", "files"),
        (with_part({"fileData": {"fileUri": "x"}}), "parts.fileData", "files"),
        (with_part({"videoMetadata": {}}), "parts.videoMetadata", ""),
        (
            with_part({"functionResponse": {"name": "f", "parts": [{"inlineData": {"mimeType": "image/png"}}]}}),
            "parts.image",
            "vision",
        ),
        ({"contents": [HELLO | {"extra": 1}]}, "contents.extra", ""),
        ({"systemInstruction": {"parts": [{"fileData": {}}]}}, "parts.fileData", "files"),
    ],
    ids=str,
)
def test_what_has_no_bound_is_named_with_the_action_it_needs(changes: dict[str, Any], named: str, action: str) -> None:
    found = read(**changes)
    assert found.unbounded == f"The cost of this cannot be bounded here: {named}."
    assert found.extra_actions == (frozenset([action]) if action else frozenset())


def test_a_field_that_the_operator_calls_harmless_is_forwarded() -> None:
    assert read(OTHER, extra=1).unbounded == ""
    assert read(GOOGLE, extra=1).unbounded


@pytest.mark.parametrize(
    "changes",
    [
        {"contents": []}, {"contents": None}, {"contents": "Hello"}, {"contents": [5]}, {"contents": [{"parts": "x"}]},
        {"contents": [{"parts": [5]}]}, {"systemInstruction": "x"}, {"generationConfig": []}, {"model": "models/other"},
        {"generationConfig": {"maxOutputTokens": 0}}, {"generationConfig": {"maxOutputTokens": "5"}},
        {"generationConfig": {"maxOutputTokens": True}}, {"generationConfig": {"candidateCount": 0}}, {"tools": {}},
        {"generationConfig": {"candidateCount": 9}}, {"contents": [{"parts": [{"text": "\ud800"}]}]},
    ],
    ids=repr,
)  # fmt: skip
def test_a_body_of_wrong_types_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as refused:
        read(size=100, **changes)
    assert refused.value.code == "invalid_request"


def test_several_candidates_do_not_go_with_a_stream() -> None:
    assert read(generationConfig={"candidateCount": 2}).choices == 2
    with pytest.raises(CallRefused, match="candidateCount"):
        read(path=STREAM, query="?alt=sse", generationConfig={"candidateCount": 2})


def test_counting_tokens_is_free_and_goes_as_it_came() -> None:
    path = PATH.replace("generateContent", "countTokens")
    found = read(path=path)
    assert (found.is_free, found.target) == (True, path)
    assert loads(found.render(5)) == body()
    nested: dict[str, Any] = {"contents": None, "generateContentRequest": body(tools=[{"googleSearch": {}}])}
    assert read(path=path, **nested).extra_actions == {"web_search"}
