"""A provider on loopback that answers as Google does."""

import asyncio
import json
from typing import Any

from tests.fake_provider import LAST_CHUNK, Asked, chunk, head, whole


def usage(**more: Any) -> dict[str, Any]:
    return {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 15} | more


def answer(text: str = "Hello.", reason: str | None = "STOP", **used: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "usageMetadata": usage(**used), "modelVersion": "gemini-2.5-flash"}


def event(said: Any) -> bytes:
    return b"data: " + json.dumps(said).encode() + b"\r\n\r\n"


STREAM = [answer("Hello", None, candidatesTokenCount=1), answer(" there", None, candidatesTokenCount=2), answer(".")]


async def answer_generate(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The well-behaved provider: JSON or a stream of three pieces, with true usage; counting, embeddings, and the list of models."""
    if asked.method == "GET":
        writer.write(whole({"models": []}))
    elif ":countTokens" in asked.target:
        writer.write(whole({"totalTokens": 10}))
    elif ":batchEmbedContents" in asked.target:
        many = [{"values": [0.1, 0.2]} for _ in asked.json()["requests"]]
        writer.write(whole({"embeddings": many, "usageMetadata": {"promptTokenCount": 10}}))
    elif ":embedContent" in asked.target:
        writer.write(whole({"embedding": {"values": [0.1, 0.2]}, "usageMetadata": {"promptTokenCount": 10}}))
    elif ":streamGenerateContent" in asked.target:
        writer.write(head(200, "text/event-stream"))
        for said in STREAM:
            writer.write(chunk(event(said)))
        writer.write(LAST_CHUNK)
    else:
        writer.write(whole(answer()))
    await writer.drain()
