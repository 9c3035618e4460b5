"""A provider on loopback that keeps batches and files as Google does."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from tests.fake_google import answer_generate
from tests.fake_provider import Asked, whole


@dataclass
class BatchingGoogle:
    """Batches of requests that stand in the body; they end when the test says so, and have their results in themselves."""

    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked_with: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    """Those that somebody asked the end of; they end a while later."""

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        path = asked.target.partition("?")[0]
        if path.endswith(":batchGenerateContent"):
            writer.write(whole(self._made(asked.json()["batch"], path)))
            await writer.drain()
            return
        name, _, what = path.removeprefix("/v1beta/").removeprefix("/v1/").partition(":")
        if name == "batches":
            writer.write(whole({"operations": list(reversed(self.batches.values())), "nextPageToken": "page_2"}))
        elif name not in self.batches:
            writer.write(whole({"error": {"code": 404, "message": "Not found.", "status": "NOT_FOUND"}}, 404))
        elif what == "cancel":
            self.cancelled.append(name)
            writer.write(whole({}))
        elif asked.method == "DELETE":
            del self.batches[name]
            writer.write(whole({}))
        else:
            writer.write(whole(self.batches[name]))
        await writer.drain()

    def _made(self, batch: dict[str, Any], path: str) -> dict[str, Any]:
        name = f"batches/b{len(self.asked_with) + 1:04}"
        self.asked_with[name] = batch["inputConfig"]["requests"]["requests"]
        metadata = {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "model": f"models/{path.rpartition('/')[2].partition(':')[0]}", "displayName": batch.get("displayName", ""),
            "createTime": "2026-11-30T13:00:00Z", "state": "BATCH_STATE_PENDING", "name": name,
            "batchStats": {"requestCount": str(len(self.asked_with[name])), "pendingRequestCount": "2"},
        }  # fmt: skip
        self.batches[name] = {"name": name, "metadata": metadata}
        return self.batches[name]

    def end(self, name: str, *used: dict[str, Any] | None, state: str = "SUCCEEDED") -> None:
        """One usage for each request; None for one that failed."""
        lines = []
        for request, usage in zip(self.asked_with[name], used, strict=True):
            told = {"metadata": request["metadata"]} if "metadata" in request else {}
            if usage is None:
                lines.append(told | {"error": {"code": 13, "message": "Broken."}})
                continue
            candidate = {"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP"}
            lines.append(told | {"response": {"candidates": [candidate], "usageMetadata": usage}})
        succeeded = sum(usage is not None for usage in used)
        stats = {"requestCount": str(len(used))} | ({"successfulRequestCount": str(succeeded)} if succeeded else {})
        output = {"inlinedResponses": {"inlinedResponses": lines}}
        self.batches[name]["metadata"] |= {"state": f"BATCH_STATE_{state}", "batchStats": stats, "output": output}
        self.batches[name] |= {"done": True, "response": output}


@dataclass
class KeepingGoogle:
    """Files that came in two parts, and requests that may name them."""

    files: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        path, _, query = asked.target.partition("?")
        if path == "/upload/v1beta/files":
            assert query == "uploadType=multipart"
            writer.write(whole({"file": self._made(asked)}))
            await writer.drain()
            return
        if "/files" not in path:
            await answer_generate(asked, writer)
            return
        name = path.removeprefix("/v1beta/").removeprefix("/v1/")
        if name == "files":
            told = [self._shown(each) for each in reversed(self.files)]
            writer.write(whole({"files": told, "nextPageToken": "page_2"}))
        elif name not in self.files:
            writer.write(whole({"error": {"code": 404, "message": "Not found.", "status": "NOT_FOUND"}}, 404))
        elif asked.method == "DELETE":
            del self.files[name]
            writer.write(whole({}))
        else:
            writer.write(whole(self._shown(name)))
        await writer.drain()

    def _made(self, asked: Asked) -> dict[str, Any]:
        kind, _, boundary = asked.header("content-type").partition("; boundary=")
        assert kind == "multipart/related"
        _, first, second, end = asked.body.split(b"--" + boundary.encode())
        assert end == b"--\r\n"
        name = f"files/f{len(self.files) + 1:04}"
        told = json.loads(first.split(b"\r\n\r\n", 1)[1])["file"]
        self.files[name] = told, second.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
        return self._shown(name)

    def _shown(self, name: str) -> dict[str, Any]:
        told, data = self.files[name]
        uri = f"https://generativelanguage.googleapis.com/v1beta/{name}"
        return told | {"name": name, "sizeBytes": str(len(data)), "uri": uri, "state": "ACTIVE", "source": "UPLOADED"}
