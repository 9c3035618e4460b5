"""The sandbox answers as a provider of the OpenAI dialect does."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from broker.demo.sandbox import make_sandbox
from broker.demo.tokens import count_prompt, split_tokens

KEY = "sk-sandbox-key"


@pytest.fixture
async def sandbox() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_sandbox(frozenset({KEY}), token_seconds=0, now=lambda: 1_763_760_000.5))
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers) as client:
        yield client


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "sandbox-chat", "messages": [{"role": "user", "content": text}], **more}


async def complete(sandbox: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await sandbox.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    parsed: dict[str, Any] = answer.json()
    return parsed


async def stream(sandbox: httpx.AsyncClient, body: dict[str, Any]) -> list[Any]:
    answer = await sandbox.post("/v1/chat/completions", json={**body, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


async def test_it_answers_with_the_usage_of_its_tokenizer(sandbox: httpx.AsyncClient) -> None:
    reply = await complete(sandbox, ask("What is a broker?"))
    text = reply["choices"][0]["message"]["content"]
    assert "sandbox" in text
    assert "What is a broker?" in text
    assert reply["usage"]["prompt_tokens"] == count_prompt(["What is a broker?"])
    assert reply["usage"]["completion_tokens"] == len(split_tokens(text))
    assert reply["usage"]["total_tokens"] == reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]
    assert reply["created"] == 1_763_760_000


async def test_the_same_question_gets_the_same_answer(sandbox: httpx.AsyncClient) -> None:
    assert await complete(sandbox, ask("Hello")) == await complete(sandbox, ask("Hello"))


async def test_it_counts_as_far_as_asked(sandbox: httpx.AsyncClient) -> None:
    reply = await complete(sandbox, ask("Count to 500"))
    assert reply["choices"][0]["message"]["content"].split()[-1] == "500."
    assert reply["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_it_stops_at_the_maximum(sandbox: httpx.AsyncClient, name: str) -> None:
    reply = await complete(sandbox, ask("Count to 500", **{name: 7}))
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["choices"][0]["message"]["content"] == "1, 2, 3, 4, 5, 6, 7,"
    assert reply["usage"]["completion_tokens"] == 7


async def test_of_two_maxima_the_smaller_holds(sandbox: httpx.AsyncClient) -> None:
    reply = await complete(sandbox, ask("Count to 500", max_tokens=9, max_completion_tokens=4))
    assert reply["usage"]["completion_tokens"] == 4


async def test_each_choice_is_counted(sandbox: httpx.AsyncClient) -> None:
    reply = await complete(sandbox, ask("Count to 5", n=3))
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2]
    assert reply["usage"]["completion_tokens"] == 15


async def test_a_stream_says_what_the_whole_answer_says(sandbox: httpx.AsyncClient) -> None:
    whole = await complete(sandbox, ask("Tell me about keys", n=2))
    events = await stream(sandbox, ask("Tell me about keys", n=2))
    for choice in whole["choices"]:
        deltas = [part for event in events for part in event["choices"] if part["index"] == choice["index"]]
        assert "".join(part["delta"].get("content", "") for part in deltas) == choice["message"]["content"]
        assert [part["finish_reason"] for part in deltas if part["finish_reason"]] == ["stop"]
    assert all("usage" not in event for event in events)


async def test_a_stream_ends_with_its_usage_when_asked(sandbox: httpx.AsyncClient) -> None:
    whole = await complete(sandbox, ask("Hi"))
    *events, last = await stream(sandbox, ask("Hi", stream_options={"include_usage": True}))
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    assert all(event["usage"] is None for event in events)


async def test_content_may_come_in_parts(sandbox: httpx.AsyncClient) -> None:
    parts = [{"type": "text", "text": "Count"}, {"type": "text", "text": "to 3"}]
    reply = await complete(sandbox, {"model": "sandbox-chat-large", "messages": [{"role": "user", "content": parts}]})
    assert reply["model"] == "sandbox-chat-large"
    assert reply["usage"]["prompt_tokens"] == count_prompt(["Count\nto 3"])


@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer sk-another", "Basic sk-sandbox-key", "Bearer"],
    ids=["none", "wrong", "basic", "empty"],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/chat/completions"), ("GET", "/v1/models")])
async def test_without_a_known_key_nothing_is_answered(
    sandbox: httpx.AsyncClient, authorization: str | None, method: str, path: str
) -> None:
    del sandbox.headers["authorization"]
    headers = {"authorization": authorization} if authorization else {}
    answer = await sandbox.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "sk-" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"messages": [{"role": "user", "content": "x"}]}',
        b'{"model": "sandbox-chat"}',
        b'{"model": "sandbox-chat", "messages": []}',
        b'{"model": "sandbox-chat", "messages": [{"role": "king", "content": "x"}]}',
        b'{"model": "sandbox-chat", "messages": [{"role": "user"}]}',
        b'{"model": "sandbox-chat", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "sandbox-chat", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
        b'{"model": "sandbox-chat", "messages": [{"role": "user", "content": "x"}], "max_tokens": 0}',
        b'{"model": "sandbox-chat", "messages": [{"role": "user", "content": "x"}], "max_tokens": true}',
        b'{"model": "sandbox-chat", "messages": [{"role": "user", "content": "x"}], "n": 99}',
        b'{"model": "sandbox-chat", "messages": [{"role": "user", "content": "x"}], "stream": "yes"}',
        b'{"model": "sandbox-chat", "messages": [{"role": "user", "content": "x"}], "stream_options": {}}',
        b'{"model": "sandbox-chat", "messages": [{"role": "user", "content": "x"}], "tools": 1}',
    ],
)
async def test_what_is_no_request_is_refused_in_the_shape_of_the_dialect(
    sandbox: httpx.AsyncClient, body: bytes
) -> None:
    answer = await sandbox.post("/v1/chat/completions", content=body)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_an_unknown_model_is_not_found(sandbox: httpx.AsyncClient) -> None:
    answer = await sandbox.post("/v1/chat/completions", json={**ask("Hi"), "model": "gpt-4o"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert (await sandbox.get("/v1/models/gpt-4o")).status_code == 404


async def test_it_lists_its_models(sandbox: httpx.AsyncClient) -> None:
    listed = (await sandbox.get("/v1/models")).json()
    assert [model["id"] for model in listed["data"]] == ["sandbox-chat", "sandbox-chat-large"]
    assert (await sandbox.get("/v1/models/sandbox-chat")).json() == listed["data"][0]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/audio", 404), ("GET", "/v1/chat/completions", 405)]
)
async def test_an_unknown_path_is_refused_in_the_same_shape(
    sandbox: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await sandbox.request(method, path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, "invalid_request_error")
