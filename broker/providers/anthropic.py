"""Anthropic's dialect: messages, their usage, their stream, their errors."""

import re

from broker.core.errors import CallRefused
from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import JSONValue, NotStrict, dumps, loads
from broker.core.usage import NO_USAGE, Usage
from broker.providers import anthropic_batches, anthropic_files
from broker.providers.anthropic_request import read_count, read_messages
from broker.providers.client import Headers
from broker.providers.dialect import Body, Endpoint, Meter, Reading, Seen, counted, model_of
from broker.providers.pursuit import Pursuit
from broker.providers.registry import Provider
from broker.providers.sse import data_of

USUAL_VERSION = b"2023-06-01"

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "not_found_error",
    429: "rate_limit_error",
}
_VERSION = re.compile(rb"20[0-9]{2}-[01][0-9]-[0-3][0-9]")
_BETAS = frozenset(
    [
        "prompt-caching-2024-07-31", "token-efficient-tools-2025-02-19", "output-128k-2025-02-19",
        "interleaved-thinking-2025-05-14", "dev-full-thinking-2025-05-14", "fine-grained-tool-streaming-2025-05-14",
        "context-1m-2025-08-07", "model-context-window-exceeded-2025-08-26", "structured-outputs-2025-11-13",
        "effort-2025-11-24", "output-300k-2026-03-24", "thinking-token-count-2026-05-13", "token-counting-2024-11-01",
        "thinking-display-updates-2026-08-18", "files-api-2025-04-14", "message-batches-2024-09-24", "claude-code-20250219", "extended-cache-ttl-2025-04-11",
    ]
)  # fmt: skip
"""Names that change no price that is not in the book, and ask for no work that a field does not ask for."""
_GEOGRAPHIES = (None, "", "global", "not_available")
"""Where a model ran at its usual price; a region of its own costs a tenth more."""


class Messages:
    """POST /v1/messages."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_messages(body, size, path, provider)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return read_usage(answer.get("usage") if isinstance(answer, dict) else None)

    def meter(self, *, wants_usage: bool) -> Meter:
        return MessageMeter()


class CountTokens:
    """POST /v1/messages/count_tokens: what it says is a size, and no use."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_count(body, path, provider)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return NO_USAGE, False

    def meter(self, *, wants_usage: bool) -> Meter:
        return MessageMeter()


_ENDPOINTS: dict[str, Endpoint] = {"/v1/messages": Messages(), "/v1/messages/count_tokens": CountTokens()}


class Anthropic:
    name = "anthropic"

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        found = _ENDPOINTS.get(path) if method == "POST" else None
        return found or anthropic_batches.endpoint(method, path) or anthropic_files.endpoint(method, path)

    def methods(self, path: str) -> tuple[str, ...]:
        if path in _ENDPOINTS:
            return ("POST",)
        return anthropic_batches.methods(path) or anthropic_files.methods(path)

    def paths(self) -> tuple[str, ...]:
        return (*_ENDPOINTS, *anthropic_batches.PATHS, *anthropic_files.PATHS)

    def is_listing(self, path: str) -> bool:
        return path == "/v1/models"

    def model(self, model: str, provider: Provider) -> Body:
        epoch = "1970-01-01T00:00:00Z"
        return {"type": "model", "id": model, "display_name": model, "created_at": epoch, "lifecycle": "active"}

    def listing(self, models: list[str], provider: Provider) -> bytes:
        data = [self.model(model, provider) for model in models]
        ends = {"first_id": models[0] if models else None, "last_id": models[-1] if models else None}
        return dumps({"data": data, "has_more": False} | ends)

    def headers(self, headers: Headers) -> Headers:
        """The version the app was written for, and those of its betas that change no price."""
        version, betas = USUAL_VERSION, []
        for name, value in headers:
            if name == b"anthropic-version" and _VERSION.fullmatch(value):
                version = value
            elif name == b"anthropic-beta":
                betas += [beta for word in value.decode("latin-1").split(",") if (beta := word.strip()) in _BETAS]
        crossing = [(b"anthropic-version", version)]
        return [*crossing, (b"anthropic-beta", ",".join(betas).encode())] if betas else crossing

    def query(self, query: bytes) -> str:
        return ""

    def is_error(self, answer: JSONValue) -> bool:
        error = answer.get("error") if isinstance(answer, dict) and answer.get("type") == "error" else None
        return isinstance(error, dict) and isinstance(error.get("type"), str) and isinstance(error.get("message"), str)

    def error(self, refusal: CallRefused, status: int) -> bytes:
        kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        error: dict[str, object] = {"type": kind, "message": refusal.description, "code": refusal.code}
        return dumps({"type": "error", "error": error | refusal.extra})


