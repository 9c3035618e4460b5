"""The official openai SDK, unmodified: a chat that hears and speaks, a response that searches, through a real server on loopback."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_provider import LAST_CHUNK, Asked, provider_in_a_thread
from tests.metering.world import STREAM, Case
from tests.sdk.test_openai_sdk import Place, spent
from tests.serve.installation import Granted, Installation

CASES = {"/v1/chat/completions": Case.read("openai_chat_sound"), "/v1/responses": Case.read("openai_search")}
REQUEST: dict[str, Any] = CASES["/v1/chat/completions"].told["request"]
SEARCH: dict[str, Any] = CASES["/v1/responses"].told["request"]
COST = 8_870
"""100 tokens of text at $2.50, 20 of sound at $32, 30 of text at $10 and 120 of sound at $64 a million."""


SEARCHED = 23_180
"""20,000 tokens at $0.15 and 300 at $0.60 a million, two searches at $0.01."""


async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
    case = CASES[asked.target]
    writer.write(b"".join([STREAM, *case.pieces(), LAST_CHUNK]) if b'"stream":true' in asked.body else case.answer())
    await writer.drain()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with provider_in_a_thread(answer) as provider:
        environment = {"BROKER_PROVIDER_OPENAI_BASE_URL": f"{provider.url}/v1"}
        installation = Installation(tmp_path_factory.mktemp("more"), environment)
        installation.furnish()
        with installation.serving() as server:
            yield Place(installation, server.address)


@pytest.fixture
def able(place: Place) -> Granted:
    return place.installation.grant(models=["gpt-audio"], actions=["chat", "audio"])


def test_a_chat_hears_and_speaks(place: Place, able: Granted) -> None:
    with place.client(able) as client:
        answered = client.chat.completions.create(**REQUEST)
    audio = answered.choices[0].message.audio
    assert audio is not None
    assert (audio.transcript, audio.data) == ("Hello.", "AAAA")
    assert spent(place, able) == COST


def test_a_chat_speaks_as_it_goes(place: Place, able: Granted) -> None:
    with place.client(able) as client:
        chunks = list(client.chat.completions.create(stream=True, **REQUEST))
    spoken = [chunk.choices[0].delta.model_dump().get("audio") or {} for chunk in chunks]
    assert "".join(each.get("data") or "" for each in spoken) == "AAAA"
    assert all(chunk.usage is None for chunk in chunks)
    assert spent(place, able) == COST


@pytest.fixture
def searching(place: Place) -> Granted:
    return place.installation.grant(models=["gpt-4o-mini"], actions=["chat", "web_search"])


def test_a_response_searches_the_web(place: Place, searching: Granted) -> None:
    with place.client(searching) as client:
        answered = client.responses.create(**SEARCH)
    assert answered.output_text == "Hello."
    assert [item.type for item in answered.output] == [*["web_search_call"] * 3, "message"]
    assert spent(place, searching) == SEARCHED


def test_a_response_searches_the_web_as_it_goes(place: Place, searching: Granted) -> None:
    with place.client(searching) as client:
        events = list(client.responses.create(stream=True, **SEARCH))
    assert "response.web_search_call.completed" in [event.type for event in events]
    assert spent(place, searching) == SEARCHED
