"""The official openai SDK, unmodified: a chat that hears and speaks, through a real server on loopback."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_provider import LAST_CHUNK, Asked, provider_in_a_thread
from tests.metering.world import STREAM, Case
from tests.sdk.test_openai_sdk import Place, spent
from tests.serve.installation import Granted, Installation

CASE = Case.read("openai_chat_sound")
REQUEST: dict[str, Any] = CASE.told["request"]
COST = 8_870
"""100 tokens of text at $2.50, 20 of sound at $32, 30 of text at $10 and 120 of sound at $64 a million."""


async def speak(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"".join([STREAM, *CASE.pieces(), LAST_CHUNK]) if b'"stream":true' in asked.body else CASE.answer())
    await writer.drain()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with provider_in_a_thread(speak) as provider:
        environment = {"BROKER_PROVIDER_OPENAI_BASE_URL": f"{provider.url}/v1"}
        installation = Installation(tmp_path_factory.mktemp("sound"), environment)
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
