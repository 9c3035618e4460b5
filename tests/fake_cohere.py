"""A provider on loopback that answers as Cohere does."""

import asyncio
from typing import Any

from tests.fake_provider import DONE, LAST_CHUNK, Asked, chunk, event, head, whole

CHAT, EMBED = "command-a", "embed-v4.0"


def usage(**more: Any) -> dict[str, Any]:
    """Ten tokens are billed, though the model read a preamble, too."""
    billed = {"input_tokens": 10, "output_tokens": 5} | more
    return {"billed_units": billed, "tokens": {"input_tokens": 496, "output_tokens": 7}, "cached_tokens": 0}


def answer(**more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]}
    return {"id": "c1", "finish_reason": "COMPLETE", "message": message, "usage": usage()} | more


def word(text: str) -> dict[str, Any]:
    return {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}


def end(reason: str = "COMPLETE", **more: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": usage()} | more}


STREAM: list[dict[str, Any]] = [
    {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": []}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    word("Hello"),
    word(" there."),
    {"type": "content-end", "index": 0},
    end(),
]


def named(said: dict[str, Any]) -> bytes:
    return f"event: {said['type']}\n".encode() + event(said)


async def answer_cohere(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The well-behaved provider: JSON or a stream of two words, with what it bills."""
    if asked.method == "GET":
        writer.write(whole({"models": []}))
    elif asked.target == "/v2/embed":
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 10}}
        vectors = {"float": [[0.5, -0.5] for _ in asked.json().get("texts", [])]}
        writer.write(whole({"id": "e1", "embeddings": vectors, "texts": asked.json().get("texts"), "meta": meta}))
    elif asked.target == "/v2/rerank":
        results = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
        writer.write(whole({"id": "r1", "results": results, "meta": {"billed_units": {"search_units": 1}}}))
    elif asked.json().get("stream"):
        writer.write(head(200, "text/event-stream"))
        for each in STREAM:
            writer.write(chunk(named(each)))
        writer.write(chunk(DONE) + LAST_CHUNK)
    else:
        writer.write(whole(answer()))
    await writer.drain()
