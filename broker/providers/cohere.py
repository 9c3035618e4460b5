"""Cohere's dialect, version 2: chat, embeddings and ranking, what of them is billed, their stream, their errors (docs.cohere.com)."""

from broker.core.errors import CallRefused
from broker.core.extras import Extras
from broker.core.strict_json import JSONValue, NotStrict, dumps, loads
from broker.core.usage import Usage
from broker.providers.client import Headers
from broker.providers.cohere_request import read_chat, read_embed
from broker.providers.cohere_rerank import read_rerank
from broker.providers.dialect import Body, Endpoint, Meter, Reading, Seen, counted
from broker.providers.registry import Provider
from broker.providers.sse import data_of


class Chat:
    """POST /v2/chat."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_chat(body, size, provider, path)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return read_chat_usage(answer.get("usage") if isinstance(answer, dict) else None)

    def meter(self, *, wants_usage: bool) -> Meter:
        return EventMeter()


class Embed(Chat):
    """POST /v2/embed."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_embed(body, size, provider, path)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return read_usage(answer.get("meta") if isinstance(answer, dict) else None)


class Rerank(Chat):
    """POST /v2/rerank."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_rerank(body, size, provider, path)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return read_searches(answer.get("meta") if isinstance(answer, dict) else None)


_ENDPOINTS: dict[str, Endpoint] = {"/v2/chat": Chat(), "/v2/embed": Embed(), "/v2/rerank": Rerank()}


class Cohere:
    name = "cohere"

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        return _ENDPOINTS.get(path) if method == "POST" else None

    def methods(self, path: str) -> tuple[str, ...]:
        return ("POST",) if path in _ENDPOINTS else ()

    def paths(self) -> tuple[str, ...]:
        return tuple(_ENDPOINTS)

    def is_listing(self, path: str) -> bool:
        return path == "/v1/models"

    def model(self, model: str, provider: Provider) -> Body:
        return {"name": model, "endpoints": [_use(model)], "finetuned": False}

    def listing(self, models: list[str], provider: Provider) -> bytes:
        return dumps({"models": [self.model(model, provider) for model in models]})

    def headers(self, headers: Headers) -> Headers:
        return []

    def query(self, query: bytes) -> str:
        return ""

    def is_error(self, answer: JSONValue) -> bool:
        """A sentence, with an id beside it or alone, and nothing of an answer."""
        if not isinstance(answer, dict) or not isinstance(answer.get("message"), str):
            return False
        return not answer.keys() & {"finish_reason", "usage", "embeddings", "results"}

    def error(self, refusal: CallRefused, status: int) -> bytes:
        error: dict[str, object] = {"message": refusal.description, "code": refusal.code}
        return dumps(error | refusal.extra)


class EventMeter:
    """The last event has the usage, and says whether the model ended as it should."""

    def __init__(self) -> None:
        self.seen = Seen()

    def concerns(self, events: bytes) -> bool:
        return b"message-end" in events

    def read(self, event: bytes) -> bool:
        if self.concerns(event) and not self.seen.is_complete:
            try:
                said = loads(data_of(event))
            except NotStrict:
                return True
            if isinstance(said, dict) and said.get("type") == "message-end":
                self._take(said.get("delta"))
        return True

    def ending(self, error: bytes) -> bytes:
        """Its streams say what went wrong in their last event."""
        told = loads(error)
        said = dict(told) if isinstance(told, dict) else {}
        delta = {"finish_reason": "ERROR", "error": said.pop("message", None)} | said
        return b"event: message-end\ndata: " + dumps({"type": "message-end", "delta": delta}) + b"\n\n"

    def _take(self, delta: JSONValue) -> None:
        if not isinstance(delta, dict):
            return
        self.seen.usage, self.seen.is_absurd = read_chat_usage(delta.get("usage"))
        self.seen.failed = bool(delta.get("error")) or delta.get("finish_reason") in ("ERROR", "TIMEOUT")
        self.seen.is_complete = not self.seen.failed


def read_usage(usage: JSONValue) -> tuple[Usage | None, bool]:
    """What Cohere bills, and whether it was told and cannot be true.

    `tokens` beside it also counts a preamble of Cohere's own, which nobody pays for. What is billed by anything but
    tokens of text was not asked for, so that its bound is booked.
    """
    billed = usage.get("billed_units") if isinstance(usage, dict) else None
    if billed is None:
        return None, usage is not None and not isinstance(usage, dict)
    if not isinstance(billed, dict) or any(billed.keys() - _TEXT - {name for name, n in billed.items() if not n}):
        return None, True
    read = Usage(_whole(billed.get("input_tokens")), _whole(billed.get("output_tokens", 0)))
    return (None, True) if read.is_absurd() or read.input_tokens == 0 else (read, False)


def read_chat_usage(usage: JSONValue) -> tuple[Usage | None, bool]:
    """As `read_usage`, of what gives text: its output may be none, but a bill that says nothing of it is not a whole one."""
    billed = usage.get("billed_units") if isinstance(usage, dict) else None
    if isinstance(billed, dict) and billed.get("output_tokens") is None:
        return None, True
    return read_usage(usage)


def read_searches(usage: JSONValue) -> tuple[Usage | None, bool]:
    """As `read_usage`, of what ranks documents: it is billed by searches, and by nothing else."""
    billed = usage.get("billed_units") if isinstance(usage, dict) else None
    if billed is None:
        return None, usage is not None and not isinstance(usage, dict)
    if not isinstance(billed, dict) or any(name != "search_units" and n for name, n in billed.items()):
        return None, True
    read = Usage(0, 0, extras=Extras(searches=_whole(billed.get("search_units"))))
    return (None, True) if read.is_absurd() or read.extras.searches == 0 else (read, False)


_TEXT = frozenset(["input_tokens", "output_tokens", "text_tokens"])


def _whole(value: JSONValue) -> int:
    """Its numbers are documented as floating point."""
    return int(value) if isinstance(value, float) and value.is_integer() else counted(value)


def _use(model: str) -> str:
    return next((use for use in ("embed", "rerank") if model.startswith(use)), "chat")
