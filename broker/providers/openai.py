"""OpenAI's dialect: chat completions, their usage, their stream, their errors."""

import re

from broker.core.errors import CallRefused
from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import JSONValue, NotStrict, dumps, loads
from broker.core.usage import Usage
from broker.providers import openai_batches, openai_kept, openai_state
from broker.providers.client import Headers
from broker.providers.dialect import Body, Endpoint, Meter, Reading, Seen, model_of
from broker.providers.openai_batches import ReadUsage
from broker.providers.openai_media import ImageEdits, ImageGenerations, Recordings, Speech
from broker.providers.openai_request import read_chat
from broker.providers.openai_responses import read_response
from broker.providers.openai_search import searched
from broker.providers.openai_sound import SoundMeter
from broker.providers.openai_texts import read_completion, read_embedding, read_moderation
from broker.providers.openai_tiers import in_tier
from broker.providers.openai_usage import all_sound, read_response_usage, read_usage
from broker.providers.pursuit import Pursuit
from broker.providers.registry import Provider
from broker.providers.sse import data_of

_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}


class ChatCompletions:
    """POST /v1/chat/completions."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        reading = read_chat(body, size, provider, path)
        if reading.most is NO_EXTRAS:
            return in_tier(reading, self)
        sounding = SoundingChat(reading.most, reading.choices)
        return in_tier(reading._replace(answered_by=sounding), sounding)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return read_usage(answer.get("usage") if isinstance(answer, dict) else None)

    def meter(self, *, wants_usage: bool) -> Meter:
        return ChatMeter(wants_usage=wants_usage)


class SoundingChat(ChatCompletions):
    """A chat that is asked with sound, or for it."""

    def __init__(self, most: Extras, choices: int) -> None:
        self._most = most
        self._choices = choices if most.output_audio_tokens else 0

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return self._told(answer.get("usage") if isinstance(answer, dict) else None)

    def meter(self, *, wants_usage: bool) -> Meter:
        return SoundMeter(ChatMeter(wants_usage=wants_usage, told=self._told), self._choices)

    def _told(self, usage: JSONValue) -> tuple[Usage | None, bool]:
        return read_usage(all_sound(usage, self._most))


class Completions(ChatCompletions):
    """POST /v1/completions, whose stream and usage are those of a chat."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_completion(body, size, provider, path)


class Responses(ChatCompletions):
    """POST /v1/responses."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        reading = read_response(body, size, provider, path)
        if reading.at_once is None:
            return in_tier(reading, self)
        searching = SearchingResponses()
        return in_tier(reading._replace(answered_by=searching), searching)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return read_response_usage(answer.get("usage") if isinstance(answer, dict) else None)

    def meter(self, *, wants_usage: bool) -> Meter:
        return ResponseMeter(self.usage)


class SearchingResponses(Responses):
    """A response that may search the web, whose usage says nothing of how often it did."""

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return read_searched(answer)


class Embeddings(ChatCompletions):
    """POST /v1/embeddings."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_embedding(body, size, provider, path)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        told = answer.get("usage") if isinstance(answer, dict) else None
        return read_usage(told | {"completion_tokens": 0} if isinstance(told, dict) else told)