class MessageMeter:
    """Puts the usage together from the first event and the last but one; only the latter makes it final."""

    def __init__(self) -> None:
        self.seen = Seen()
        self._usage: Body = {}

    def concerns(self, events: bytes) -> bool:
        return b"message_" in events or b'"error"' in events

    def read(self, event: bytes) -> bool:
        if not self.seen.is_complete and self.concerns(event):
            try:
                said = loads(data_of(event))
            except NotStrict:
                return True
            if isinstance(said, dict):
                self._take(said)
        return True

    def ending(self, error: bytes) -> bytes:
        return b"event: error\ndata: " + error + b"\n\n"

    def _take(self, said: Body) -> None:
        match said.get("type"):
            case "message_start":
                message = said.get("message")
                self._merge(message.get("usage") if isinstance(message, dict) else None)
                self.seen.model = model_of(message)
            case "message_delta":
                self._merge(said.get("usage"))
                delta = said.get("delta")
                if isinstance(delta, dict) and delta.get("stop_reason") is not None and "usage" in said:
                    self.seen.usage, self.seen.is_absurd = read_usage(self._usage)
            case "message_stop":
                self.seen.is_complete = True
            case "error":
                self.seen.failed = True

    def _merge(self, usage: JSONValue) -> None:
        """Counts in later events are of the whole message so far."""
        if isinstance(usage, dict):
            self._usage |= {name: value for name, value in usage.items() if value is not None}


def read_usage(usage: JSONValue) -> tuple[Usage | None, bool]:
    """Anthropic's usage object, and whether there was one that cannot be true: what was cached is not in its input_tokens."""
    if usage is None:
        return None, False
    if not isinstance(usage, dict):
        return None, True
    plain, output = counted(usage.get("input_tokens")), counted(usage.get("output_tokens"))
    kept = usage.get("cache_creation")
    cached, written, an_hour = (
        0 if value is None else counted(value)
        for value in (
            usage.get("cache_read_input_tokens"),
            usage.get("cache_creation_input_tokens"),
            kept.get("ephemeral_1h_input_tokens") if isinstance(kept, dict) else None,
        )
    )
    if min(plain, output, cached, an_hour, written - an_hour) < 0 or _is_dearer(usage):
        return None, True
    searched = _searches(usage.get("server_tool_use"))
    if searched < 0:
        return None, True
    extras = Extras(searches=searched) if searched else NO_EXTRAS
    read = Usage(plain + cached + written, output, cached, written - an_hour, an_hour, extras)
    return (None, True) if read.is_absurd() or read.input_tokens == 0 else (read, False)


PURSUITS: dict[tuple[str, str], Pursuit] = {("anthropic", "batch"): anthropic_batches.Pursued(read_usage)}


def _searches(told: JSONValue) -> int:
    """-1, which is absurd, for what is no count."""
    if not isinstance(told, dict):
        return 0 if told is None else -1
    count = told.get("web_search_requests")
    return 0 if count is None else counted(count)


def _is_dearer(usage: Body) -> bool:
    """Whether it was run at a price that was not asked for: the bound is booked then."""
    return (
        usage.get("service_tier") not in (None, "standard")
        or usage.get("speed") not in (None, "standard")
        or usage.get("inference_geo") not in _GEOGRAPHIES
    )
