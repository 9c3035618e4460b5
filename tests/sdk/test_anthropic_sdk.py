"""The official anthropic SDK, unmodified, through a real server on loopback: sync and async, whole and streamed."""

from dataclasses import dataclass
from typing import Any

import anthropic
import pytest

from tests.fake_provider import FakeProvider
from tests.sdk.conftest import Served
from tests.serve.installation import Granted, Installation, dollars

MODEL = "claude-haiku-4-5"
ASK: Any = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
TERMS: dict[str, Any] = {"provider": "anthropic", "models": [MODEL]}


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider

    def client(self, granted: Granted, **more: Any) -> anthropic.Anthropic:
        return anthropic.Anthropic(
            base_url=f"{self.address}/proxy/anthropic", api_key=granted.token, max_retries=0, **more
        )

    def async_client(self, granted: Granted) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(
            base_url=f"{self.address}/proxy/anthropic", api_key=granted.token, max_retries=0
        )

    def settled(self, granted: Granted) -> int:
        return self.installation.settled(granted.grant_id)


@pytest.fixture(scope="module")
def place(served: Served) -> Place:
    return Place(served.installation, served.address, served.providers["anthropic"])


@pytest.fixture(scope="module")
def granted(place: Place) -> Granted:
    return place.installation.grant(**TERMS)


def test_a_whole_answer_costs_what_its_usage_says(place: Place) -> None:
    granted = place.installation.grant(**TERMS)
    with place.client(granted) as client:
        answered = client.messages.create(**ASK)
    assert [block.text for block in answered.content if block.type == "text"] == ["Hello."]
    # 10 tokens at $1 and 5 at $5 a million.
    assert place.settled(granted) == 35


def test_a_stream(place: Place, granted: Granted) -> None:
    with place.client(granted) as client, client.messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream) == "Hello there."
        assert stream.get_final_message().usage.output_tokens == 5


def test_a_stream_costs_what_its_usage_says(place: Place) -> None:
    granted = place.installation.grant(**TERMS)
    with place.client(granted) as client:
        events = [event.type for event in client.messages.create(**ASK, stream=True)]
    assert events[-1] == "message_stop"
    assert place.settled(granted) == 35


async def test_a_whole_answer_and_a_stream_in_async_code(place: Place, granted: Granted) -> None:
    async with place.async_client(granted) as client:
        whole = await client.messages.create(**ASK)
        async with client.messages.stream(**ASK) as stream:
            words = [word async for word in stream.text_stream]
    assert whole.usage.input_tokens == 10
    assert "".join(words) == "Hello there."


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
@pytest.mark.parametrize("bearer", [True, False], ids=["bearer", "x-api-key"])
def test_both_ways_to_show_a_key_with_both_versions(
    place: Place, granted: Granted, version: str, *, bearer: bool
) -> None:
    older = {"x-api-key": granted.token, "authorization": anthropic.Omit()}
    headers: Any = {"anthropic-version": version} | ({} if bearer else older)
    with place.client(granted) as client:
        assert client.messages.create(**ASK, extra_headers=headers).stop_reason == "end_turn"
        with client.messages.stream(**ASK, extra_headers=headers) as stream:
            assert "".join(stream.text_stream) == "Hello there."
    asked = place.provider.asked[-1]
    assert asked.header("anthropic-version") == version
    assert (asked.header("x-api-key").startswith("sk-ant-"), asked.header("authorization")) == (True, "")


def test_only_the_real_key_and_listed_headers_arrive(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        client.messages.create(**ASK, extra_headers={"x-canary": "1", "anthropic-beta": "fast-mode-2026-02-01"})
    asked = place.provider.asked[-1]
    names = {name.lower() for name, _ in asked.headers} - {
        "host",
        "content-length",
        "connection",
        "user-agent",
        "accept-encoding",
    }
    assert names == {"x-api-key", "anthropic-version", "content-type", "accept"}
    assert granted.token not in str(asked.headers)


def test_counting_tokens_costs_nothing(place: Place) -> None:
    granted = place.installation.grant(**TERMS)
    with place.client(granted) as client:
        assert client.messages.count_tokens(model=MODEL, messages=ASK["messages"]).input_tokens == 10
    assert place.settled(granted) == 0


def test_the_models_that_were_granted(place: Place, granted: Granted) -> None:
    with place.client(granted) as client:
        assert [model.id for model in client.models.list()] == [client.models.retrieve(MODEL).id] == [MODEL]


def test_a_model_that_was_not_granted(place: Place, granted: Granted) -> None:
    with place.client(granted) as client, pytest.raises(anthropic.PermissionDeniedError) as refused:
        client.messages.create(**(ASK | {"model": "claude-opus-5"}))
    assert refused.value.body["error"]["code"] == "model_not_granted"  # type: ignore[index]
    assert refused.value.request_id


def test_a_budget_that_is_used_up_is_not_tried_again(place: Place) -> None:
    poor = place.installation.grant(**TERMS, budget=dollars(1))
    before = len(place.provider.asked)
    with place.client(poor).with_options(max_retries=2) as client, pytest.raises(anthropic.APIStatusError) as refused:
        client.messages.create(**ASK)
    assert (refused.value.status_code, refused.value.body["error"]["type"]) == (402, "billing_error")  # type: ignore[index]
    assert len(place.provider.asked) == before


def test_a_revoked_grant_is_dead_on_the_next_call(place: Place) -> None:
    granted = place.installation.grant(**TERMS)
    with place.client(granted) as client:
        client.messages.create(**ASK)
        place.installation.broker("grant", "revoke", granted.grant_id)
        with pytest.raises(anthropic.AuthenticationError):
            client.messages.create(**ASK)


PICTURE: Any = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" * 4_000}
SHOWN: Any = ASK | {"messages": [{"role": "user", "content": [{"type": "image", "source": PICTURE}]}]}


def test_a_picture_is_held_by_what_it_counts_and_not_by_its_bytes(place: Place) -> None:
    # By its 44 kB it would be half a dollar; 1616 tokens and some text are a cent.
    granted = place.installation.grant(**TERMS, actions=["chat", "vision"], budget=dollars(30_000))
    with place.client(granted) as client:
        assert client.messages.create(**SHOWN).stop_reason == "end_turn"
    assert place.provider.asked[-1].json()["messages"] == SHOWN["messages"]
    assert place.settled(granted) == 35


def test_a_picture_that_was_not_granted_does_not_leave(place: Place, granted: Granted) -> None:
    before = len(place.provider.asked)
    with place.client(granted) as client, pytest.raises(anthropic.PermissionDeniedError) as refused:
        client.messages.create(**SHOWN)
    assert refused.value.body["error"]["code"] == "action_not_granted"  # type: ignore[index]
    assert len(place.provider.asked) == before


def test_an_hour_in_the_cache_is_held_at_its_price(place: Place) -> None:
    poor = place.installation.grant(**TERMS, budget=dollars(1))
    required = []
    for kept in ("5m", "1h"):
        with place.client(poor) as client, pytest.raises(anthropic.APIStatusError) as refused:
            client.messages.create(**ASK, cache_control={"type": "ephemeral", "ttl": kept})
        required.append(refused.value.body["error"]["required"])  # type: ignore[index]
    # The same input at $1.25 and at $2 a million tokens, and the same output of 100 tokens at $5.
    minutes, hour = (figure - 500 for figure in required)
    assert hour / minutes == pytest.approx(1.6, rel=0.01)
