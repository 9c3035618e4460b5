"""A provider on loopback that answers as Anthropic does."""

import asyncio
import json
from typing import Any

from tests.fake_provider import LAST_CHUNK, Asked, chunk, head, whole


def usage(**more: Any) -> dict[str, Any]:
    return {"input_tokens": 10, "output_tokens": 5, "service_tier": "standard"} | more


def message(model: str = "claude-haiku-4-5", **used: Any) -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model,
        "content": [{"type": "text", "text": "Hello."}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": usage(**used),
    }  # fmt: skip


def event(said: dict[str, Any]) -> bytes:
    return f"event: {said['type']}\ndata: {json.dumps(said)}\n\n".encode()


def started(**used: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": message(output_tokens=1, **used) | {"content": [], "stop_reason": None}}


def word(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def stopped(**used: Any) -> dict[str, Any]:
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5} | used}


STREAM: list[dict[str, Any]] = [
    started(),
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    word("Hello"),
    word(" there."),
    {"type": "content_block_stop", "index": 0},
    stopped(),
    {"type": "message_stop"},
]


async def answer_messages(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The well-behaved provider: JSON or a stream of two words, with true usage; counting, and the list of models."""
    if asked.method == "GET":
        writer.write(whole({"data": [], "has_more": False, "first_id": None, "last_id": None}))
    elif asked.target.endswith("/count_tokens"):
        writer.write(whole({"input_tokens": 10}))
    elif asked.json().get("stream"):
        writer.write(head(200, "text/event-stream"))
        for said in STREAM:
            writer.write(chunk(event(said)))
        writer.write(LAST_CHUNK)
    else:
        writer.write(whole(message(asked.json()["model"])))
    await writer.drain()
