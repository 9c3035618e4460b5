"""What a provider on loopback answers at OpenAI's paths for pictures and sound."""

import asyncio
from typing import Any

from tests.fake_provider import LAST_CHUNK, Asked, chunk, event, head, whole

SOUND = b"\xff\xfbsound that was spoken" * 20
PICTURE = "iVBORw0KGgo="
IMAGE_USAGE: dict[str, Any] = {
    "input_tokens": 50, "output_tokens": 272, "total_tokens": 322, "input_tokens_details": {"text_tokens": 50, "image_tokens": 0},
}  # fmt: skip
EDIT_USAGE: dict[str, Any] = {
    "input_tokens": 373, "output_tokens": 272, "total_tokens": 645, "input_tokens_details": {"text_tokens": 50, "image_tokens": 323},
}  # fmt: skip
HEARD_USAGE: dict[str, Any] = {
    "type": "tokens", "input_tokens": 24, "output_tokens": 5, "total_tokens": 29,
    "input_token_details": {"text_tokens": 10, "audio_tokens": 14},
}  # fmt: skip
SECONDS_USAGE: dict[str, Any] = {"type": "duration", "seconds": 9}


def pictures(used: dict[str, Any]) -> dict[str, Any]:
    return {"created": 1, "data": [{"b64_json": PICTURE}], "usage": used}


def picture_events(kind: str, used: dict[str, Any]) -> list[dict[str, Any]]:
    about = {"b64_json": PICTURE, "created_at": 1, "size": "1024x1024", "quality": "low", "background": "opaque", "output_format": "png"}  # fmt: skip
    return [
        {"type": f"{kind}.partial_image", "partial_image_index": 0} | about,
        {"type": f"{kind}.completed", "usage": used} | about,
    ]


HEARD_EVENTS: list[dict[str, Any]] = [
    {"type": "transcript.text.delta", "delta": "Hello"},
    {"type": "transcript.text.done", "text": "Hello.", "usage": HEARD_USAGE},
]


async def answer_media(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The well-behaved provider, with true usage."""
    said, streams = asked.body, b'"stream":true' in asked.body or b'name="stream"\r\n\r\ntrue' in asked.body
    match asked.target.removeprefix("/v1/"):
        case "images/generations":
            _give(writer, pictures(IMAGE_USAGE), picture_events("image_generation", IMAGE_USAGE), streams=streams)
        case "images/edits":
            _give(writer, pictures(EDIT_USAGE), picture_events("image_edit", EDIT_USAGE), streams=streams)
        case "audio/speech":
            writer.write(head(200, "audio/mpeg") + chunk(SOUND[:7]) + chunk(SOUND[7:]) + LAST_CHUNK)
        case _ if b"\r\n\r\ntext\r\n" in said or b"\r\n\r\nsrt\r\n" in said:
            writer.write(head(200, "text/plain; charset=utf-8", 6) + b"Hello.")
        case _ if b"whisper-1" in said:
            writer.write(whole({"text": "Hello.", "usage": SECONDS_USAGE}))
        case _:
            _give(writer, {"text": "Hello.", "usage": HEARD_USAGE}, HEARD_EVENTS, streams=streams)
    await writer.drain()


def _give(writer: asyncio.StreamWriter, answer: object, events: list[dict[str, Any]], *, streams: bool) -> None:
    if not streams:
        writer.write(whole(answer))
        return
    writer.write(head(200, "text/event-stream"))
    for each in events:
        writer.write(chunk(f"event: {each['type']}\n".encode() + event(each)))
    writer.write(LAST_CHUNK)
