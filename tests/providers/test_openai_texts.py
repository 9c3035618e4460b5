"""Completions, embeddings and moderations: what each asks for, and the most that it can use."""

from typing import Any

import pytest

from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.providers.dialect import Reading
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.openai import Embeddings, Moderations, OpenAI
from broker.providers.openai_request import REQUEST_TOKENS
from broker.providers.registry import Provider

OPENAI = Provider("openai", "openai", "https://api.openai.com")
OTHER = Provider("local", "openai", "http://127.0.0.1:1", frozenset(["truncate"]))
COMPLETION = {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello"}
EMBEDDING = {"model": "text-embedding-3-small", "input": "Hello"}


def read(path: str, asked: dict[str, Any], provider: Provider = OPENAI, size: int = 0) -> Reading:
    endpoint = OpenAI().endpoint("POST", path)
    assert endpoint is not None
    return endpoint.read(asked, size or len(dumps(asked)), provider, path)


def complete(provider: Provider = OPENAI, size: int = 0, **changes: Any) -> Reading:
    return read("/v1/completions", COMPLETION | changes, provider, size)


def embed(provider: Provider = OPENAI, size: int = 0, **changes: Any) -> Reading:
    return read("/v1/embeddings", EMBEDDING | changes, provider, size)


@pytest.mark.parametrize(
    ("changes", "choices"),
    [
        ({}, 1), ({"n": 3}, 3), ({"n": 2, "best_of": 5}, 5), ({"prompt": ["a", "b"]}, 2), ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": ["a", "b"], "n": 3}, 6), ({"prompt": [[1, 2], [3]], "best_of": 4}, 8),
    ],
    ids=str,
)  # fmt: skip
def test_each_prompt_is_answered_as_often_as_the_larger_of_n_and_best_of(changes: dict[str, Any], choices: int) -> None:
    assert complete(**changes).choices == choices


def test_a_completion_without_a_maximum_has_the_usual_one() -> None:
    found = complete()
    assert (found.action, found.own_output) == ("completions", 16)
    assert loads(found.render(16)) == COMPLETION | {"max_tokens": 16}
    assert complete(max_tokens=7).own_output == 7
    assert complete(max_tokens=0, echo=True).own_output == 1
    assert loads(complete(max_tokens=0).render(1)) == COMPLETION | {"max_tokens": 0}


def test_the_usage_of_a_completions_stream_is_always_asked_for() -> None:
    found = complete(stream=True)
    assert (found.streamed, found.wants_usage) == (True, False)
    sent = loads(found.render(16))
    assert isinstance(sent, dict)
    assert sent["stream_options"] == {"include_usage": True}
    assert complete(stream=True, stream_options={"include_usage": True}).wants_usage


def test_every_byte_may_be_a_token() -> None:
    assert complete(size=1_000, prompt=["a", "b"]).input_bound == 1_000 + 2 * REQUEST_TOKENS
    assert complete(OTHER, size=1_000).input_bound == 1_000 * NORMALISING_FACTOR + REQUEST_TOKENS
    assert embed(size=1_000).input_bound == 1_000 + REQUEST_TOKENS


def test_an_embedding_gives_no_tokens_and_goes_as_it_came() -> None:
    found = embed(dimensions=2, encoding_format="base64")
    assert (found.action, found.own_output, found.is_free) == ("embeddings", 0, False)
    assert loads(found.render(0)) == EMBEDDING | {"dimensions": 2, "encoding_format": "base64"}
    assert Embeddings().usage({"usage": {"prompt_tokens": 10, "total_tokens": 10}}) == (Usage(10, 0), False)
    assert Embeddings().usage({}) == (None, False)
    assert Embeddings().usage({"usage": {"prompt_tokens": 0}}) == (None, True)


def test_a_moderation_is_free_at_openai_alone() -> None:
    asked = {"input": ["Hello"]}
    found = read("/v1/moderations", asked)
    assert (found.action, found.model, found.is_free) == ("moderations", "omni-moderation-latest", True)
    assert not read("/v1/moderations", asked, OTHER).is_free
    assert Moderations().usage({"results": []}) == (None, False)


@pytest.mark.parametrize(
    ("path", "asked"),
    [("/v1/completions", COMPLETION), ("/v1/embeddings", EMBEDDING), ("/v1/moderations", {"input": "x"})],
)
def test_an_unknown_field_is_named_unless_the_operator_calls_it_harmless(path: str, asked: dict[str, Any]) -> None:
    assert read(path, asked | {"truncate": 1}).unbounded == "The cost of this cannot be bounded here: truncate."
    assert read(path, asked | {"truncate": 1}, OTHER).unbounded == ""
    assert read(path, asked).unbounded == ""


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/completions", COMPLETION | {"prompt": None}),
        ("/v1/completions", COMPLETION | {"prompt": []}),
        ("/v1/completions", COMPLETION | {"prompt": [1, "a"]}),
        ("/v1/completions", COMPLETION | {"prompt": [[]]}),
        ("/v1/completions", COMPLETION | {"n": 0}),
        ("/v1/completions", COMPLETION | {"max_tokens": -1}),
        ("/v1/completions", COMPLETION | {"stream_options": {}}),
        ("/v1/embeddings", EMBEDDING | {"input": {"text": "x"}}),
        ("/v1/embeddings", EMBEDDING | {"input": ["a"] * 5_000}),
        ("/v1/embeddings", EMBEDDING | {"model": 5}),
        ("/v1/embeddings", EMBEDDING | {"input": "\ud800"}),
        ("/v1/moderations", {"input": [{"type": "image_url"}]}),
        ("/v1/moderations", {}),
    ],
    ids=str,
)
def test_a_body_of_wrong_types_is_refused(path: str, asked: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as refused:
        read(path, asked, size=100)
    assert refused.value.code == "invalid_request"
