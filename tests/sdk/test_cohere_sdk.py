"""The official cohere SDK, unmodified, through a real server on loopback: sync and async, whole and streamed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import cohere
import httpx
import pytest
from cohere.core.api_error import ApiError

from tests.fake_cohere import CHAT, EMBED
from tests.fake_provider import FakeProvider
from tests.sdk.conftest import Served
from tests.serve.installation import Granted, Installation, dollars
from tests.serve.running import eventually

ASK: Any = {"model": CHAT, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
TERMS: dict[str, Any] = {"provider": "cohere", "models": [CHAT]}


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider

    @contextmanager
    def client(self, granted: Granted) -> Iterator[cohere.ClientV2]:
        with httpx.Client(trust_env=False, timeout=60) as http:
            yield cohere.ClientV2(granted.token, base_url=f"{self.address}/proxy/cohere", httpx_client=http)

    def settled(self, granted: Granted) -> int:
        return self.installation.settled(granted.grant_id)


@pytest.fixture(scope="module")
def place(served: Served) -> Place:
    return Place(served.installation, served.address, served.providers["cohere"])


@pytest.fixture
def granted(place: Place) -> Granted:
    return place.installation.grant(**TERMS)


def test_a_whole_answer_costs_what_is_billed(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        answered = client.chat(**ASK)
    assert [part.text for part in answered.message.content or [] if part.type == "text"] == ["Hello."]
    # 10 tokens at $2.50 and 5 at $10 a million; the model read 496.
    assert place.settled(granted) == 75
    assert place.provider.asked[-1].header("authorization").startswith("Bearer cohere-CANARY")


def test_a_stream_costs_what_its_last_event_says(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        events = list(client.chat_stream(**ASK))
    words = [event.delta.message.content.text for event in events if event.type == "content-delta"]  # type: ignore[union-attr]
    assert "".join(str(word) for word in words) == "Hello there."
    assert events[-1].type == "message-end"
    assert place.settled(granted) == 75


async def test_a_whole_answer_and_a_stream_in_async_code(place: Place, granted: Granted) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        client = cohere.AsyncClientV2(granted.token, base_url=f"{place.address}/proxy/cohere", httpx_client=http)
        whole = await client.chat(**ASK)
        kinds = [event.type async for event in client.chat_stream(**ASK)]
    assert whole.usage is not None
    assert whole.usage.billed_units is not None
    assert whole.usage.billed_units.input_tokens == 10
    assert (kinds[0], kinds[-1]) == ("message-start", "message-end")


def test_embeddings_cost_what_goes_in(place: Place) -> None:
    granted = place.installation.grant(provider="cohere", models=[EMBED], actions=["embeddings"])
    asked: Any = {"texts": ["Hello", "there"], "input_type": "search_query", "embedding_types": ["float"]}
    with place.client(granted) as client:
        found = client.embed(model=EMBED, **asked)
    assert found.embeddings.float_ == [[0.5, -0.5]] * 2
    # 10 tokens at $0.12 a million, rounded up.
    assert place.settled(granted) == 2


def test_ranking_costs_a_search(place: Place) -> None:
    granted = place.installation.grant(provider="cohere", models=["rerank-v3.5", "own-ranker"], actions=["rerank"])
    with place.client(granted) as client:
        found = client.rerank(model="rerank-v3.5", query="Which?", documents=["One.", "Two."], top_n=2)
        assert [each.index for each in found.results] == [1, 0]
        # $2.00 a thousand.
        assert place.settled(granted) == 2_000
        place.installation.broker(
            "price", "set", "cohere", "own-ranker", "--input", "0", "--output", "0", "--searches", "1"
        )
        eventually(lambda: _is_priced(client, "own-ranker"))  # once the server has looked at what has changed
        assert place.settled(granted) == 3_000
        with pytest.raises(ApiError) as refused:
            client.rerank(model="rerank-v4.0-pro", query="Which?", documents=["One.", "Two."])
    assert refused.value.body["code"] == "model_not_granted"


def _is_priced(client: cohere.ClientV2, model: str) -> bool:
    with suppress(ApiError):
        client.rerank(model=model, query="Which?", documents=["One.", "Two."])
        return True
    return False


def test_a_search_that_the_budget_does_not_cover_does_not_leave(place: Place) -> None:
    wish: Any = {"provider": "cohere", "models": ["rerank-v3.5"], "actions": ["rerank"], "budget": dollars(1_999)}
    poor, before = place.installation.grant(**wish), len(place.provider.asked)
    with place.client(poor) as client, pytest.raises(ApiError) as refused:
        client.rerank(model="rerank-v3.5", query="Which?", documents=["One.", "Two."])
    assert (refused.value.status_code, refused.value.body["required"]) == (402, 2_000)
    assert len(place.provider.asked) == before


def test_the_models_that_were_granted(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        assert [model.name for model in client.models.list().models] == [client.models.get(CHAT).name] == [CHAT]


def test_refusals_are_told_with_their_code(place: Place, granted: Granted) -> None:
    poor = place.installation.grant(**TERMS, budget=dollars(1))
    before = len(place.provider.asked)
    with place.client(granted) as client, pytest.raises(ApiError) as refused:
        client.chat(**(ASK | {"model": "command-r"}))
    assert (refused.value.status_code, refused.value.body["code"]) == (403, "model_not_granted")
    with place.client(poor) as client, pytest.raises(ApiError) as refused:
        client.chat(**ASK)
    assert (refused.value.status_code, refused.value.body["code"]) == (402, "budget_exhausted")
    assert len(place.provider.asked) == before


def test_a_revoked_grant_is_dead_on_the_next_call(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        client.chat(**ASK)
        place.installation.broker("grant", "revoke", granted.grant_id)
        with pytest.raises(ApiError) as refused:
            client.chat(**ASK)
    assert refused.value.status_code == 401
