"""OpenAI's batches: bounded by what was read of their file when it was uploaded, held at the price of batches."""

import re
from collections.abc import Callable

from broker.core.errors import CallRefused
from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.providers.body import not_bounded, rendered, shown, text_of
from broker.providers.client import Headers
from broker.providers.dialect import Body, Endpoint, Kept, Listed, Meter, Name, Reading, refuse_request
from broker.providers.kept_requests import About, AboutMany, NoMeter, asking
from broker.providers.openai_files import FILE_ID, FILES, Lines
from broker.providers.pursuit import Ended
from broker.providers.registry import Provider

BATCHES = "/v1/batches"
_LONGEST_LIST = 100
_ID = re.compile(r"batch_[A-Za-z0-9_-]{1,128}", re.ASCII)
_PATH = re.compile(rf"{BATCHES}(?:/({_ID.pattern})(/cancel)?)?", re.ASCII)
PATHS = (BATCHES, f"{BATCHES}/{{batch_id}}", f"{BATCHES}/{{batch_id}}/cancel")
_METHODS = {None: ("GET",), "/cancel": ("POST",)}
_KNOWN = frozenset(["input_file_id", "endpoint", "completion_window", "metadata"])
_ENDINGS = ("completed", "failed", "expired", "cancelled")
_OUTPUTS = ("output_file_id", "error_file_id")

ReadUsage = Callable[[JSONValue], tuple[Usage | None, bool]]


class MakeBatch:
    """POST /v1/batches."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        file_id, url = text_of(body, "input_file_id", 200), text_of(body, "endpoint", 200)
        unknown = [shown(name) for name in body.keys() - _KNOWN]
        if body.get("completion_window") != "24h":
            unknown.append("completion_window")
        if provider.name != "openai":
            unknown.append("batches at this provider")
        sent = rendered(body)

        def informed(facts: JSONValue) -> Reading:
            return _bounded(_lines_of(facts), url, not_bounded(unknown), sent, path)

        return asking("POST", "batches", Name("file", file_id))._replace(informed=informed)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return None, False

    def meter(self, *, wants_usage: bool) -> Meter:
        return NoMeter()


def endpoint(method: str, path: str) -> Endpoint | None:
    if method not in methods(path):
        return None
    if path == BATCHES:
        listing = asking("GET", "batches")._replace(lists=Listed("batch", 0))
        return MakeBatch() if method == "POST" else AboutMany(listing, "openai", ("after",), _LONGEST_LIST)
    match = _PATH.fullmatch(path)
    reading = asking(method, "batches", Name("batch", match[1] if match else ""))
    return About(reading._replace(ended=_has_ended, kept=lambda answer, _: outputs(answer)), "openai")


def methods(path: str) -> tuple[str, ...]:
    match = _PATH.fullmatch(path)
    if match is None:
        return ()
    return _METHODS[match[2]] if match[1] else ("GET", "POST")


def outputs(answer: JSONValue) -> tuple[Kept, ...]:
    """The files that a batch has written: whose the batch is, they are."""
    found = [answer.get(name) for name in _OUTPUTS] if isinstance(answer, dict) else []
    return tuple(Kept(Name("file", each)) for each in found if isinstance(each, str) and FILE_ID.fullmatch(each))


def _lines_of(facts: JSONValue) -> Lines:
    if not isinstance(facts, dict) or facts.keys() != set(Lines._fields):
        raise refuse_request("input_file_id must be a file that was uploaded with the purpose batch.")
    return Lines(**facts)  # type: ignore[arg-type]


def _bounded(lines: Lines, url: str, unbounded: str, sent: bytes, path: str) -> Reading:
    if url != lines.url:
        raise refuse_request("endpoint must be the url of the file's lines.")

    def render(most: int) -> bytes:
        if most < lines.output:
            raise CallRefused(
                "not_boundable", "Requests in this file have a higher output maximum than this access has."
            )
        return sent

    return Reading(
        model=lines.model,
        action=lines.action,
        extra_actions=frozenset(["batches", *lines.actions]),
        streamed=False,
        wants_usage=True,
        own_output=lines.output,
        choices=lines.choices,
        covers_reasoning=lines.covers_reasoning,
        input_bound=lines.input_bound,
        unbounded=unbounded,
        render=render,
        target=path,
        is_batch=True,
        kept=_kept(lines.requests),
    )


def _kept(count: int) -> Callable[[JSONValue, Usage | None], tuple[Kept, ...]]:
    def read(answer: JSONValue, usage: Usage | None) -> tuple[Kept, ...]:
        batch_id = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(batch_id, str) or not _ID.fullmatch(batch_id):
            return ()
        return (Kept(Name("batch", batch_id), work=count),)

    return read


def _has_ended(answer: JSONValue) -> bool:
    return isinstance(answer, dict) and answer.get("status") in _ENDINGS


class Pursued:
    """A batch after it was answered; `usage` reads that of a chat, `response_usage` that of a response."""

    def __init__(self, usage: ReadUsage, response_usage: ReadUsage) -> None:
        self.headers: Headers = []
        self._usage = usage
        self._response_usage = response_usage

    def path(self, remote_id: str) -> str:
        return f"{BATCHES}/{remote_id}"

    def cancel_path(self, remote_id: str) -> str:
        return f"{BATCHES}/{remote_id}/cancel"

    def ended(self, answer: JSONValue, remote_id: str) -> Ended | None:
        if not isinstance(answer, dict) or not _has_ended(answer):
            return None
        counts = answer.get("request_counts")
        # One that failed at its beginning may count nothing; of any other, what is not told is not nothing.
        ran = counts.get("completed") if isinstance(counts, dict) else 0 if answer["status"] == "failed" else None
        output = answer.get("output_file_id")
        has_output = isinstance(output, str) and FILE_ID.fullmatch(output) is not None
        if isinstance(ran, bool) or not isinstance(ran, int):
            return Ended()
        results = (f"{FILES}/{output}/content",) if has_output else ()
        return Ended(results=results, ran=ran, is_sum=True, made=outputs(answer))

    def ran(self, line: JSONValue) -> tuple[Usage | None, bool] | None:
        """Those that failed are in another file, and are not billed."""
        response = line.get("response") if isinstance(line, dict) else None
        if not isinstance(response, dict) or response.get("status_code") != 200:
            return None
        body = response.get("body")
        used = body.get("usage") if isinstance(body, dict) else None
        is_response = isinstance(used, dict) and "input_tokens" in used
        return (self._response_usage if is_response else self._usage)(used)
