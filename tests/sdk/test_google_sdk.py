"""The official google-genai SDK, unmodified, through a real server on loopback: sync and async, whole and streamed."""

from dataclasses import dataclass
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.fake_provider import FakeProvider
from tests.sdk.conftest import Served
from tests.serve.installation import Granted, Installation, dollars
from tests.serve.running import PATIENCE

MODEL = "gemini-2.5-flash"
ASK: Any = {"model": MODEL, "contents": "Hello", "config": types.GenerateContentConfig(max_output_tokens=100)}
TERMS: dict[str, Any] = {"provider": "google", "models": [MODEL]}


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider

    def client(self, granted: Granted, **more: Any) -> genai.Client:
        options = types.HttpOptions(base_url=f"{self.address}/proxy/google", timeout=int(PATIENCE * 1_000), **more)
        return genai.Client(api_key=granted.token, http_options=options)

    def settled(self, granted: Granted) -> int:
        return self.installation.settled(granted.grant_id)


@pytest.fixture(scope="module")
def place(served: Served) -> Place:
    return Place(served.installation, served.address, served.providers["google"])


@pytest.fixture(scope="module")
def granted(place: Place) -> Granted:
    return place.installation.grant(**TERMS)


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_a_whole_answer_costs_what_its_usage_says(place: Place, version: str) -> None:
    granted = place.installation.grant(**TERMS)
    with place.client(granted, api_version=version) as client:
        assert client.models.generate_content(**ASK).text == "Hello."
    # 10 tokens at $0.30 and 5 at $2.50 a million, rounded up.
    assert place.settled(granted) == 16
    assert place.provider.asked[-1].target == f"/{version}/models/{MODEL}:generateContent"


def test_a_stream_costs_what_its_usage_says(place: Place) -> None:
    granted = place.installation.grant(**TERMS)
    with place.client(granted) as client:
        words = [chunk.text or "" for chunk in client.models.generate_content_stream(**ASK)]
    assert "".join(words) == "Hello there."
    assert place.settled(granted) == 16


async def test_a_whole_answer_and_a_stream_in_async_code(place: Place, granted: Granted) -> None:
    async with place.client(granted).aio as client:
        whole = await client.models.generate_content(**ASK)
        words = [chunk.text or "" async for chunk in await client.models.generate_content_stream(**ASK)]
    assert whole.text == "Hello."
    assert "".join(words) == "Hello there."


def test_only_the_real_key_and_listed_headers_arrive(place: Place, granted: Granted) -> None:
    with place.client(granted, headers={"x-canary": "1"}) as client:
        client.models.generate_content(**ASK)
    asked = place.provider.asked[-1]
    ours = {"host", "content-length", "connection", "user-agent", "accept-encoding"}
    assert {name.lower() for name, _ in asked.headers} - ours == {"x-goog-api-key", "content-type", "accept"}
    assert granted.token not in str(asked.headers)


def test_counting_tokens_costs_nothing(place: Place) -> None:
    granted = place.installation.grant(**TERMS)
    with place.client(granted) as client:
        assert client.models.count_tokens(model=MODEL, contents="Hello").total_tokens == 10
    assert place.settled(granted) == 0


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_embeddings_cost_what_goes_in(place: Place, version: str) -> None:
    granted = place.installation.grant(provider="google", models=["gemini-embedding-*"], actions=["embeddings"])
    with place.client(granted, api_version=version) as client:
        config = types.EmbedContentConfig(output_dimensionality=2, task_type="RETRIEVAL_QUERY")
        many: Any = ["Hello", "there"]
        found = client.models.embed_content(model="gemini-embedding-001", contents=many, config=config)
        assert [each.values for each in found.embeddings or []] == [[0.1, 0.2]] * 2
    # 10 tokens at $0.15 a million, rounded up.
    assert place.settled(granted) == 2
    assert place.provider.asked[-1].target == f"/{version}/models/gemini-embedding-001:batchEmbedContents"


def test_the_models_that_were_granted(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        assert [model.name for model in client.models.list()] == [f"models/{MODEL}"]
        assert client.models.get(model=MODEL).name == f"models/{MODEL}"


def test_a_model_that_was_not_granted(place: Place, granted: Granted) -> None:
    with place.client(granted) as client, pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(**(ASK | {"model": "gemini-2.5-pro"}))
    assert (refused.value.code, refused.value.status) == (403, "PERMISSION_DENIED")
    assert refused.value.details["error"]["details"][0]["reason"] == "model_not_granted"


def test_a_budget_that_is_used_up_is_refused_before_a_byte_leaves(place: Place) -> None:
    poor = place.installation.grant(**TERMS, budget=dollars(1))
    before = len(place.provider.asked)
    with place.client(poor) as client, pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(**ASK)
    assert (refused.value.code, refused.value.status) == (402, "FAILED_PRECONDITION")
    assert len(place.provider.asked) == before


def test_a_revoked_grant_is_dead_on_the_next_call(place: Place) -> None:
    granted = place.installation.grant(**TERMS)
    with place.client(granted) as client:
        client.models.generate_content(**ASK)
        place.installation.broker("grant", "revoke", granted.grant_id)
        with pytest.raises(errors.ClientError) as refused:
            client.models.generate_content(**ASK)
    assert refused.value.code == 401


def test_a_picture_at_a_resolution_of_which_the_tokens_are_known(place: Place) -> None:
    granted = place.installation.grant(**TERMS, actions=["chat", "vision"])
    picture = types.Part.from_bytes(data=bytes(range(256)) * 99, mime_type="image/png")
    with place.client(granted) as client:
        config = types.GenerateContentConfig(media_resolution=types.MediaResolution.MEDIA_RESOLUTION_LOW)
        answered = client.models.generate_content(model=MODEL, contents=["What is this?", picture], config=config)
        assert answered.text == "Hello."
        with pytest.raises(errors.ClientError) as refused:
            client.models.generate_content(model=MODEL, contents=["What is this?", picture])
    assert "cannot be bounded here: parts.image" in str(refused.value)
    assert place.settled(granted) == 16
