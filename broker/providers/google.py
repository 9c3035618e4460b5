"""Google's dialect: Gemini's generateContent and embeddings, their usage, stream and errors."""

import re
from functools import lru_cache
from urllib.parse import parse_qs

from broker.core.errors import CallRefused
from broker.core.strict_json import JSONValue, NotStrict, dumps, loads
from broker.core.usage import NO_USAGE, Usage
from broker.providers import google_batches, google_files
from broker.providers.client import Headers
from broker.providers.dialect import Body, Endpoint, Meter, Reading, Seen, model_of, refuse_request
from broker.providers.google_batches import MakeBatch
from broker.providers.google_embeddings import read_batch, read_embedding
from broker.providers.google_request import SSE, read_count, read_generate
from broker.providers.google_search import is_grounded
from broker.providers.google_usage import NOTHING_APART, Apart, grounded, read_usage
from broker.providers.pursuit import Pursuit
from broker.providers.registry import Provider
from broker.providers.sse import data_of

_STATUS = {
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
}
_CALL = re.compile(r"/v1(?:beta)?/models/([A-Za-z0-9][A-Za-z0-9._-]{0,199}):([a-zA-Z]+)")
_EMBEDDINGS = ("embedContent", "batchEmbedContents")
_LISTINGS = ("/v1/models", "/v1beta/models")


class Generate:
    """POST …/models/{model}:generateContent, and streamGenerateContent."""

    def __init__(self, model: str, *, streams: bool, apart: Apart = NOTHING_APART) -> None:
        self._model = model
        self._streams = streams
        self._apart = apart

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        if self._streams and not path.endswith(SSE):
            raise refuse_request("A stream is asked for with alt=sse here.")
        read = read_generate(body, size, provider, path if self._streams else path.removesuffix(SSE), self._model)
        most, draws = read.most, "images" in read.extra_actions
        apart = Apart(hears=most.input_audio_tokens > 0, draws=draws, searches=most.searches > 0)
        if apart == NOTHING_APART:
            return read
        return read._replace(answered_by=Generate(self._model, streams=self._streams, apart=apart))

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        usage, is_absurd = read_usage(answer.get("usageMetadata") if isinstance(answer, dict) else None, self._apart)
        return grounded(usage, is_searched=self._apart.searches and is_grounded(answer)), is_absurd

    def meter(self, *, wants_usage: bool) -> Meter:
        return GroundedMeter(self._apart) if self._apart.searches else ChunkMeter(self._apart)


class CountTokens:
    """POST …/models/{model}:countTokens: what it says is a size, and no use."""

    def __init__(self, model: str) -> None:
        self._model = model

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_count(body, provider, path.removesuffix(SSE), self._model)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return NO_USAGE, False

    def meter(self, *, wants_usage: bool) -> Meter:
        return ChunkMeter()


class Embed:
    """POST …/models/{model}:embedContent, and batchEmbedContents: nothing but what goes in is paid for."""

    def __init__(self, model: str, *, many: bool) -> None:
        self._model = model
        self._read = read_batch if many else read_embedding

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return self._read(body, size, provider, path.removesuffix(SSE), self._model)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return read_usage(answer.get("usageMetadata") if isinstance(answer, dict) else None)

    def meter(self, *, wants_usage: bool) -> Meter:
        return ChunkMeter()


@lru_cache(maxsize=256)
def _endpoint(path: str) -> Endpoint | None:
    match = _CALL.fullmatch(path)
    if match is None:
        return None
    model, method = match.groups()
    if method == "countTokens":
        return CountTokens(model)
    if method in ("generateContent", "streamGenerateContent"):
        return Generate(model, streams=method == "streamGenerateContent")
    if method == "batchGenerateContent":
        return MakeBatch(model)
    if method in _EMBEDDINGS:
        return Embed(model, many=method == "batchEmbedContents")
    return None


def _kept_endpoint(method: str, path: str) -> Endpoint | None:
    return google_batches.endpoint(method, path) or google_files.endpoint(method, path)


def _methods(model: str) -> list[JSONValue]:
    """What may be asked of a model, by its name; Google has none that does both."""
    if "embedding" in model:
        return [*_EMBEDDINGS, "countTokens"]
    return ["generateContent", "streamGenerateContent", "countTokens", "batchGenerateContent"]


