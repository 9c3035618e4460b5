"""The official SDKs, unmodified: files that providers keep, and pictures among them in a message or a response."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.fake_provider import FakeProvider, provider_in_a_thread
from tests.fake_state import KeepingAnthropic, KeepingOpenAI
from tests.serve.installation import Granted, Installation

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
MODEL = "claude-haiku-4-5"
SEEING = ["chat", "files", "vision"]


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider
    script: Any


@contextmanager
def placed(folder: Path, name: str, script: Any) -> Iterator[Place]:
    with provider_in_a_thread(script) as provider:
        installation = Installation(folder, {f"BROKER_PROVIDER_{name.upper()}_BASE_URL": provider.url})
        installation.furnish(name)
        with installation.serving() as server:
            yield Place(installation, server.address, provider, script)


@pytest.fixture(scope="module")
def claude(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with placed(tmp_path_factory.mktemp("anthropic"), "anthropic", KeepingAnthropic()) as place:
        yield place


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with placed(tmp_path_factory.mktemp("openai"), "openai", KeepingOpenAI()) as place:
        yield place


def granted(place: Place, **more: Any) -> Granted:
    return place.installation.grant(**({"actions": SEEING} | more))


def asking_claude(place: Place, given: Granted) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=f"{place.address}/proxy/anthropic", api_key=given.token, max_retries=0)


def asking_gpt(place: Place, given: Granted) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{place.address}/proxy/openai/v1", api_key=given.token, max_retries=0)


def message(file_id: str) -> Any:
    picture = {"type": "image", "source": {"type": "file", "file_id": file_id}}
    return [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}]


def test_a_file_at_anthropic_is_kept_listed_read_and_deleted(claude: Place) -> None:
    given = granted(claude, provider="anthropic", models=[MODEL])
    other = granted(claude, provider="anthropic", models=[MODEL])
    with asking_claude(claude, given) as client:
        made = client.files.upload(file=("a.png", PNG, "image/png"))
        assert claude.script.files[made.id] == PNG
        assert [file.id for file in client.files.list(limit=5)] == [made.id]
        assert client.files.retrieve_metadata(made.id).id == made.id
        assert client.files.download(made.id).read() == PNG
    arrived = len(claude.provider.asked)
    with asking_claude(claude, other) as client:
        for ask in (client.files.retrieve_metadata, client.files.download, client.files.delete):
            with pytest.raises(anthropic.NotFoundError):
                ask(made.id)
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(model=MODEL, max_tokens=10, messages=message(made.id))
        assert len(claude.provider.asked) == arrived
        assert list(client.files.list()) == []
    with asking_claude(claude, given) as client:
        client.files.delete(made.id)
    assert made.id not in claude.script.files


def test_a_kept_picture_in_a_message_is_bounded_as_any_picture(claude: Place) -> None:
    given = granted(claude, provider="anthropic", models=[MODEL])
    with asking_claude(claude, given) as client:
        made = client.files.upload(file=("a.png", PNG, "image/png"))
        answered = client.messages.create(model=MODEL, max_tokens=10, messages=message(made.id))
        assert client.messages.count_tokens(model=MODEL, messages=message(made.id)).input_tokens == 10
    assert answered.content[0].type == "text"
    sent = claude.provider.asked[-2].json()["messages"][0]["content"][1]
    assert sent["source"] == {"type": "file", "file_id": made.id}


@pytest.mark.parametrize("data", [b"%PDF-1.7", b"x" * 20, PNG[1:]], ids=["pdf", "text", "cut"])
def test_a_kept_file_that_is_no_picture_has_no_bound(claude: Place, data: bytes) -> None:
    given = granted(claude, provider="anthropic", models=[MODEL])
    with asking_claude(claude, given) as client:
        made = client.files.upload(file=("a.png", data, "image/png"))
        arrived = len(claude.provider.asked)
        with pytest.raises(anthropic.PermissionDeniedError) as refused:
            client.messages.create(model=MODEL, max_tokens=10, messages=message(made.id))
    assert refused.value.body["error"]["code"] == "not_boundable"  # type: ignore[index]
    assert len(claude.provider.asked) == arrived


def test_a_kept_picture_needs_vision_and_files(claude: Place) -> None:
    given = granted(claude, provider="anthropic", models=[MODEL], actions=["chat", "files"])
    with asking_claude(claude, given) as client:
        made = client.files.upload(file=("a.png", PNG, "image/png"))
        with pytest.raises(anthropic.PermissionDeniedError) as refused:
            client.messages.create(model=MODEL, max_tokens=10, messages=message(made.id))
    assert refused.value.body["error"]["code"] == "action_not_granted"  # type: ignore[index]


def test_a_kept_picture_in_a_response(gpt: Place) -> None:
    given, other = granted(gpt), granted(gpt)
    with asking_gpt(gpt, given) as client:
        picture = client.files.create(file=("a.png", PNG), purpose="vision").id
        notes = client.files.create(file=("a.txt", b"Some notes."), purpose="user_data").id

        def ask(client: openai.OpenAI, file_id: str) -> Any:
            part: Any = {"type": "input_image", "file_id": file_id, "detail": "auto"}
            return client.responses.create(model="gpt-4o-mini", input=[{"role": "user", "content": [part]}])

        first = ask(client, picture)
        assert first.output_text == "Hello there."
        follows: Any = {"type": "input_image", "file_id": picture, "detail": "low"}
        again = client.responses.create(
            model="gpt-4o-mini", input=[{"role": "user", "content": [follows]}], previous_response_id=first.id
        )
        assert again.output_text == "Hello there."
        with pytest.raises(openai.PermissionDeniedError) as refused:
            ask(client, notes)
        assert refused.value.code == "not_boundable"
    arrived = len(gpt.provider.asked)
    with asking_gpt(gpt, other) as client, pytest.raises(openai.NotFoundError):
        ask(client, picture)
    assert len(gpt.provider.asked) == arrived
