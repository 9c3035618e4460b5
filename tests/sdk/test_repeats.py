"""SDKs that repeat a call by themselves: without a key as they always did, and with one never twice."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai
import pytest

from tests.canary import KEYS
from tests.fake_anthropic import answer_messages
from tests.fake_openai import answer_openai
from tests.fake_provider import Asked, provider_in_a_thread
from tests.serve.installation import Installation

MESSAGES: Any = [{"role": "user", "content": "Hello"}]
CLAUDE = "claude-haiku-4-5"
KEY = {"Idempotency-Key": "note-17"}


@dataclass
class Flaky:
    """Speaks both dialects; the next answers are errors of these statuses."""

    statuses: list[int] = field(default_factory=list)
    asked: int = 0

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        if not self.statuses:
            await (answer_messages if "messages" in asked.target else answer_openai)(asked, writer)
            return
        body = b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}'
        head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\nretry-after: 0\r\n" % self.statuses.pop()
        writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()


@dataclass
class Place:
    provider: Flaky
    openai: openai.OpenAI
    anthropic: anthropic.Anthropic

    def call(self, sdk: str, **headers: str) -> None:
        if sdk == "openai":
            self.openai.chat.completions.create(
                model="gpt-4o-mini", messages=MESSAGES, max_tokens=100, extra_headers=headers
            )
        else:
            self.anthropic.messages.create(model=CLAUDE, messages=MESSAGES, max_tokens=100, extra_headers=headers)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, str, Flaky]]:
    flaky = Flaky()
    with provider_in_a_thread(flaky) as provider:
        urls = {
            "BROKER_PROVIDER_OPENAI_BASE_URL": provider.url,
            "BROKER_PROVIDER_ANTHROPIC_BASE_URL": provider.url,
        }
        installation = Installation(tmp_path_factory.mktemp("repeats"), urls)
        installation.furnish()
        who = ("--user", "ana@example.com", "--no-check")
        installation.broker("key", "add", "--provider", "anthropic", *who, stdin=KEYS["anthropic"] + "\n")
        with installation.serving() as server:
            yield installation, server.address, flaky


@pytest.fixture
def place(at: tuple[Installation, str, Flaky]) -> Iterator[Place]:
    installation, address, flaky = at
    flaky.asked = 0
    tokens = installation.grant().token, installation.grant(provider="anthropic", models=[CLAUDE]).token
    with (
        openai.OpenAI(base_url=f"{address}/proxy/openai/v1", api_key=tokens[0], max_retries=2) as first,
        anthropic.Anthropic(base_url=f"{address}/proxy/anthropic", api_key=tokens[1], max_retries=2) as second,
    ):
        yield Place(flaky, first, second)


CONFLICTS = (openai.ConflictError, anthropic.ConflictError)


def answer_of(error: Exception) -> Any:
    assert isinstance(error, openai.ConflictError | anthropic.ConflictError)
    return error.response


SDKS = pytest.mark.parametrize("sdk", ["openai", "anthropic"])


@SDKS
@pytest.mark.parametrize("headers", [{}, KEY], ids=["without a key", "with a key"])
def test_what_did_not_run_is_repeated_by_the_sdk(place: Place, sdk: str, headers: dict[str, str]) -> None:
    place.provider.statuses = [429, 503]
    place.call(sdk, **headers)
    assert place.provider.asked == 3


@SDKS
def test_what_may_have_run_is_repeated_without_a_key_and_not_with_one(place: Place, sdk: str) -> None:
    place.provider.statuses = [502]
    place.call(sdk)
    assert place.provider.asked == 2
    place.provider.statuses = [502]
    with pytest.raises(CONFLICTS) as refused:
        place.call(sdk, **KEY)
    assert place.provider.asked == 3
    told = answer_of(refused.value)
    assert told.json()["error"]["code"] == "already_ran"
    assert told.headers["x-should-retry"] == "false"


@SDKS
def test_an_app_that_calls_again_under_its_key_is_told_at_once(place: Place, sdk: str) -> None:
    place.call(sdk, **KEY)
    with pytest.raises(CONFLICTS) as refused:
        place.call(sdk, **KEY)
    assert place.provider.asked == 1
    assert answer_of(refused.value).json()["error"]["cost"] > 0
