"""Files that OpenAI keeps: free of charge, and of those for batches it is read what their requests can cost at most."""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NamedTuple

from broker.core.errors import CallRefused
from broker.core.extras import NO_EXTRAS
from broker.core.strict_json import JSONValue, NotStrict, dumps, loads
from broker.core.usage import Usage
from broker.prices.book import output_limit
from broker.prices.output import usual_output
from broker.providers.body import not_bounded, shown, text_of
from broker.providers.dialect import Body, Endpoint, Kept, Listed, Meter, Name, Reading, Steps, at_once, refuse_request
from broker.providers.form import File, Form, FormRule, not_in_parts, rendered_form
from broker.providers.images import facts_of
from broker.providers.kept_requests import About, AboutMany, NoMeter, asking
from broker.providers.openai_request import read_chat
from broker.providers.openai_responses import read_response
from broker.providers.registry import Provider

FILES = "/v1/files"
FILE_ID = re.compile(r"file[-_][A-Za-z0-9_-]{1,128}", re.ASCII)
KEPT_FOR = 30 * 86_400
"""Seconds: "files with purpose=batch expire after 30 days and all other files are persisted", OpenAI, as of November 2026."""
PURPOSES = ("batch", "user_data", "vision")
MOST_LINES = 50_000
USUAL_OUTPUT = 4_096
"""Tokens of a line without a maximum, where the model's own is not known."""

_STEP_BYTES = 65_536
_LINE_BYTES = 1_024
"""What a line takes besides its bytes, as if it were bytes."""
_LONGEST_LIST = 10_000
_PATH = re.compile(rf"{FILES}(?:/({FILE_ID.pattern})(/content)?)?", re.ASCII)
PATHS = (FILES, f"{FILES}/{{file_id}}", f"{FILES}/{{file_id}}/content")
_METHODS = {None: ("GET", "DELETE"), "/content": ("GET",)}
_CONTENTS = frozenset(
    [b"application/octet-stream", b"application/binary", b"application/jsonl", b"application/x-ndjson", b"text/plain"]
)
_FORM = FormRule(files={"file": 1})

LINES: dict[str, Callable[[Body, int, Provider, str], Reading]] = {
    "/v1/chat/completions": read_chat,
    "/v1/responses": read_response,
}
"""What a batch may ask for."""


class Lines(NamedTuple):
    """What all requests of a file for a batch come to."""

    url: str
    model: str
    action: str
    actions: tuple[str, ...]
    requests: int
    choices: int
    input_bound: int
    output: int
    """The most of any of them."""
    covers_reasoning: bool


class MakeFile:
    """POST /v1/files."""

    form = _FORM

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        raise not_in_parts()

    def read_form(self, form: Form, size: int, provider: Provider, path: str) -> Reading:
        return at_once(self.form_steps(form, size, provider, path))

    def form_steps(self, form: Form, size: int, provider: Provider, path: str) -> Steps:
        purpose = text_of(dict(form.body), "purpose", 40)
        file = form.only_file()
        unknown = [shown(name) for name in (form.body.keys() - {"purpose"}) | (form.files.keys() - {"file"})]
        if purpose not in PURPOSES:
            unknown.append("purpose")
        if provider.name != "openai":
            unknown.append("files at this provider")
        lines = None
        if purpose == "batch" and not unknown:
            file, lines = yield from read_lines(file, provider)
        facts = facts_of(file.data) if lines is None else dumps(lines._asdict()).decode()
        kind, sent = rendered_form({"purpose": purpose}, {"file": (file,)})
        return asking("POST", "files")._replace(
            content_type=kind,
            render=lambda _: sent,
            target=path,
            unbounded=not_bounded(unknown),
            kept=_kept(facts, KEPT_FOR if lines else None),
        )

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return Usage(0, 0), False

    def meter(self, *, wants_usage: bool) -> Meter:
        return NoMeter()


def endpoint(method: str, path: str) -> Endpoint | None:
    if method not in methods(path):
        return None
    if path == FILES:
        listing = asking("GET", "files")._replace(lists=Listed("file", 0))
        return MakeFile() if method == "POST" else AboutMany(listing, "openai", ("after",), _LONGEST_LIST)
    match = _PATH.fullmatch(path)
    reading = asking(method, "files", Name("file", match[1] if match else ""))
    return About(reading._replace(gives=_CONTENTS) if path.endswith("/content") else reading, "openai")


def methods(path: str) -> tuple[str, ...]:
    match = _PATH.fullmatch(path)
    if match is None:
        return ()
    return _METHODS[match[2]] if match[1] else ("GET", "POST")


