"""SDKs of servers that speak OpenAI's dialect, unmodified, through a real server: Groq's own, and OpenAI's for Azure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from groq import Groq

from tests.canary import KEY
from tests.fake_provider import FakeProvider, answer_chat, provider_in_a_thread
from tests.serve.installation import Granted, Installation

GROQ, DEPLOYMENT = "llama-3.1-8b-instant", "acme-gpt"
MESSAGES: Any = [{"role": "user", "content": "Hello"}]
ANA = ("--user", "ana@example.com", "--no-check")


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider

    def settled(self, granted: Granted) -> int:
        return self.installation.settled(granted.grant_id)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with provider_in_a_thread(answer_chat) as provider:
        installation = Installation(tmp_path_factory.mktemp("compatible"), {})
        installation.furnish()
        for name in ("groq", "azure"):
            installation.broker("provider", "add", name, "--base-url", f"{provider.url}/openai/v1")
            installation.broker("key", "add", "--provider", name, *ANA, stdin=KEY + "\n")
        installation.broker("price", "set", "azure", DEPLOYMENT, "--input", "2.50", "--output", "10")
        installation.broker("provider", "add", "ollama", "--dialect", "openai", "--base-url", f"{provider.url}/v1")
        installation.broker("key", "add", "--provider", "ollama", "--no-key")
        installation.broker("price", "set", "ollama", "*", "--input", "0", "--output", "0")
        installation.broker("price", "markup", "ollama", "dear*", "50")
        installation.broker("price", "set", "ollama", "dear-one", "--input", "1", "--output", "1")
        with installation.serving() as server:
            yield Place(installation, server.address, provider)


def test_groqs_own_sdk_adds_a_part_of_the_path_itself(place: Place) -> None:
    granted = place.installation.grant(provider="groq", models=[GROQ])
    with Groq(base_url=f"{place.address}/proxy/groq", api_key=granted.token, max_retries=0) as client:
        answered = client.chat.completions.create(model=GROQ, messages=MESSAGES)
        words = client.chat.completions.create(model=GROQ, messages=MESSAGES, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in words) == "Hello there."
        assert [model.id for model in client.models.list().data] == [GROQ]
    assert answered.choices[0].message.content == "Hello."
    assert place.provider.asked[-1].target == "/openai/v1/chat/completions"
    assert "max_completion_tokens" in place.provider.asked[-1].json()
    # Twice 10 tokens at $0.05 and 5 at $0.08 a million, each rounded up.
    assert place.settled(granted) == 2


def test_a_deployment_at_azure(place: Place) -> None:
    granted = place.installation.grant(provider="azure", models=[DEPLOYMENT])
    where: Any = {"azure_endpoint": f"{place.address}/proxy/azure", "api_version": "2024-10-21"}
    with openai.AzureOpenAI(**where, azure_ad_token=granted.token, max_retries=0) as client:
        answered = client.chat.completions.create(model=DEPLOYMENT, messages=MESSAGES)
    assert answered.choices[0].message.content == "Hello."
    asked = place.provider.asked[-1]
    assert asked.target == f"/openai/deployments/{DEPLOYMENT}/chat/completions?api-version=2024-10-21"
    assert (asked.header("api-key"), asked.header("authorization")) == (KEY, "")
    # 10 tokens at $2.50 and 5 at $10 a million.
    assert place.settled(granted) == 75


def test_the_newer_api_of_azure(place: Place) -> None:
    granted = place.installation.grant(provider="azure", models=[DEPLOYMENT])
    address = f"{place.address}/proxy/azure/openai/v1"
    with openai.OpenAI(base_url=address, api_key=granted.token, max_retries=0) as client:
        stream = client.chat.completions.create(model=DEPLOYMENT, messages=MESSAGES, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Hello there."
    assert place.provider.asked[-1].target == "/openai/v1/chat/completions"
    assert place.settled(granted) == 75


def test_a_server_of_ones_own_without_a_key_and_without_a_cost(place: Place) -> None:
    granted = place.installation.grant(provider="ollama", models=["llama3.2:1b", "dear-one"], max_requests=3)
    with openai.OpenAI(base_url=f"{place.address}/proxy/ollama/v1", api_key=granted.token, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["dear-one", "llama3.2:1b"]
        assert client.models.retrieve("llama3.2:1b").id == "llama3.2:1b"
        client.chat.completions.create(model="llama3.2:1b", messages=MESSAGES)
        assert place.settled(granted) == 0
        assert place.provider.asked[-1].header("authorization").startswith("Bearer no-key_")
        assert place.provider.asked[-1].json()["max_tokens"] == 4096
        client.chat.completions.create(model="dear-one", messages=MESSAGES)
    # 15 tokens at $1 a million and half as much again, rounded up once.
    assert place.settled(granted) == 23


def test_a_model_without_a_price_says_what_sets_one(place: Place) -> None:
    granted = place.installation.grant(provider="azure", models=["other-one"])
    address = f"{place.address}/proxy/azure/openai/v1"
    with (
        openai.OpenAI(base_url=address, api_key=granted.token) as client,
        pytest.raises(openai.PermissionDeniedError) as refused,
    ):
        client.chat.completions.create(model="other-one", messages=MESSAGES)
    assert refused.value.code == "no_price"
    assert "broker price set azure 'other-one' --input USD --output USD" in refused.value.message