class Moderations(ChatCompletions):
    """POST /v1/moderations, of which no provider reports a usage."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_moderation(body, size, provider, path)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return None, False


_ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": ChatCompletions(),
    "/v1/responses": Responses(),
    "/v1/completions": Completions(),
    "/v1/embeddings": Embeddings(),
    "/v1/moderations": Moderations(),
    "/v1/images/generations": ImageGenerations(),
    "/v1/images/edits": ImageEdits(),
    "/v1/audio/speech": Speech(),
    "/v1/audio/transcriptions": Recordings(),
    "/v1/audio/translations": Recordings(),
}

_ENDINGS = ("response.completed", "response.incomplete", "response.failed")
_NUMBER = re.compile(rb'"sequence_number" ?: ?([0-9]{1,9})\b')
_LAST_EVENTS = (b"response.completed", b"response.incomplete", b"response.failed", b'"error"')


class OpenAI:
    """Also what OpenAI-compatible servers speak."""

    name = "openai"

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        found = _ENDPOINTS.get(path) if method == "POST" else None
        return found or openai_state.endpoint(method, path)

    def methods(self, path: str) -> tuple[str, ...]:
        return ("POST",) if path in _ENDPOINTS else openai_state.methods(path)

    def paths(self) -> tuple[str, ...]:
        return (*_ENDPOINTS, *openai_state.PATHS)

    def is_listing(self, path: str) -> bool:
        return path == "/v1/models"

    def model(self, model: str, provider: Provider) -> Body:
        return {"id": model, "object": "model", "created": 0, "owned_by": provider.name}

    def listing(self, models: list[str], provider: Provider) -> bytes:
        return dumps({"object": "list", "data": [self.model(model, provider) for model in models]})

    def headers(self, headers: Headers) -> Headers:
        return []

    def query(self, query: bytes) -> str:
        return ""

    def is_error(self, answer: JSONValue) -> bool:
        error = answer.get("error") if isinstance(answer, dict) else None
        return isinstance(error, dict) and isinstance(error.get("message"), str)

    def error(self, refusal: CallRefused, status: int) -> bytes:
        kind, told = error_type(status), refusal.description
        error: dict[str, object] = {"message": told, "type": kind, "param": None, "code": refusal.code}
        return dumps({"error": error | refusal.extra})


def error_type(status: int) -> str:
    return _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


class ChatMeter:
    """Reads chunks only where a word in their bytes says that there is something to read."""

    def __init__(self, *, wants_usage: bool, told: ReadUsage = read_usage) -> None:
        self.seen = Seen()
        self._wants_usage = wants_usage
        self._told = told

    def concerns(self, events: bytes) -> bool:
        # OpenAI says that there is no usage yet in every chunk; in a text these quotes would be escaped.
        told = events.count(b'"usage"')
        return b"[DONE]" in events or b'"error"' in events or (told > 0 and told != events.count(b'"usage":null'))

    def read(self, event: bytes) -> bool:
        if self.seen.is_complete or not self.concerns(event):
            return True
        data = data_of(event)
        if data.strip() == b"[DONE]":
            self.seen.is_complete = True
            return True
        try:
            chunk = loads(data)
        except NotStrict:
            return True
        if not isinstance(chunk, dict):
            return True
        if chunk.get("error"):
            self.seen.failed = True
        if chunk.get("usage") is None:
            return True
        if _is_final(chunk):
            self.seen.usage, self.seen.is_absurd = self._told(chunk["usage"])
            self.seen.model = model_of(chunk)
        return self._wants_usage or chunk.get("choices") != []

    def ending(self, error: bytes) -> bytes:
        return b"data: " + error + b"\n\n"


class ResponseMeter:
    """The last event of a response has its usage; text that looks like it stands in other events."""

    def __init__(self, told: ReadUsage) -> None:
        self.seen = Seen()
        self._told = told
        self._last = b""

    def concerns(self, events: bytes) -> bool:
        return True

    def read(self, event: bytes) -> bool:
        self._last = event
        if self.seen.is_complete or not (b'"response.' in event or b'"error"' in event):
            return True
        if self.seen.made is not None and not any(word in event for word in _LAST_EVENTS):
            return True
        try:
            said = loads(data_of(event))
        except NotStrict:
            return True
        if isinstance(said, dict):
            self._take(said)
        return True

    def ending(self, error: bytes) -> bytes:
        """An `error` event as it is described, and with an `error` member, by which the official SDKs know that it failed."""
        found = _NUMBER.search(self._last)
        told = loads(error)
        inner = told.get("error") if isinstance(told, dict) else None
        said = dict(inner) if isinstance(inner, dict) else {}
        number = int(found[1]) + 1 if found else 0
        flat = {"code": said.get("code"), "message": said.get("message"), "param": None}
        return (
            b"event: error\ndata: "
            + dumps({"type": "error", "sequence_number": number, **flat, "error": said})
            + b"\n\n"
        )

    def _take(self, said: Body) -> None:
        kind, response = said.get("type"), said.get("response")
        if isinstance(response, dict):
            self.seen.made = response
        if kind == "error":
            self.seen.failed = True
        elif kind in _ENDINGS and isinstance(response, dict):
            self.seen.usage, self.seen.is_absurd = self._told(response)
            self.seen.model = model_of(response)
            self.seen.is_complete, self.seen.failed = kind != "response.failed", kind == "response.failed"


def _is_final(chunk: Body) -> bool:
    """Whether a chunk's usage is the whole call's: some servers count along, and a cut must not settle at such a figure."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return True
    return all(isinstance(choice, dict) and choice.get("finish_reason") is not None for choice in choices)


def read_searched(answer: JSONValue) -> tuple[Usage | None, bool]:
    """The usage of a response and its searches; one that does not say what it did has none that counts."""
    usage, is_absurd = read_response_usage(answer.get("usage") if isinstance(answer, dict) else None)
    found = searched(answer, usage)
    return found, is_absurd or (usage is not None and found is None)


PURSUITS: dict[tuple[str, str], Pursuit] = {
    ("openai", "response"): openai_kept.Pursued(read_searched),
    ("openai", "batch"): openai_batches.Pursued(read_usage, read_response_usage),
}
