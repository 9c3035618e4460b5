"""A provider on loopback that keeps what it is asked to keep, as OpenAI does."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from tests.fake_anthropic import answer_messages
from tests.fake_openai import STREAM, named, response
from tests.fake_provider import LAST_CHUNK, Asked, chunk, head, whole


def absent(what: str) -> bytes:
    error = {"message": f"{what} not found.", "type": "invalid_request_error", "param": None, "code": None}
    return whole({"error": error}, 404)


def _listed(data: list[dict[str, Any]]) -> dict[str, Any]:
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return {"object": "list", "data": data, "has_more": False} | ends


@dataclass
class KeepingOpenAI:
    """Its ids count up; what was not to be kept is not found again."""

    responses: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    conversations: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    made: int = 0

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        path = asked.target.partition("?")[0]
        if path.startswith("/v1/responses"):
            self._response(asked, path, writer)
        elif path.startswith("/v1/files"):
            self._file(asked, path.removeprefix("/v1/files").strip("/"), writer)
        elif path.startswith("/v1/batches"):
            self._batch(asked, path.removeprefix("/v1/batches").strip("/"), writer)
        elif path.startswith("/v1/conversations"):
            self._conversation(asked, path.removeprefix("/v1/conversations").strip("/"), writer)
        else:
            writer.write(absent(path))
        await writer.drain()

    def _conversation(self, asked: Asked, path: str, writer: asyncio.StreamWriter) -> None:
        conversation_id, _, what = path.partition("/")
        added = asked.json().get("items") or [] if asked.method == "POST" else []
        if not conversation_id:
            self.made += 1
            conversation_id = f"conv_{self.made:04}"
            self.conversations[conversation_id] = []
        items = self.conversations.get(conversation_id)
        if items is None:
            writer.write(absent("Conversation"))
            return
        items += [{"id": f"msg_{len(items) + n}", "type": "message", "status": "completed"} | each for n, each in enumerate(added)]  # fmt: skip
        told: dict[str, Any] = {"id": conversation_id, "object": "conversation", "created_at": 1, "metadata": {}}
        if what == "items":
            told = _listed(items)
        elif asked.method == "DELETE" and not what:
            del self.conversations[conversation_id]
            told = {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
        writer.write(whole(told))

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
        elif what == "cancel":
            found |= {"status": "cancelled"}
            writer.write(whole(found))
        else:
            writer.write(whole(found))

    def end(self, response_id: str, **used: Any) -> None:
        """What is worked on in the background is done."""
        self.responses[response_id] = response(**used) | {"id": response_id}

    def _file(self, asked: Asked, path: str, writer: asyncio.StreamWriter) -> None:
        file_id, _, what = path.partition("/")
        if not file_id and asked.method == "POST":
            writer.write(whole(self._shown(self.add_file(asked.body.split(b"\r\n\r\n")[-1].rpartition(b"\r\n--")[0]))))
        elif not file_id:
            writer.write(whole(_listed([self._shown(each) for each in reversed(self.files)])))
        elif file_id not in self.files:
            writer.write(absent("File"))
        elif what:
            data = self.files[file_id]
            writer.write(head(200, "application/octet-stream", len(data)) + data)
        elif asked.method == "DELETE":
            del self.files[file_id]
            writer.write(whole({"id": file_id, "object": "file", "deleted": True}))
        else:
            writer.write(whole(self._shown(file_id)))

    def add_file(self, data: bytes) -> str:
        self.made += 1
        file_id = f"file-{self.made:04}"
        self.files[file_id] = data
        return file_id

    def _shown(self, file_id: str) -> dict[str, Any]:
        told = {"id": file_id, "object": "file", "bytes": len(self.files[file_id]), "created_at": 1}
        return told | {"filename": "lines.jsonl", "purpose": "batch", "status": "processed"}

    def _batch(self, asked: Asked, path: str, writer: asyncio.StreamWriter) -> None:
        batch_id, _, what = path.partition("/")
        if not batch_id and asked.method == "POST":
            self.made += 1
            made = {
                "id": f"batch_{self.made:04}", "object": "batch", "status": "in_progress", "created_at": 1,
                "request_counts": {"total": 2, "completed": 0, "failed": 0}, "output_file_id": None,
            }  # fmt: skip
            self.batches[made["id"]] = made | asked.json()  # type: ignore[index]
            writer.write(whole(self.batches[made["id"]]))  # type: ignore[index]
        elif not batch_id:
            writer.write(whole(_listed(list(reversed(self.batches.values())))))
        elif batch_id not in self.batches:
            writer.write(absent("Batch"))
        else:
            if what:
                self.batches[batch_id]["status"] = "cancelling"
            writer.write(whole(self.batches[batch_id]))

    def end_batch(self, batch_id: str, *bodies: dict[str, Any] | None, status: str = "completed") -> None:
        """One answer for each request of its file; None for one that failed."""
        asked = [json.loads(line) for line in self.files[self.batches[batch_id]["input_file_id"]].splitlines()]
        lines = [
            {"id": "batch_req_1", "custom_id": each["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}
            for each, body in zip(asked, bodies, strict=True)
            if body is not None
        ]  # fmt: skip
        output = self.add_file(b"".join(json.dumps(line).encode() + b"\n" for line in lines)) if lines else None
        counts = {"total": len(asked), "completed": len(lines), "failed": len(asked) - len(lines)}
        self.batches[batch_id] |= {"status": status, "request_counts": counts, "output_file_id": output}

    def _respond(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.made += 1
        answer = response() | {"id": f"resp_{self.made:04}"}
        if body.get("background") and not body.get("stream"):
            answer |= {"status": "queued", "output": [], "usage": None, "background": True}
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


@dataclass
class BatchingAnthropic:
    """Message batches that end when the test says so."""

    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked_with: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    url: str = "https://api.anthropic.com"

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        path = asked.target.partition("?")[0].removeprefix("/v1/messages/batches").strip("/")
        batch_id, _, what = path.partition("/")
        if not batch_id and asked.method == "POST":
            writer.write(whole(self._made(asked.json()["requests"])))
        elif not batch_id:
            data = list(reversed(self.batches.values()))
            ends = (
                {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
            )
            writer.write(whole({"data": data, "has_more": False} | ends))
        elif batch_id not in self.batches:
            writer.write(whole({"type": "error", "error": {"type": "not_found_error", "message": "Not found."}}, 404))
        elif what == "results":
            lines = b"".join(json.dumps(line).encode() + b"\n" for line in self.results[batch_id])
            writer.write(head(200, "application/x-jsonl", len(lines)) + lines)
        elif what == "cancel":
            self.batches[batch_id]["processing_status"] = "canceling"
            writer.write(whole(self.batches[batch_id]))
        elif asked.method == "DELETE":
            del self.batches[batch_id]
            writer.write(whole({"id": batch_id, "type": "message_batch_deleted"}))
        else:
            writer.write(whole(self.batches[batch_id]))
        await writer.drain()

    def _made(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        batch_id = f"msgbatch_{len(self.asked_with) + 1:04}"
        counts = {"processing": len(requests), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        self.asked_with[batch_id] = requests
        self.batches[batch_id] = {
            "id": batch_id, "type": "message_batch", "processing_status": "in_progress", "request_counts": counts,
            "ended_at": None, "created_at": "2026-11-30T13:00:00Z", "expires_at": "2026-12-01T13:00:00Z",
            "archived_at": None, "cancel_initiated_at": None, "results_url": None,
        }  # fmt: skip
        return self.batches[batch_id]

    def end(self, batch_id: str, *used: dict[str, Any] | None) -> None:
        """One usage for each request; None for one that failed."""
        lines = []
        for request, usage in zip(self.asked_with[batch_id], used, strict=True):
            error = {"type": "error", "error": {"type": "api_error", "message": "Broken."}}
            result: dict[str, Any] = {"type": "errored", "error": error}
            if usage is not None:
                message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request["params"]["model"]}
                text = [{"type": "text", "text": "Hello."}]
                ends = {"content": text, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
                result = {"type": "succeeded", "message": message | ends}
            lines.append({"custom_id": request["custom_id"], "result": result})
        self.results[batch_id] = lines
        counts = {
            "processing": 0,
            "succeeded": sum(u is not None for u in used),
            "errored": sum(u is None for u in used),
        }
        self.batches[batch_id] |= {
            "processing_status": "ended", "request_counts": counts | {"canceled": 0, "expired": 0},
            "ended_at": "2026-11-30T14:00:00Z", "results_url": f"{self.url}/v1/messages/batches/{batch_id}/results",
        }  # fmt: skip


@dataclass
class KeepingAnthropic:
    """Files, and messages that may name them."""

    files: dict[str, bytes] = field(default_factory=dict)

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        path = asked.target.partition("?")[0]
        if not path.startswith("/v1/files"):
            await answer_messages(asked, writer)
            return
        file_id, _, what = path.removeprefix("/v1/files").strip("/").partition("/")
        if not file_id and asked.method == "POST":
            file_id = f"file_{len(self.files) + 1:04}"
            self.files[file_id] = asked.body.split(b"\r\n\r\n", 1)[1].rpartition(b"\r\n--")[0]
            writer.write(whole(self._shown(file_id)))
        elif not file_id:
            writer.write(whole({"data": [self._shown(each) for each in reversed(self.files)], "next_page": "page_2"}))
        elif file_id not in self.files:
            writer.write(whole({"type": "error", "error": {"type": "not_found_error", "message": "Not found."}}, 404))
        elif what:
            data = self.files[file_id]
            writer.write(head(200, "application/octet-stream", len(data)) + data)
        elif asked.method == "DELETE":
            del self.files[file_id]
            writer.write(whole({"id": file_id, "type": "file_deleted"}))
        else:
            writer.write(whole(self._shown(file_id)))
        await writer.drain()

    def _shown(self, file_id: str) -> dict[str, Any]:
        told = {"id": file_id, "type": "file", "created_at": "2026-11-30T13:00:00Z", "filename": "a.png"}
        return told | {"mime_type": "image/png", "size_bytes": 1, "downloadable": True}
