"""A provider on loopback that answers as Mistral does."""

import asyncio
from typing import Any

from tests.fake_provider import DONE, LAST_CHUNK, Asked, chunk, event, head, usage, whole

MODEL = "mistral-small-2603"
REFUSED = {
    "detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs", "input": {}}]
}


def said(text: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
    return {"id": "cmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]} | more


STREAM = [said("Hello"), said(" there"), said(".", "stop", usage=usage())]
"""The usage comes unasked, with the last words."""


async def answer_mistral(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The well-behaved provider, which takes no field that it does not know."""
    if asked.method == "GET":
        writer.write(whole({"object": "list", "data": []}))
    elif asked.json().keys() & {"stream_options", "max_completion_tokens"}:
        writer.write(whole(REFUSED, 422))
    elif asked.target == "/v1/embeddings":
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}]
        used = {"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10}
        writer.write(whole({"id": "e1", "object": "list", "data": data, "model": "mistral-embed", "usage": used}))
    elif asked.json().get("stream"):
        writer.write(head(200, "text/event-stream"))
        for each in STREAM:
            writer.write(chunk(event(each)))
        writer.write(chunk(DONE) + LAST_CHUNK)
    else:
        message = {"role": "assistant", "content": "Hello."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "cmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}
        writer.write(whole(answer | {"usage": usage()}))
    await writer.drain()
