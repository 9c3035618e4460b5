"""A provider on loopback that keeps what it is asked to keep, as OpenAI does."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tests.fake_openai import STREAM, named, response
from tests.fake_provider import LAST_CHUNK, Asked, chunk, head, whole


def absent(what: str) -> bytes:
    error = {"message": f"{what} not found.", "type": "invalid_request_error", "param": None, "code": None}
    return whole({"error": error}, 404)


@dataclass
class KeepingOpenAI:
    """Its ids count up; what was not to be kept is not found again."""

    responses: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: int = 0

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        path = asked.target.partition("?")[0]
        if path.startswith("/v1/responses"):
            self._response(asked, path, writer)
        else:
            writer.write(absent(path))
        await writer.drain()

    def _response(self, asked: Asked, path: str, writer: asyncio.StreamWriter) -> None:
        if path == "/v1/responses":
            self._respond(asked.json(), writer)
            return
        response_id, _, what = path.removeprefix("/v1/responses/").partition("/")
        found = self.responses.get(response_id)
        if found is None:
            writer.write(absent("Response"))
        elif asked.method == "DELETE":
            del self.responses[response_id]
            writer.write(whole({"id": response_id, "object": "response", "deleted": True}))
        elif what == "input_items":
            item = {"id": "msg_0", "type": "message", "role": "user", "content": []}
            ends = {"first_id": "msg_0", "last_id": "msg_0", "has_more": False}
            writer.write(whole({"object": "list", "data": [item]} | ends))
        else:
            writer.write(whole(found))

    def _respond(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.made += 1
        answer = response() | {"id": f"resp_{self.made:04}"}
        if body.get("store", True):
            self.responses[answer["id"]] = answer
        if not body.get("stream"):
            writer.write(whole(answer))
            return
        writer.write(head(200, "text/event-stream"))
        for each in STREAM:
            told = each | {"response": each["response"] | {"id": answer["id"]}} if "response" in each else each
            writer.write(chunk(named(told)))
        writer.write(LAST_CHUNK)
