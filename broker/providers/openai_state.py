"""Requests about responses that OpenAI keeps: they run no model and cost nothing."""

import re

from broker.core.errors import CallRefused
from broker.core.strict_json import JSONValue
from broker.core.usage import NO_USAGE, Usage
from broker.providers.dialect import Body, Endpoint, Meter, Name, Reading, Seen
from broker.providers.openai_kept import RESPONSE_ID
from broker.providers.registry import Provider

_RESPONSE = re.compile(rf"/v1/responses/({RESPONSE_ID.pattern})(/input_items|/cancel)?", re.ASCII)
_METHODS = {None: ("GET", "DELETE"), "/input_items": ("GET",), "/cancel": ("POST",)}


class NoMeter:
    """Of what is never a stream."""

    def __init__(self) -> None:
        self.seen = Seen()

    def read(self, event: bytes) -> bool:
        return True


class StoredResponse:
    """GET and DELETE of a response, GET of what it was asked with, POST to cancel it."""

    def __init__(self, response_id: str, method: str) -> None:
        self._name = Name("response", response_id)
        self._method = method

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        if provider.name != "openai":
            raise CallRefused("not_found", "There is nothing at this path.")
        return asking(self._method, path, "files", self._name)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return NO_USAGE, False

    def meter(self, *, wants_usage: bool) -> Meter:
        return NoMeter()


def endpoint(method: str, path: str) -> Endpoint | None:
    match = _RESPONSE.fullmatch(path)
    return StoredResponse(match[1], method) if match and method in _METHODS[match[2]] else None


def methods(path: str) -> tuple[str, ...]:
    match = _RESPONSE.fullmatch(path)
    return _METHODS[match[2]] if match else ()


def asking(method: str, path: str, action: str, *names: Name) -> Reading:
    """A request about what is kept: it has no model, no body, and no price."""
    return Reading(
        model="",
        action=action,
        extra_actions=frozenset(),
        streamed=False,
        wants_usage=True,
        own_output=1,
        choices=1,
        covers_reasoning=True,
        input_bound=1,
        unbounded="",
        render=lambda _: b"",
        target=path,
        is_free=True,
        method=method,
        names=names,
        deletes=method == "DELETE",
    )