class Google:
    name = "google"

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        return (_endpoint(path) if method == "POST" else None) or _kept_endpoint(method, path)

    def methods(self, path: str) -> tuple[str, ...]:
        if _endpoint(path) is not None:
            return ("POST",)
        return google_batches.methods(path) or google_files.methods(path)

    def paths(self) -> tuple[str, ...]:
        calls = ("generateContent", "streamGenerateContent", "countTokens", "batchGenerateContent", *_EMBEDDINGS)
        models = (f"{listing}/{{model}}:{call}" for listing in _LISTINGS for call in calls)
        return (*models, *google_batches.PATHS, *google_files.PATHS)

    def is_listing(self, path: str) -> bool:
        return path in _LISTINGS

    def model(self, model: str, provider: Provider) -> Body:
        return {"name": f"models/{model}", "displayName": model, "supportedGenerationMethods": _methods(model)}

    def listing(self, models: list[str], provider: Provider) -> bytes:
        return dumps({"models": [self.model(model, provider) for model in models]})

    def headers(self, headers: Headers) -> Headers:
        return []

    def query(self, query: bytes) -> str:
        return SSE if query and parse_qs(query.decode("latin-1")).get("alt") == ["sse"] else ""

    def is_error(self, answer: JSONValue) -> bool:
        error = answer.get("error") if isinstance(answer, dict) else None
        return isinstance(error, dict) and isinstance(error.get("message"), str) and isinstance(error.get("code"), int)

    def error(self, refusal: CallRefused, status: int) -> bytes:
        """`code` is the status here, so ours is the reason of a google.rpc.ErrorInfo."""
        kind = _STATUS.get(status, "UNAVAILABLE" if status >= 500 else "INVALID_ARGUMENT")
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": refusal.code, "domain": "broker"}
        error: dict[str, object] = {"code": status, "message": refusal.description, "status": kind, "details": [info]}
        return dumps({"error": error | refusal.extra})


PURSUITS: dict[tuple[str, str], Pursuit] = {("google", "batch"): google_batches.Pursued(read_usage)}


class ChunkMeter:
    """Each chunk counts the whole answer so far; it is final with the reason why the model stopped."""

    def __init__(self, apart: Apart = NOTHING_APART) -> None:
        self.seen = Seen()
        self._apart = apart

    def concerns(self, events: bytes) -> bool:
        said = b'"finishReason"' in events or b'"error"' in events or b'"blockReason"' in events
        return said or self.seen.is_complete

    def read(self, event: bytes) -> bool:
        if self.concerns(event):
            try:
                said = loads(data_of(event))
            except NotStrict:
                return True
            if isinstance(said, dict):
                self._take(said)
        return True

    def ending(self, error: bytes) -> bytes:
        return b"data: " + error + b"\n\n"

    def _take(self, said: Body) -> None:
        if isinstance(said.get("error"), dict):
            self.seen.failed = True
            return
        self.seen.is_complete = self.seen.is_complete or _has_stopped(said)
        if self.seen.is_complete and said.get("usageMetadata") is not None:
            usage, is_absurd = read_usage(said["usageMetadata"], self._apart)
            if not _is_less(usage, self.seen.usage):
                self.seen.usage, self.seen.is_absurd = usage, is_absurd
                self.seen.model = model_of(said)


class GroundedMeter(ChunkMeter):
    """As ChunkMeter, of a request that may search: that it did may be told in any event."""

    def __init__(self, apart: Apart) -> None:
        super().__init__(apart)
        self._is_searched = False

    def concerns(self, events: bytes) -> bool:
        return b'"groundingMetadata"' in events or super().concerns(events)

    def read(self, event: bytes) -> bool:
        if not self._is_searched and b'"groundingMetadata"' in event:
            try:
                self._is_searched = is_grounded(loads(data_of(event)))
            except NotStrict:
                self._is_searched = True
        passes = super().read(event)
        self.seen.usage = grounded(self.seen.usage, is_searched=self._is_searched)
        return passes


def _is_less(usage: Usage | None, before: Usage | None) -> bool:
    """Whether it takes back what was counted already: counts of the whole answer so far only grow."""
    if usage is None or before is None:
        return False
    return usage.input_tokens < before.input_tokens or usage.output_tokens < before.output_tokens


def _has_stopped(said: Body) -> bool:
    candidates, feedback = said.get("candidates"), said.get("promptFeedback")
    if isinstance(feedback, dict) and feedback.get("blockReason"):
        return True
    if not isinstance(candidates, list) or not candidates:
        return False
    return all(isinstance(candidate, dict) and candidate.get("finishReason") for candidate in candidates)
