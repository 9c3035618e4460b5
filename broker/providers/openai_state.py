"""Requests about what OpenAI keeps: responses, files, batches, conversations."""

import re

from broker.core.strict_json import JSONValue
from broker.providers import openai_batches, openai_conversations, openai_files
from broker.providers.dialect import Endpoint, Name
from broker.providers.kept_requests import About, asking
from broker.providers.openai_kept import RESPONSE_ID, is_running

_RESPONSE = re.compile(rf"/v1/responses/({RESPONSE_ID.pattern})(/input_items|/cancel)?", re.ASCII)
PATHS = (
    "/v1/responses/{response_id}", "/v1/responses/{response_id}/input_items", "/v1/responses/{response_id}/cancel",
    *openai_files.PATHS, *openai_batches.PATHS, *openai_conversations.PATHS,
)  # fmt: skip
_METHODS = {None: ("GET", "DELETE"), "/input_items": ("GET",), "/cancel": ("POST",)}


def endpoint(method: str, path: str) -> Endpoint | None:
    match = _RESPONSE.fullmatch(path)
    if match is None:
        rooms = (openai_files, openai_batches, openai_conversations)
        return next((found for room in rooms if (found := room.endpoint(method, path))), None)
    if method not in _METHODS[match[2]]:
        return None
    reading = asking(method, "files", Name("response", match[1]))
    return About(reading._replace(ended=None if match[2] == "/input_items" else _has_ended), "openai")


def methods(path: str) -> tuple[str, ...]:
    match = _RESPONSE.fullmatch(path)
    if match:
        return _METHODS[match[2]]
    return openai_files.methods(path) or openai_batches.methods(path) or openai_conversations.methods(path)


def _has_ended(answer: JSONValue) -> bool:
    return isinstance(answer, dict) and not is_running(answer)
