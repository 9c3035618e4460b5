"""Requests for embeddings of Google's: what of them is harmless, what is bounded, and what is refused."""

from typing import Any

import pytest

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.providers.dialect import Reading
from broker.providers.google import Google
from broker.providers.google_request import CONTENT_TOKENS, REQUEST_TOKENS
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.registry import Provider

MODEL = "gemini-embedding-001"
ONE, MANY = f"/v1beta/models/{MODEL}:embedContent", f"/v1beta/models/{MODEL}:batchEmbedContents"
GOOGLE = Provider("google", "google", "https://generativelanguage.googleapis.com")
HELLO: dict[str, Any] = {"parts": [{"text": "Hello"}]}
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def read(path: str, body: dict[str, Any], size: int = 0) -> Reading:
    endpoint = Google().endpoint("POST", path)
    assert endpoint is not None
    return endpoint.read(body, size or len(dumps(body)), GOOGLE, path)


def batch(*requests: dict[str, Any]) -> Reading:
    return read(MANY, {"requests": list(requests)})


def test_one_content_is_sent_as_it_came_and_gives_no_tokens() -> None:
    body = {"content": HELLO, "taskType": "CLUSTERING", "outputDimensionality": 256, "title": "x"}
    found = read(ONE, body, size=1_000)
    assert (found.model, found.action, found.own_output, found.unbounded) == (MODEL, "embeddings", 0, "")
    assert found.input_bound == 1_000 * NORMALISING_FACTOR + REQUEST_TOKENS + CONTENT_TOKENS
    assert (loads(found.render(99)), found.target) == (body, ONE)


def test_each_request_of_a_batch_counts() -> None:
    asked = [{"model": f"models/{MODEL}", "content": HELLO}] * 3
    found = batch(*asked)
    size = len(dumps({"requests": asked}))
    assert found.input_bound == size * NORMALISING_FACTOR + 3 * (REQUEST_TOKENS + CONTENT_TOKENS)
    assert loads(found.render(99)) == {"requests": asked}


@pytest.mark.parametrize("model", ["models/gemini-2.5-pro", "gemini-embedding-2", f"models/{MODEL} ", 7, ["x"]])
def test_another_model_than_that_of_the_path_is_refused_wherever_it_stands(model: Any) -> None:
    with pytest.raises(CallRefused, match=r"that of the path"):
        read(ONE, {"content": HELLO, "model": model})
    with pytest.raises(CallRefused, match=r"that of the path"):
        batch({"content": HELLO}, {"content": HELLO, "model": model})


@pytest.mark.parametrize(
    "body",
    [{}, {"requests": []}, {"requests": "x"}, {"requests": [{}]}, {"requests": [{"content": HELLO}], "model": MODEL}],
)
def test_a_batch_has_contents_in_its_requests_and_nothing_beside_them(body: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as refused:
        read(MANY, body)
    assert refused.value.code == "invalid_request"


def test_names_in_snake_case_are_the_same_names() -> None:
    found = read(ONE, {"content": HELLO, "task_type": "CLUSTERING", "output_dimensionality": 8})
    assert loads(found.render(9)) == {"content": HELLO, "taskType": "CLUSTERING", "outputDimensionality": 8}
    with pytest.raises(CallRefused, match=r"two spellings"):
        read(ONE, {"content": HELLO, "task_type": "x", "taskType": "y"})


@pytest.mark.parametrize(
    ("more", "what", "action"),
    [
        ({"surprise": 1}, "surprise", ""),
        ({"embedContentConfig": {"documentOcr": True}}, "embedContentConfig.documentOcr", ""),
        ({"content": {"parts": [PICTURE]}}, "parts.image", "vision"),
        ({"content": {"parts": [{"fileData": {"fileUri": "x"}}]}}, "parts.fileData", "files"),
        ({"content": {"parts": [{"text": "x"}], "surprise": 1}}, "contents.surprise", ""),
    ],
)
def test_what_is_not_known_or_has_no_bound_is_named(more: dict[str, Any], what: str, action: str) -> None:
    for found in (read(ONE, {"content": HELLO} | more), batch({"content": HELLO}, {"content": HELLO} | more)):
        assert found.unbounded.endswith(f": {what}.")
        assert found.extra_actions == (frozenset([action]) if action else frozenset())


def test_the_usage_is_what_went_in() -> None:
    endpoint = Google().endpoint("POST", MANY)
    assert endpoint is not None
    assert endpoint.usage({"embeddings": [], "usageMetadata": {"promptTokenCount": 7}}) == (Usage(7, 0), False)
    assert endpoint.usage({"embeddings": []}) == (None, False)
    assert endpoint.usage({"usageMetadata": {"promptTokenCount": -7}}) == (None, True)


def test_the_list_of_models_says_what_each_is_for() -> None:
    listed: Any = loads(Google().listing([MODEL], GOOGLE))
    assert listed["models"][0]["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents", "countTokens"]
