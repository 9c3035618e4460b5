"""The official openai SDK, unmodified, through a real server on loopback: sync and async, whole and streamed."""

from dataclasses import dataclass
from typing import Any

import openai
import pytest

from tests.sdk.conftest import Served
from tests.serve.installation import Granted, Installation, dollars

MESSAGES: Any = [{"role": "user", "content": "Hello"}]


@dataclass
class Place:
    installation: Installation
    address: str

    def client(self, granted: Granted) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.address}/proxy/openai/v1", api_key=granted.token, max_retries=0)

    def async_client(self, granted: Granted) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.address}/proxy/openai/v1", api_key=granted.token, max_retries=0)


@pytest.fixture(scope="module")
def place(served: Served) -> Place:
    return Place(served.installation, served.address)


@pytest.fixture(scope="module")
def granted(place: Place) -> Granted:
    return place.installation.grant()


def test_a_whole_answer(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        answered = client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert answered.choices[0].message.content == "Hello."
    assert answered.usage is not None
    assert answered.usage.total_tokens == 15


def test_a_stream(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        stream = client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello there."
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_with_usage(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        stream = client.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        last = list(stream)[-1]
    assert last.usage is not None
    assert (last.choices, last.usage.total_tokens) == ([], 15)


async def test_a_whole_answer_and_a_stream_in_async_code(place: Place, granted: Granted) -> None:
    async with place.async_client(granted) as client:
        whole = await client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
        stream = await client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
        words = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert whole.choices[0].message.content == "Hello."
    assert "".join(words) == "Hello there."


def test_the_models_that_were_granted(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        assert [model.id for model in client.models.list()] == ["gpt-4o-mini"]


def test_a_model_that_was_not_granted(place: Place, granted: Granted) -> None:
    with place.client(granted) as client, pytest.raises(openai.PermissionDeniedError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert refused.value.code == "model_not_granted"
    assert refused.value.request_id


def test_a_budget_that_is_used_up_is_not_tried_again(place: Place) -> None:
    poor = place.installation.grant(budget=dollars(1))
    with place.client(poor).with_options(max_retries=2) as client, pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert (refused.value.status_code, refused.value.code) == (402, "budget_exhausted")


def test_a_revoked_grant_is_dead_on_the_next_call(place: Place) -> None:
    granted = place.installation.grant()
    with place.client(granted) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
        place.installation.broker("grant", "revoke", granted.grant_id)
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)


def spent(place: Place, granted: Granted) -> int:
    return place.installation.settled(granted.grant_id)


def test_a_response_and_its_stream_cost_what_their_usage_says(place: Place) -> None:
    granted = place.installation.grant()
    with place.client(granted) as client:
        whole = client.responses.create(model="gpt-4o-mini", input="Hello")
        with client.responses.stream(model="gpt-4o-mini", input="Hello") as stream:
            words = [event.delta for event in stream if event.type == "response.output_text.delta"]
            last = stream.get_final_response()
    assert whole.output_text == last.output_text == "".join(words) == "Hello there."
    # Twice 10 tokens at $0.15 and 5 at $0.60 a million, each rounded up.
    assert spent(place, granted) == 10


def test_completions_embeddings_and_moderations_need_actions_of_their_own(place: Place, granted: Granted) -> None:
    with place.client(granted) as client, pytest.raises(openai.PermissionDeniedError) as refused:
        client.completions.create(model="gpt-4o-mini", prompt="Hello")
    assert refused.value.code == "action_not_granted"
    models = ["gpt-3.5-turbo-instruct", "text-embedding-3-small", "omni-moderation-latest"]
    able = place.installation.grant(models=models, actions=["completions", "embeddings", "moderations"])
    with place.client(able) as client:
        assert client.completions.create(model=models[0], prompt="Hello").choices[0].text == "Hello."
        words = [each.choices[0].text for each in client.completions.create(model=models[0], prompt="x", stream=True)]
        assert client.embeddings.create(model=models[1], input="Hello").data[0].embedding == [0.5, -0.5]
        assert not client.moderations.create(input="Hello").results[0].flagged
    assert "".join(words) == "Hello."
    # Twice 10 tokens at $1.50 and 5 at $2.00 a million, and 10 at $0.02.
    assert spent(place, able) == 51


def test_a_picture_crosses_where_vision_was_granted(place: Place, granted: Granted) -> None:
    picture: Any = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png", "detail": "low"}}
    text: Any = {"type": "text", "text": "What is this?"}
    messages: Any = [{"role": "user", "content": [text, picture]}]
    seeing = place.installation.grant(actions=["chat", "vision"])
    with place.client(seeing) as client:
        answered = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        assert answered.choices[0].message.content == "Hello."
    with place.client(granted) as client, pytest.raises(openai.PermissionDeniedError) as refused:
        client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    assert refused.value.code == "action_not_granted"
