"""The official openai SDK, unmodified: responses that the provider keeps, which are their own grant's and nobody else's."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import openai
import pytest

from tests.fake_provider import FakeProvider, provider_in_a_thread
from tests.fake_state import KeepingOpenAI
from tests.serve.installation import Granted, Installation


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider
    kept: KeepingOpenAI

    def client(self, granted: Granted) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.address}/proxy/openai/v1", api_key=granted.token, max_retries=0)

    def settled(self, granted: Granted) -> int:
        return self.installation.settled(granted.grant_id)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    kept = KeepingOpenAI()
    with provider_in_a_thread(kept) as provider:
        folder = tmp_path_factory.mktemp("kept")
        installation = Installation(folder, {"BROKER_PROVIDER_OPENAI_BASE_URL": f"{provider.url}/v1"})
        installation.furnish()
        with installation.serving() as server:
            yield Place(installation, server.address, provider, kept)


@pytest.fixture(scope="module")
def granted(place: Place) -> Granted:
    return place.installation.grant(actions=["chat", "files"])


def test_one_response_follows_another_and_its_context_is_held_as_input(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        first = client.responses.create(model="gpt-4o-mini", input="Hello")
        second = client.responses.create(model="gpt-4o-mini", input="And?", previous_response_id=first.id)
        with client.responses.stream(model="gpt-4o-mini", input="So?", previous_response_id=second.id) as stream:
            third = stream.get_final_response()
        fourth = client.responses.create(model="gpt-4o-mini", input="Well?", previous_response_id=third.id)
    assert fourth.output_text == "Hello there."
    assert place.provider.asked[-1].json()["previous_response_id"] == third.id
    # Four times 10 tokens at $0.15 and 5 at $0.60 a million, each rounded up.
    assert place.settled(granted) == 20


def test_a_response_is_read_again_its_input_listed_and_deleted(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        made = client.responses.create(model="gpt-4o-mini", input="Hello", store=True)
        before = place.settled(granted)
        assert client.responses.retrieve(made.id).output_text == "Hello there."
        assert [item.type for item in client.responses.input_items.list(made.id, limit=5)] == ["message"]
        assert place.provider.asked[-1].target == f"/v1/responses/{made.id}/input_items?limit=5"
        client.responses.delete(made.id)
        assert made.id not in place.kept.responses
        arrived = len(place.provider.asked)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)
    assert len(place.provider.asked) == arrived
    assert place.settled(granted) == before


def test_another_grant_finds_nothing_there_as_if_it_had_never_been(place: Place, granted: Granted) -> None:
    other = place.installation.grant(actions=["chat", "files"])
    with place.client(granted) as client:
        made = client.responses.create(model="gpt-4o-mini", input="Hello")
    arrived, told = len(place.provider.asked), []
    with place.client(other) as client:
        for response_id in (made.id, "resp_never"):
            for ask in (
                client.responses.retrieve,
                client.responses.delete,
                client.responses.input_items.list,
                client.responses.cancel,
            ):
                with pytest.raises(openai.NotFoundError) as refused:
                    ask(response_id)
                told.append((refused.value.code, refused.value.body))
            with pytest.raises(openai.NotFoundError) as refused:
                client.responses.create(model="gpt-4o-mini", input="And?", previous_response_id=response_id)
            told.append((refused.value.code, refused.value.body))
    assert len(place.provider.asked) == arrived
    assert all(each == told[0] for each in told)
    assert made.id in place.kept.responses


def test_without_files_nothing_is_kept_and_nothing_followed(place: Place) -> None:
    plain = place.installation.grant()
    with place.client(plain) as client:
        made = client.responses.create(model="gpt-4o-mini", input="Hello")
        assert place.provider.asked[-1].json()["store"] is False
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.responses.create(model="gpt-4o-mini", input="Hello", store=True)
        assert refused.value.code == "action_not_granted"
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.responses.create(model="gpt-4o-mini", input="And?", previous_response_id=made.id)
        assert refused.value.code == "action_not_granted"


def test_a_response_of_another_model_has_no_bound_as_input(place: Place) -> None:
    both = place.installation.grant(actions=["chat", "files"], models=["gpt-4o-mini", "gpt-4o"])
    with place.client(both) as client:
        made = client.responses.create(model="gpt-4o-mini", input="Hello")
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.responses.create(model="gpt-4o", input="And?", previous_response_id=made.id)
    assert refused.value.code == "not_boundable"


def test_a_conversation_is_made_talked_in_and_deleted(place: Place, granted: Granted) -> None:
    before = place.settled(granted)
    with place.client(granted) as client:
        talk = client.conversations.create(items=[{"type": "message", "role": "user", "content": "Hello"}])
        client.conversations.items.create(talk.id, items=[{"type": "message", "role": "user", "content": "There"}])
        first = client.responses.create(model="gpt-4o-mini", input="And?", conversation=talk.id)
        with client.responses.stream(model="gpt-4o-mini", input="So?", conversation=talk.id) as stream:
            second = stream.get_final_response()
        items = list(client.conversations.items.list(talk.id))
        assert client.conversations.retrieve(talk.id).id == talk.id
        assert client.conversations.delete(talk.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.conversations.retrieve(talk.id)
    assert first.output_text == second.output_text == "Hello there."
    assert len(items) == 2
    # Twice 10 tokens at $0.15 and 5 at $0.60 a million, each rounded up.
    assert place.settled(granted) - before == 10


def test_what_has_no_body_needs_no_media_type(place: Place, granted: Granted) -> None:
    headers = {"authorization": f"Bearer {granted.token}"}
    with httpx.Client(base_url=f"{place.address}/proxy/openai/v1", headers=headers, trust_env=False, timeout=20) as app:
        made = app.post("/conversations")
        assert (made.status_code, made.json()["object"]) == (200, "conversation")
        assert place.provider.asked[-1].header("content-type") == "application/json"
        arrived = len(place.provider.asked)
        untyped = app.post("/conversations", content=b"{}")
        assert (untyped.status_code, untyped.json()["error"]["code"]) == (415, "unsupported_media_type")
        nothing = app.post("/responses")
        assert (nothing.status_code, nothing.json()["error"]["code"]) == (400, "invalid_request")
        assert len(place.provider.asked) == arrived
