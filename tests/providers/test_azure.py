"""Azure OpenAI's dialect: the deployment in the path is what runs, and the version of the API crosses."""

from typing import Any

import pytest

from broker.core.secret import Secret
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.providers.azure import Azure
from broker.providers.check import credential_headers
from broker.providers.dialect import Reading
from broker.providers.registry import Provider

PATH = "/deployments/acme-gpt/chat/completions"
AZURE = Provider("azure", "azure", "https://acme.openai.azure.com/openai")


def read(path: str = PATH, query: bytes = b"", **changes: Any) -> Reading:
    body = {"messages": [{"role": "user", "content": "Hello"}]} | changes
    endpoint = Azure().endpoint("POST", path)
    assert endpoint is not None
    return endpoint.read(body, len(dumps(body)), AZURE, path + Azure().query(query))


@pytest.mark.parametrize("model", [None, "gpt-4o", "acme-gpt", ["x"]])
def test_the_path_says_what_runs_whatever_the_body_says(model: Any) -> None:
    found = read(model=model)
    assert found.model == "acme-gpt"
    assert loads(found.render(7))["model"] == "acme-gpt"  # type: ignore[index, call-overload]


def test_the_version_of_the_api_crosses() -> None:
    assert read(query=b"api-version=2024-10-21").target == f"{PATH}?api-version=2024-10-21"
    assert read(query=b"api-version=2025-04-01-preview&key=x").target == f"{PATH}?api-version=2025-04-01-preview"


@pytest.mark.parametrize(
    "query", [b"api-version=x", b"api-version=2024-10-21%26a", b"api-version=v1&api-version=v1", b"key=secret", b""]
)
def test_nothing_else_of_a_query_does(query: bytes) -> None:
    assert read(query=query).target == PATH


def test_the_newer_api_is_that_of_openai() -> None:
    found = read("/v1/chat/completions", model="gpt-4.1", max_tokens=5)
    assert (found.model, found.covers_reasoning) == ("gpt-4.1", False)
    sent: Any = loads(found.render(5))
    assert sent["max_completion_tokens"] == 5
    assert "service_tier" not in sent


@pytest.mark.parametrize(
    "path",
    [
        "/deployments/acme-gpt/images/generations", "/deployments/../chat/completions", "/deployments/a/b/chat/completions",
        "/deployments//chat/completions", "/deployments/acme-gpt", "/deployments", "/deployments/a/extensions/chat/completions",
    ],
)  # fmt: skip
def test_what_is_not_listed_is_no_endpoint(path: str) -> None:
    assert Azure().endpoint("POST", path) is None
    assert Azure().methods(path) == ()


def test_only_a_post_is_forwarded() -> None:
    assert Azure().endpoint("GET", PATH) is None
    assert Azure().methods(PATH) == ("POST",)


def test_its_key_has_a_header_of_its_own() -> None:
    assert credential_headers("azure", Secret("key-of-azure")) == [(b"api-key", b"key-of-azure")]


def test_usage_is_that_of_openai() -> None:
    endpoint = Azure().endpoint("POST", PATH)
    assert endpoint is not None
    assert endpoint.usage({"usage": {"prompt_tokens": 7, "completion_tokens": 3}}) == (Usage(7, 3), False)
    assert endpoint.meter(wants_usage=True).read(b"data: [DONE]\n\n")
