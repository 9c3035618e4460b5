"""Gemini's batches of requests that stand in the body: each is bounded by itself, and the whole is held at the price of batches.

"Batch API", as of November 2026: half the usual price, a day at most, and the results of such requests stand in the batch itself.
"""

import re
from collections.abc import Callable
from functools import partial

from broker.core.extras import NO_EXTRAS
from broker.core.strict_json import JSONValue, dumps
from broker.core.usage import Usage
from broker.providers.anthropic_batches import rendered_line, together
from broker.providers.body import not_bounded, objects_of, rendered, shown
from broker.providers.client import Headers
from broker.providers.dialect import Body, Endpoint, Kept, Meter, Name, Reading, Steps, at_once, refuse_request
from broker.providers.google_listing import ListOwn
from broker.providers.google_request import read_generate, spelt
from broker.providers.kept_requests import About, NoMeter, asking
from broker.providers.pursuit import Ended
from broker.providers.registry import Provider

MOST_REQUESTS = 100_000
_STEP = 64
_ENDINGS = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
_NAME = re.compile(r"batches/([A-Za-z0-9_-]{1,128})", re.ASCII)
_PATH = re.compile(r"/v1(?:beta)?/batches(?:/([A-Za-z0-9_-]{1,128})(:cancel)?)?", re.ASCII)
PATHS = tuple(
    f"/{version}/batches{about}" for version in ("v1", "v1beta") for about in ("", "/{batch_id}", "/{batch_id}:cancel")
)
_METHODS = {None: ("GET", "DELETE"), ":cancel": ("POST",)}
_BATCH = frozenset(["displayName", "inputConfig", "priority", "model"])

ReadUsage = Callable[[JSONValue], tuple[Usage | None, bool]]


class MakeBatch:
    """POST …/models/{model}:batchGenerateContent."""

    def __init__(self, model: str) -> None:
        self._model = model

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return at_once(self.steps(body, size, provider, path))

    def steps(self, body: Body, size: int, provider: Provider, path: str) -> Steps:
        if provider.name != "google":
            return asking("POST", "chat")._replace(unbounded="Batches at this provider have no known price here.")
        return (yield from read_batch(body, provider, path.partition("?")[0], self._model))

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return None, False

    def meter(self, *, wants_usage: bool) -> Meter:
        return NoMeter()


def endpoint(method: str, path: str) -> Endpoint | None:
    if method not in methods(path):
        return None
    match = _PATH.fullmatch(path)
    if match is None or match[1] is None:
        return ListOwn("batch", "batches", "operations")
    reading = asking(method, "batches", Name("batch", match[1]))
    return About(reading if method == "DELETE" else reading._replace(ended=has_ended), "google")


def methods(path: str) -> tuple[str, ...]:
    match = _PATH.fullmatch(path)
    if match is None:
        return ()
    return _METHODS[match[2]] if match[1] else ("GET",)


def read_batch(body: Body, provider: Provider, path: str, model: str) -> Steps:
    """Each request as if it came alone; what one of them may not, the batch may not."""
    outer = spelt(body)
    batch = _object(outer, "batch")
    config = _object(batch, "inputConfig")
    more = [shown(name) for name in outer.keys() - {"batch"}]
    more += [f"batch.{shown(name)}" for name in batch.keys() - _BATCH]
    more += [f"batch.inputConfig.{shown(name)}" for name in config.keys() - {"requests"}]
    if more:
        return asking("POST", "chat")._replace(model=model, unbounded=not_bounded(more), is_free=False)
    if batch.get("model") not in (None, model, f"models/{model}"):
        raise refuse_request("model must be that of the path.")
    asked = [spelt(each) for each in objects_of(_object(config, "requests"), "requests")]
    if not 0 < len(asked) <= MOST_REQUESTS:
        raise refuse_request(f"requests must be an array of 1 to {MOST_REQUESTS} objects.")
    lines: list[Reading] = []
    for number, each in enumerate(asked, 1):
        lines.append(_line(each, provider, path, model))
        if not number % _STEP:
            yield
    unknown = [f"requests.{shown(name)}" for each in asked for name in each.keys() - {"request", "metadata"}]
    head = rendered({name: value for name, value in batch.items() if name in ("displayName", "priority")})
    metadata = [each.get("metadata") for each in asked]
    read = together(lines, not_bounded(set(unknown)), partial(_render, head, metadata, lines), path)
    return read._replace(kept=_kept(len(lines)))


