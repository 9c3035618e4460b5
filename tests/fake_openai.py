"""A provider on loopback that answers OpenAI's other endpoints: responses, completions, embeddings, moderations."""

import asyncio
from typing import Any

from tests.fake_media import answer_media
from tests.fake_provider import (
    DONE,
    LAST_CHUNK,
    Asked,
    answer_chat,
    chunk,
    event,
    head,
    usage,
    whole,
)


def response_usage(**more: Any) -> dict[str, Any]:
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 2}}
    return {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15} | details | more


def response(status: str = "completed", **used: Any) -> dict[str, Any]:
    text = {"type": "output_text", "text": "Hello there.", "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-4o-mini", "status": status, "output": [item],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": response_usage(**used),
    }  # fmt: skip


def said(kind: str, number: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "sequence_number": number} | more


def word(text: str, number: int) -> dict[str, Any]:
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    return said("response.output_text.delta", number, delta=text, **where)


_ITEM = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
_PART = {"type": "output_text", "text": "", "annotations": []}
STREAM: list[dict[str, Any]] = [
    said("response.created", 0, response=response("in_progress") | {"usage": None, "output": []}),
    said("response.output_item.added", 1, output_index=0, item=_ITEM),
    said("response.content_part.added", 2, item_id="msg_1", output_index=0, content_index=0, part=_PART),
    word("Hello", 3),
    word(" there.", 4),
    said("response.completed", 5, response=response()),
]


def named(each: dict[str, Any]) -> bytes:
    return f"event: {each['type']}\n".encode() + event(each)


def completion(text: str, reason: str | None = "stop") -> dict[str, Any]:
    choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
    return {
        "id": "cmpl_1",
        "object": "text_completion",
        "created": 1,
        "model": "gpt-3.5-turbo-instruct",
        "choices": [choice],
    }


async def answer_openai(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The well-behaved provider, with true usage."""
    if asked.target == "/v1/responses":
        await _respond(asked, writer)
    elif asked.target == "/v1/completions":
        await _complete(asked, writer)
    elif asked.target == "/v1/embeddings":
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}]
        used = {"prompt_tokens": 10, "total_tokens": 10}
        writer.write(whole({"object": "list", "data": data, "model": asked.json()["model"], "usage": used}))
    elif asked.target == "/v1/moderations":
        result = {"flagged": False, "categories": {}, "category_scores": {}}
        writer.write(whole({"id": "modr_1", "model": asked.json()["model"], "results": [result]}))
    elif asked.target.startswith(("/v1/images/", "/v1/audio/")):
        await answer_media(asked, writer)
    else:
        await answer_chat(asked, writer)
    await writer.drain()


async def _respond(asked: Asked, writer: asyncio.StreamWriter) -> None:
    if not asked.json().get("stream"):
        writer.write(whole(response()))
        return
    writer.write(head(200, "text/event-stream"))
    for each in STREAM:
        writer.write(chunk(named(each)))
    writer.write(LAST_CHUNK)


async def _complete(asked: Asked, writer: asyncio.StreamWriter) -> None:
    if not asked.json().get("stream"):
        writer.write(whole(completion("Hello.") | {"usage": usage()}))
        return
    writer.write(head(200, "text/event-stream"))
    for each in (completion("Hello", None), completion("."), completion("") | {"choices": [], "usage": usage()}):
        writer.write(chunk(event(each)))
    writer.write(chunk(DONE) + LAST_CHUNK)
