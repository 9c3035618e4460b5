"""The same call, its stream and its errors as each dialect has them, for tests of what is the same in all."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests import fake_anthropic, fake_cohere, fake_google, fake_mistral, fake_openai
from tests.fake_provider import Asked, answer_chat, chunk, completion, delta, event, head
from tests.proxy.world import Answered, World

MESSAGES = [{"role": "user", "content": "Hello"}]


@dataclass(frozen=True)
class Speech:
    provider: str
    model: str
    path: str
    ask: dict[str, Any]
    first: bytes
    """The first event of a stream."""
    answer: dict[str, Any]
    kind: str
    """What names the class of an error in its body."""
    stream_path: str = ""
    wants_stream: tuple[tuple[str, Any], ...] = (("stream", True),)

    @property
    def other_path(self) -> str:
        return f"/proxy/{self.provider}/v1/assistants"

    async def token(self, world: World, **limits: Any) -> str:
        named = {"provider": self.provider, "models": json.dumps([self.model])}
        return await world.token(**(named | limits))

    async def call(self, world: World, token: str | None, /, *, streamed: bool = False, **more: Any) -> Answered:
        usual: dict[str, Any] = {"path": self.path, "body": self.ask}
        if streamed:
            usual = {"path": self.stream_path or self.path, "body": self.ask | dict(self.wants_stream)}
        return await world.call(token, **(usual | more))

    def error_in(self, answered: Answered) -> dict[str, Any]:
        """The error of a whole answer, as this dialect wraps it."""
        return self.unwrapped(answered.json())

    def unwrapped(self, said: dict[str, Any]) -> dict[str, Any]:
        if self.provider == "cohere":
            return said
        if self.provider == "mistral":
            assert said["object"] == "error"
            return said
        if self.provider == "anthropic":
            assert said["type"] == "error"
        assert said.keys() <= {"error", "type"}
        return dict(said["error"])

    def type_of(self, error: dict[str, Any], status: int) -> str:
        if self.provider == "google":
            assert error["code"] == status
        if self.provider in ("openai", "mistral"):
            assert error["param"] is None
        assert error["message"]
        return str(error[self.kind]) if self.kind else ""

    def kind_of(self, types: tuple[str, str, str]) -> str:
        """Of the classes of OpenAI, Anthropic and Google its own; Mistral has OpenAI's, and Cohere none."""
        kinds = dict(zip(("openai", "anthropic", "google"), types, strict=True)) | {"mistral": types[0], "cohere": ""}
        return kinds[self.provider]

    def own_error(self, message: str, status: int) -> dict[str, Any]:
        """One of the provider's own."""
        if self.provider == "google":
            return {"error": {"code": status, "message": message, "status": "INTERNAL", "details": []}}
        if self.provider == "anthropic":
            return {"type": "error", "error": {"type": "api_error", "message": message}, "request_id": "req_1"}
        if self.provider == "mistral":
            return {"object": "error", "message": message, "type": "x", "param": None, "code": "3000"}
        if self.provider == "cohere":
            return {"id": "c1", "message": message}
        return {"error": {"message": message, "type": "x", "param": None, "code": None}}


CHAT = Speech(
    "openai", "gpt-4o-mini", "/proxy/openai/v1/chat/completions",
    {"model": "gpt-4o-mini", "messages": MESSAGES, "max_tokens": 100}, event(delta("Hello")), completion(), "type",
)  # fmt: skip
RESPONSES = Speech(
    "openai", "gpt-4o-mini", "/proxy/openai/v1/responses",
    {"model": "gpt-4o-mini", "input": "Hello", "max_output_tokens": 100},
    fake_openai.named(fake_openai.STREAM[0]), fake_openai.response(), "type",
)  # fmt: skip
MESSAGE = Speech(
    "anthropic", "claude-haiku-4-5", "/proxy/anthropic/v1/messages",
    {"model": "claude-haiku-4-5", "messages": MESSAGES, "max_tokens": 100},
    fake_anthropic.event(fake_anthropic.started()), fake_anthropic.message(), "type",
)  # fmt: skip
GENERATE = Speech(
    "google", "gemini-2.5-flash", "/proxy/google/v1beta/models/gemini-2.5-flash:generateContent",
    {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], "generationConfig": {"maxOutputTokens": 100}},
    fake_google.event(fake_google.STREAM[0]), fake_google.answer(), "status",
    "/proxy/google/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", (),
)  # fmt: skip
MISTRAL = Speech(
    "mistral", fake_mistral.MODEL, "/proxy/mistral/v1/chat/completions",
    {"model": fake_mistral.MODEL, "messages": MESSAGES, "max_tokens": 100},
    event(fake_mistral.STREAM[0]), completion(), "type",
)  # fmt: skip
COHERE = Speech(
    "cohere", "command-r-08-2024", "/proxy/cohere/v2/chat",
    {"model": "command-r-08-2024", "messages": MESSAGES, "max_tokens": 100},
    fake_cohere.named(fake_cohere.STREAM[0]), fake_cohere.answer(), "",
)  # fmt: skip

SPEECHES = {
    "chat": CHAT, "responses": RESPONSES, "messages": MESSAGE, "generateContent": GENERATE, "mistral": MISTRAL,
    "cohere": COHERE,
}  # fmt: skip
"""By endpoint."""


async def answer_any(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The well-behaved provider of every dialect."""
    if "generateContent" in asked.target or "GenerateContent" in asked.target:
        await fake_google.answer_generate(asked, writer)
    elif asked.target.endswith("/messages"):
        await fake_anthropic.answer_messages(asked, writer)
    elif asked.target.startswith("/v2/"):
        await fake_cohere.answer_cohere(asked, writer)
    elif asked.json().get("model") == fake_mistral.MODEL:
        await fake_mistral.answer_mistral(asked, writer)
    elif asked.target.endswith("/responses"):
        await fake_openai.answer_openai(asked, writer)
    else:
        await answer_chat(asked, writer)


def begun(speech: Speech, *, torn: bytes = b"") -> Callable[[Asked, asyncio.StreamWriter], Any]:
    """A stream that says its first event, perhaps a part of the next, and then nothing until it is ended."""

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream") + chunk(speech.first + torn))
        await writer.drain()
        await asyncio.sleep(60)

    return script