def read_lines(file: File, provider: Provider) -> Generator[None, None, tuple[File, Lines]]:
    """The file as it is sent, each line with its output maximum; raises CallRefused for one that may not be in it.

    Where it yields, others may have their turn: a large file takes seconds.
    """
    lines, sent, unpaused = None, [], 0
    if file.data.rstrip(b"\n").count(b"\n") >= MOST_LINES:
        raise _wrong_number()
    for raw in _raw_lines(file.data):
        read = _line(raw, provider)
        lines = _alone(read) if lines is None else _together(lines, read)
        sent.append(read.sent)
        unpaused += len(raw) + _LINE_BYTES
        if unpaused >= _STEP_BYTES:
            unpaused = 0
            yield
    if lines is None:
        raise _wrong_number()
    return file._replace(data=b"\n".join([*sent, b""])), lines


def _wrong_number() -> CallRefused:
    return refuse_request(f"A file for a batch has 1 to {MOST_LINES} lines.")


def _raw_lines(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if raw := data[start:end].strip():
            yield raw
        start = end + 1


class _Line(NamedTuple):
    url: str
    reading: Reading
    output: int
    sent: bytes


def _line(raw: bytes, provider: Provider) -> _Line:
    asked = _parsed(raw)
    url, body = asked.get("url"), asked.get("body")
    custom = text_of(asked, "custom_id", 200)
    if asked.get("method") != "POST" or not isinstance(body, dict):
        raise refuse_request("Each line of a file for a batch has custom_id, method, url and body.")
    if not isinstance(url, str) or url not in LINES:
        raise CallRefused("not_boundable", not_bounded(["url"]))
    reading = LINES[url](body, 0, provider, url)
    _require_bounded(asked, reading)
    own = _own_maximum(provider, reading)
    output = own if reading.own_output is None else min(own, reading.own_output)
    told = loads(reading.render(output))
    # A batch has the price of batches, and is asked for no tier.
    sent = {name: value for name, value in told.items() if name != "service_tier"} if isinstance(told, dict) else told
    line = {"custom_id": custom, "method": "POST", "url": url, "body": sent}
    return _Line(url, reading, output, dumps(line))


def _own_maximum(provider: Provider, reading: Reading) -> int:
    if reading.own_output is not None or not reading.covers_reasoning:
        return output_limit(provider.name, reading.model) or USUAL_OUTPUT
    return usual_output(provider.name, reading.model, reading.input_bound, USUAL_OUTPUT)


def _alone(line: _Line) -> Lines:
    reading = line.reading
    return Lines(
        line.url,
        reading.model,
        reading.action,
        tuple(sorted(reading.extra_actions)),
        1,
        reading.choices,
        reading.input_bound,
        line.output,
        reading.covers_reasoning,
    )


def _together(lines: Lines, line: _Line) -> Lines:
    more = _alone(line)
    if (more.url, more.model) != (lines.url, lines.model):
        raise CallRefused("not_boundable", "The requests of a batch are for one model and one path here.")
    return lines._replace(
        actions=lines.actions if more.actions == lines.actions else tuple(sorted({*lines.actions, *more.actions})),
        requests=lines.requests + 1,
        choices=lines.choices + more.choices,
        input_bound=lines.input_bound + more.input_bound,
        output=max(lines.output, more.output),
        covers_reasoning=lines.covers_reasoning and more.covers_reasoning,
    )


def _require_bounded(asked: Body, reading: Reading) -> None:
    if reading.streamed:
        raise refuse_request("A request of a batch has no stream.")
    more: Iterable[str] = [shown(name) for name in asked.keys() - {"custom_id", "method", "url", "body"}]
    if reading.names or (reading.kept is not None and not reading.wish):
        more = [*more, "store, previous_response_id or background in a batch"]
    # Also of one that may happen no time: what a batch tells of searches is not counted.
    if reading.most is not NO_EXTRAS or "web_search" in reading.extra_actions:
        more = [*more, "sound or searches in a batch"]
    if why := reading.unbounded or not_bounded(more):
        raise CallRefused("not_boundable", why)


def _parsed(raw: bytes) -> Body:
    try:
        asked = loads(raw)
    except NotStrict as error:
        raise CallRefused("invalid_request", "A line of the file is not strict JSON.", detail=str(error)) from error
    if not isinstance(asked, dict):
        raise refuse_request("Each line of a file for a batch must be a JSON object.")
    return asked


def _kept(facts: str, ends_in: int | None) -> Callable[[JSONValue, Usage | None], tuple[Kept, ...]]:
    def read(answer: JSONValue, usage: Usage | None) -> tuple[Kept, ...]:
        file_id = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(file_id, str) or not FILE_ID.fullmatch(file_id):
            return ()
        return (Kept(Name("file", file_id), ends_in=ends_in, facts=facts),)

    return read
