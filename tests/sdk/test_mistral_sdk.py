"""The official mistralai SDK, unmodified, through a real server on loopback: sync and async, whole and streamed."""

from dataclasses import dataclass
from typing import Any

import pytest
from mistralai.client import Mistral, errors

from tests.fake_mistral import MODEL
from tests.fake_provider import FakeProvider
from tests.sdk.conftest import Served
from tests.serve.installation import Granted, Installation, dollars

ASK: Any = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
TERMS: dict[str, Any] = {"provider": "mistral", "models": [MODEL]}


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider

    def client(self, granted: Granted) -> Mistral:
        return Mistral(server_url=f"{self.address}/proxy/mistral", api_key=granted.token)

    def settled(self, granted: Granted) -> int:
        return self.installation.settled(granted.grant_id)


@pytest.fixture(scope="module")
def place(served: Served) -> Place:
    return Place(served.installation, served.address, served.providers["mistral"])


@pytest.fixture
def granted(place: Place) -> Granted:
    return place.installation.grant(**TERMS)


def test_a_whole_answer_costs_what_its_usage_says(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        answered = client.chat.complete(**ASK, safe_prompt=True, random_seed=7)
    assert answered.choices[0].message is not None
    assert answered.choices[0].message.content == "Hello."
    # 10 tokens at $0.15 and 5 at $0.60 a million, rounded up.
    assert place.settled(granted) == 5
    assert place.provider.asked[-1].header("authorization").startswith("Bearer mistral-CANARY")


def test_a_stream_costs_what_its_last_chunk_says(place: Place, granted: Granted) -> None:
    with place.client(granted) as client, client.chat.stream(**ASK) as stream:
        chunks = [event.data for event in stream]
    assert "".join(str(chunk.choices[0].delta.content) for chunk in chunks) == "Hello there."
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5
    assert place.settled(granted) == 5


async def test_a_whole_answer_and_a_stream_in_async_code(place: Place, granted: Granted) -> None:
    async with place.client(granted) as client:
        whole = await client.chat.complete_async(**ASK)
        stream = await client.chat.stream_async(**ASK)
        words = [str(event.data.choices[0].delta.content) async for event in stream]
    assert whole.usage.prompt_tokens == 10
    assert "".join(words) == "Hello there."


def test_embeddings_cost_what_goes_in(place: Place) -> None:
    granted = place.installation.grant(provider="mistral", models=["mistral-embed"], actions=["embeddings"])
    with place.client(granted) as client:
        found = client.embeddings.create(model="mistral-embed", inputs=["Hello"])
    assert found.data[0].embedding == [0.5, -0.5]
    # 10 tokens at $0.10 a million.
    assert place.settled(granted) == 1


def test_the_models_that_were_granted(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        assert [model.id for model in client.models.list().data or []] == [MODEL]
        assert getattr(client.models.retrieve(model_id=MODEL), "id", "") == MODEL


def test_refusals_are_told_with_their_code(place: Place, granted: Granted) -> None:
    poor = place.installation.grant(**TERMS, budget=dollars(1))
    before = len(place.provider.asked)
    with place.client(granted) as client, pytest.raises(errors.SDKError) as refused:
        client.chat.complete(**(ASK | {"model": "mistral-large-2512"}))
    assert (refused.value.status_code, "model_not_granted" in refused.value.body) == (403, True)
    with place.client(poor) as client, pytest.raises(errors.SDKError) as refused:
        client.chat.complete(**ASK)
    assert (refused.value.status_code, "budget_exhausted" in refused.value.body) == (402, True)
    assert len(place.provider.asked) == before


def test_an_agent_and_a_completion_in_the_middle_have_no_price_here(place: Place, granted: Granted) -> None:
    with place.client(granted) as client, pytest.raises(errors.SDKError) as refused:
        client.fim.complete(model=MODEL, prompt="def f(")
    assert refused.value.status_code == 404


def test_a_revoked_grant_is_dead_on_the_next_call(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        client.chat.complete(**ASK)
        place.installation.broker("grant", "revoke", granted.grant_id)
        with pytest.raises(errors.SDKError) as refused:
            client.chat.complete(**ASK)
    assert refused.value.status_code == 401