def _object(holder: Body, name: str) -> Body:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise refuse_request(f"{name} must be an object.")
    return spelt(value)


def _line(asked: Body, provider: Provider, path: str, model: str) -> Reading:
    request = asked.get("request")
    if not isinstance(request, dict):
        raise refuse_request("request must be an object.")
    read = read_generate(request, 0, provider, path, model)
    # How sound, pictures and searches are told of in a batch is published nowhere.
    if read.most is not NO_EXTRAS or read.extra_actions & {"images", "web_search"}:
        why = not_bounded(["sound, pictures that are drawn, or a tool of Google's in a batch"])
        return read._replace(unbounded=read.unbounded or why)
    return read


def _render(head: bytes, metadata: list[JSONValue], lines: list[Reading], most: int) -> bytes:
    requests = [
        b'{"request":%b%b}' % (rendered_line(line, most), b"" if told is None else b',"metadata":' + dumps(told))
        for told, line in zip(metadata, lines, strict=True)
    ]
    comma = b"" if head == b"{}" else b","
    return b'{"batch":%b%b"inputConfig":{"requests":{"requests":[%b]}}}}' % (head[:-1], comma, b",".join(requests))


def _kept(count: int) -> Callable[[JSONValue, Usage | None], tuple[Kept, ...]]:
    def read(answer: JSONValue, usage: Usage | None) -> tuple[Kept, ...]:
        name = answer.get("name") if isinstance(answer, dict) else None
        match = _NAME.fullmatch(name) if isinstance(name, str) else None
        return (Kept(Name("batch", match[1]), work=count),) if match else ()

    return read


def has_ended(answer: JSONValue) -> bool:
    return isinstance(answer, dict) and (answer.get("done") is True or _state(answer) in _ENDINGS)


def _state(answer: Body) -> str:
    state = _inner(answer, "metadata").get("state")
    return state.rpartition("_STATE_")[2] if isinstance(state, str) else ""


def _inner(holder: Body, name: str) -> Body:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


class Pursued:
    """A batch after it was answered."""

    def __init__(self, usage: ReadUsage) -> None:
        self.headers: Headers = []
        self._usage = usage

    def path(self, remote_id: str) -> str:
        return f"/v1beta/batches/{remote_id}"

    def cancel_path(self, remote_id: str) -> str:
        return f"/v1beta/batches/{remote_id}:cancel"

    def ended(self, answer: JSONValue, remote_id: str) -> Ended | None:
        if not isinstance(answer, dict) or not has_ended(answer):
            return None
        stats = _inner(answer, "metadata").get("batchStats")
        # One that failed at its beginning may count nothing; of any other, what is not told is not nothing.
        told = stats.get("successfulRequestCount", "0") if isinstance(stats, dict) else None
        told = "0" if told is None and _state(answer) == "FAILED" else told
        if not isinstance(told, str) or not told.isascii() or not told.isdigit() or len(told) > 9:
            return Ended()
        return Ended(lines=_responses(answer), ran=int(told), is_sum=True)

    def ran(self, line: JSONValue) -> tuple[Usage | None, bool] | None:
        """Those that failed have an error in the place of a response, and are not billed."""
        response = line.get("response") if isinstance(line, dict) else None
        if not isinstance(response, dict):
            return None
        told = response.get("usageMetadata")
        if isinstance(told, dict) and told.get("serviceTier") == "batch":
            told = told | {"serviceTier": "standard"}
        return self._usage(told)


def _responses(answer: Body) -> tuple[JSONValue, ...]:
    """Of the operation's own answer, or of what it tells of itself, where that has none."""
    for output in (_inner(answer, "response"), _inner(_inner(answer, "metadata"), "output")):
        inner = _inner(output, "inlinedResponses").get("inlinedResponses")
        if isinstance(inner, list):
            return tuple(inner)
    return ()
