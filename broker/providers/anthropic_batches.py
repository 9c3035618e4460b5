"""Anthropic's message batches: their requests are bounded one by one, and the whole is held at the price of batches."""

import re
from collections.abc import Callable
from functools import partial

from broker.core.extras import together as all_of
from broker.core.strict_json import JSONValue, dumps
from broker.core.usage import Usage
from broker.providers.anthropic_request import read_messages
from broker.providers.body import not_bounded, objects_of, shown, text_of
from broker.providers.client import Headers
from broker.providers.dialect import Body, Endpoint, Kept, Listed, Meter, Name, Reading, Steps, at_once, refuse_request
from broker.providers.kept_requests import About, AboutMany, NoMeter, asking
from broker.providers.pursuit import Ended
from broker.providers.registry import Provider

BATCHES = "/v1/messages/batches"
KEPT_FOR = 29 * 86_400
"""Seconds that results can be had: "Batch processing", as of November 2026."""
MOST_REQUESTS = 100_000
_STEP = 64
_LONGEST_LIST = 1_000
_LINES = frozenset([b"application/x-jsonl", b"application/jsonl", b"application/binary", b"application/octet-stream"])

_ID = re.compile(r"msgbatch_[A-Za-z0-9_-]{1,128}", re.ASCII)
_PATH = re.compile(rf"{BATCHES}(?:/({_ID.pattern})(/cancel|/results)?)?", re.ASCII)
PATHS = (BATCHES, *(f"{BATCHES}/{{message_batch_id}}{about}" for about in ("", "/cancel", "/results")))
_METHODS = {None: ("GET", "DELETE"), "/cancel": ("POST",), "/results": ("GET",)}

ReadUsage = Callable[[JSONValue], tuple[Usage | None, bool]]


