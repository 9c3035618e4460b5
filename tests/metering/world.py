"""Calls as they were recorded, and a provider that answers them in any of the ways that a call can end."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.providers.form import File, rendered_form
from tests.fake_media import SOUND
from tests.fake_provider import LAST_CHUNK, Asked, Script, chunk, head, whole
from tests.proxy.world import Answered, World
from tests.sdk.test_openai_media_sdk import WAV

FOLDER = Path(__file__).parents[1] / "fixtures" / "metering"
ACTIONS = ["chat", "completions", "embeddings", "images", "audio", "rerank", "web_search"]


@dataclass
class Case:
    """One recorded call."""

    name: str
    told: dict[str, Any]

    @classmethod
    def read(cls, name: str) -> "Case":
        return cls(name, json.loads((FOLDER / f"{name}.json").read_text("utf-8")))

    @property
    def path(self) -> str:
        return str(self.told["path"])

    @property
    def streams(self) -> bool:
        return self.told.get("events") is not None

    def path_of(self, *, streamed: bool) -> str:
        return str(self.told.get("stream_path", self.path)) if streamed else self.path

    def body(self, *, streamed: bool) -> tuple[bytes, str]:
        flag = {"stream": True} if streamed and "stream_path" not in self.told else {}
        if "form" not in self.told:
            return json.dumps(self.told["request"] | flag).encode(), "application/json"
        part, name, kind = self.told["file"]
        content_type, raw = rendered_form(self.told["form"] | flag, {part: (File(name, kind, WAV),)})
        return raw, content_type.decode()

    def answer(self, *, with_usage: bool = True) -> bytes:
        """A whole answer with its head."""
        if "sound" in self.told:
            return head(200, self.told["sound"], len(SOUND)) + SOUND
        return whole(self.told["answer"] if with_usage else _bare(self.told["answer"]))

    def pieces(self, *, with_usage: bool = True) -> list[bytes]:
        """The events of a stream, as chunks of the answer."""
        events = [self._event(each if with_usage else _bare(each)) for each in self.told["events"]]
        return [chunk(each) for each in [*events, *([b"data: [DONE]\n\n"] if "ends" in self.told else [])]]

    def _event(self, data: dict[str, Any]) -> bytes:
        named = f"event: {data['type']}\n" if self.told.get("named") else ""
        return f"{named}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()

    def error_event(self) -> bytes:
        if self.name.startswith("anthropic"):
            said: dict[str, Any] = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}
        elif self.name.startswith("cohere"):
            said = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "Busy."}}
        else:
            said = {"type": "error", "error": {"message": "Busy.", "code": 503, "type": "server_error"}}
        return chunk(f"data: {json.dumps(said)}\n\n".encode())

    def error(self, status: int) -> bytes:
        said: dict[str, Any] = {"error": {"message": "Busy.", "code": status, "type": "rate_limit_error"}}
        if self.name.startswith("cohere"):
            return whole({"id": "c1", "message": "Busy."}, status)
        if self.name.startswith("mistral"):
            return whole({"object": "error", "message": "Busy.", "type": "rate_limited", "param": None, "code": "1300"}, status)  # fmt: skip
        return whole(said | {"type": "error"} if self.name.startswith("anthropic") else said, status)


async def ask(world: World, case: Case, *, streamed: bool, leave_after: int | None = None) -> Answered:
    provider = case.path.partition("/")[0]
    token = await world.token(provider=provider, models='["*"]', actions=json.dumps(ACTIONS))
    raw, kind = case.body(streamed=streamed)
    path = f"/proxy/{case.path_of(streamed=streamed)}"
    return await world.call(token, raw, path=path, headers={"content-type": kind}, leave_after=leave_after)


def _bare(value: Any) -> Any:
    """The same without a word of what was used."""
    if isinstance(value, dict):
        return {name: _bare(each) for name, each in value.items() if name not in ("usage", "usageMetadata", "meta")}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def saying(*pieces: bytes, then: str = "ends", before: float = 0) -> Script:
    """Writes these, and then waits, hangs up, or is done."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(before)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.005)
        if then == "hangs up":
            writer.close()
        elif then == "waits":
            await asyncio.sleep(30)

    return script


STREAM = head(200, "text/event-stream")
__all__ = ["LAST_CHUNK", "STREAM", "Case", "ask", "saying"]