class MakeBatch:
    """POST /v1/messages/batches."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return at_once(self.steps(body, size, provider, path))

    def steps(self, body: Body, size: int, provider: Provider, path: str) -> Steps:
        if provider.name != "anthropic":
            return asking("POST", "chat")._replace(unbounded="Batches at this provider have no known price here.")
        return (yield from read_batch(body, provider))

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return None, False

    def meter(self, *, wants_usage: bool) -> Meter:
        return NoMeter()


def endpoint(method: str, path: str) -> Endpoint | None:
    if method not in methods(path):
        return None
    if path == BATCHES:
        listing = asking("GET", "batches")._replace(lists=Listed("batch", 0), shown=led_here)
        return (
            MakeBatch()
            if method == "POST"
            else AboutMany(listing, "anthropic", ("after_id", "before_id"), _LONGEST_LIST)
        )
    match = _PATH.fullmatch(path)
    name = Name("batch", match[1] if match else "")
    reading = asking(method, "batches", name)
    if path.endswith("/results"):
        return About(reading._replace(gives=_LINES), "anthropic")
    return About(reading if method == "DELETE" else reading._replace(ended=has_ended, shown=led_here), "anthropic")


def methods(path: str) -> tuple[str, ...]:
    match = _PATH.fullmatch(path)
    if match is None:
        return ()
    return _METHODS[match[2]] if match[1] else ("GET", "POST")


def read_batch(body: Body, provider: Provider) -> Steps:
    """Each request as if it came alone; what one of them may not, the batch may not."""
    asked = objects_of(body, "requests")
    if not 0 < len(asked) <= MOST_REQUESTS:
        raise refuse_request(f"requests must be an array of 1 to {MOST_REQUESTS} objects.")
    lines: list[Reading] = []
    for number, each in enumerate(asked, 1):
        lines.append(_line(each, provider))
        if not number % _STEP:
            yield
    names = [text_of(each, "custom_id", 200) for each in asked]
    more = [shown(name) for holder, known in [(body, {"requests"}), *((a, {"custom_id", "params"}) for a in asked)] for name in holder.keys() - known]  # fmt: skip
    return together(lines, not_bounded(more), partial(_render, names, lines), BATCHES)._replace(kept=_kept(len(lines)))


def together(lines: list[Reading], unbounded: str, render: Callable[[int], bytes], path: str) -> Reading:
    """What many requests are as one call."""
    first = lines[0]
    if any(line.model != first.model or line.action != first.action for line in lines):
        unbounded = unbounded or "The requests of a batch are for one model here."
    maxima = [line.own_output for line in lines]
    return Reading(
        model=first.model,
        action=first.action,
        extra_actions=frozenset(["batches"]).union(*(line.extra_actions for line in lines)),
        streamed=False,
        wants_usage=True,
        own_output=None if None in maxima else max(own for own in maxima if own is not None),
        choices=sum(line.choices for line in lines),
        covers_reasoning=all(line.covers_reasoning for line in lines),
        input_bound=sum(line.input_bound for line in lines),
        unbounded=unbounded or next((line.unbounded for line in lines if line.unbounded), ""),
        render=render,
        target=path,
        writes_long=any(line.writes_long for line in lines),
        most=all_of(line.most for line in lines),
        names=tuple(dict.fromkeys(name for line in lines for name in line.names)),
        is_batch=True,
    )


def rendered_line(line: Reading, most: int) -> bytes:
    """With its own maximum, where that is less than the one that every request of the batch may have."""
    return line.render(most if line.own_output is None else min(line.own_output, most))


def _line(asked: Body, provider: Provider) -> Reading:
    params = asked.get("params")
    if not isinstance(params, dict):
        raise refuse_request("params must be an object.")
    read = read_messages(params, 0, BATCHES, provider)
    if read.streamed:
        raise refuse_request("A request of a batch has no stream.")
    return read


def _render(names: list[str], lines: list[Reading], most: int) -> bytes:
    requests = [
        b'{"custom_id":%b,"params":%b}' % (dumps(name), rendered_line(line, most))
        for name, line in zip(names, lines, strict=True)
    ]
    return b'{"requests":[%b]}' % b",".join(requests)


def _kept(count: int) -> Callable[[JSONValue, Usage | None], tuple[Kept, ...]]:
    def read(answer: JSONValue, usage: Usage | None) -> tuple[Kept, ...]:
        batch_id = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(batch_id, str) or not _ID.fullmatch(batch_id):
            return ()
        return (Kept(Name("batch", batch_id), None, KEPT_FOR, work=count),)

    return read


def has_ended(answer: JSONValue) -> bool:
    return isinstance(answer, dict) and answer.get("processing_status") == "ended"


def led_here(answer: JSONValue, base: str) -> JSONValue:
    """SDKs go for the results where the answer says, with their token."""
    if not isinstance(answer, dict):
        return answer
    data = answer.get("data")
    if isinstance(data, list):
        return answer | {"data": [led_here(each, base) for each in data]}
    if answer.get("results_url") is None:
        return answer
    return answer | {"results_url": f"{base}{BATCHES}/{answer.get('id')}/results"}


class Pursued:
    """A message batch after it was answered."""

    def __init__(self, usage: ReadUsage) -> None:
        self.headers: Headers = [(b"anthropic-version", b"2023-06-01")]
        self._usage = usage

    def path(self, remote_id: str) -> str:
        return f"{BATCHES}/{remote_id}"

    def cancel_path(self, remote_id: str) -> str:
        return f"{BATCHES}/{remote_id}/cancel"

    def ended(self, answer: JSONValue, remote_id: str) -> Ended | None:
        if not isinstance(answer, dict) or not has_ended(answer):
            return None
        counts = answer.get("request_counts")
        ran = counts.get("succeeded") if isinstance(counts, dict) else None
        if isinstance(ran, bool) or not isinstance(ran, int):
            return Ended()
        return Ended(results=(f"{BATCHES}/{remote_id}/results",) if ran else (), ran=ran, is_sum=True)

    def ran(self, line: JSONValue) -> tuple[Usage | None, bool] | None:
        """Those that failed, were cancelled or came too late are not billed."""
        result = line.get("result") if isinstance(line, dict) else None
        if not isinstance(result, dict) or result.get("type") != "succeeded":
            return None
        message = result.get("message")
        told = message.get("usage") if isinstance(message, dict) else None
        if isinstance(told, dict) and told.get("service_tier") == "batch":
            told = told | {"service_tier": "standard"}
        return self._usage(told)
