"""POST /v1/chat/completions as a request: an allow-list of fields, and the most that they can use."""

import re
from collections.abc import Iterator

from broker.core.strict_json import JSONValue
from broker.providers.body import (
    NORMALISING_FACTOR,
    count_of,
    flag_of,
    not_bounded,
    objects_of,
    rendered,
    shown,
    text_of,
)
from broker.providers.dialect import Body, Reading, refuse_request
from broker.providers.images import Pictures
from broker.providers.registry import Provider

REQUEST_TOKENS, MESSAGE_TOKENS, TOOL_TOKENS = 64, 16, 64
"""Added to the bytes of the body: more than the few tokens that chat templates put around messages and tools."""

_HARMLESS = frozenset(
    [
        "model", "messages", "temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias",
        "logprobs", "top_logprobs", "user", "safety_identifier", "prompt_cache_key", "response_format", "tools",
        "tool_choice", "parallel_tool_calls", "functions", "function_call", "reasoning_effort", "verbosity", "metadata",
        "stream", "stream_options", "n", "max_tokens", "max_completion_tokens",
    ]
)  # fmt: skip
_ONLY: dict[str, tuple[JSONValue, ...]] = {
    "store": (False, None),
    "service_tier": ("default", None),
    "modalities": (["text"], None),
    "audio": (None,),
    "prediction": (None,),
    "web_search_options": (None,),
}
"""Fields that are harmless with these values alone."""

_FIELD_ACTIONS = {"web_search_options": "web_search", "audio": "audio", "modalities": "audio"}
_PART_ACTIONS = {"image_url": "vision", "input_audio": "audio", "file": "files"}
_MESSAGE_FIELDS = frozenset(
    [
        "role",
        "content",
        "name",
        "tool_calls",
        "tool_call_id",
        "function_call",
        "refusal",
        "annotations",
        "reasoning_content",
    ]
)
_PART_MEMBERS = frozenset(["type", "text", "refusal"])
"""Of a part that says it is text: chat templates have been seen that take an image_url beside it for a picture."""
SEARCHES = re.compile(r"(?:^|[-/])search(?:[-:]|$)|deep-research", re.ASCII)
"""Models that search the web whether asked to or not: the provider bills each search, and no token price says so."""
_MAXIMA = ("max_tokens", "max_completion_tokens")
_LONGEST_MAXIMUM = len(b',"max_completion_tokens":9007199254740992')
_NOTHING: frozenset[str] = frozenset()
BYTE_LEVEL = frozenset(["openai", "sandbox"])
"""Providers whose tokenizers are byte-level, so that no token is shorter than a byte; and whose output maximum bounds reasoning."""


def read_chat(body: Body, size: int, provider: Provider, path: str) -> Reading:
    """Reads a request body of `size` bytes; raises CallRefused when it is not valid."""
    model = text_of(body, "model", 200)
    maximum = b'"max_completion_tokens":' if provider.name in BYTE_LEVEL else b'"max_tokens":'
    messages = _messages(body)
    pictures = None if _is_plain(body, model, messages) else Pictures(provider, model)
    needs = {} if pictures is None else dict(_needs(body, messages, pictures))
    extra = _NOTHING if pictures is None else pictures.actions.union(action for action in needs.values() if action)
    factor = 1 if provider.name in BYTE_LEVEL else NORMALISING_FACTOR
    tools = sum([len(objects_of(body, name)) for name in ("tools", "functions") if name in body])
    constants = REQUEST_TOKENS + MESSAGE_TOKENS * len(messages) + TOOL_TOKENS * tools
    if pictures:
        constants += pictures.tokens
    streamed = flag_of(body, "stream")
    sent = _sent(body, provider, streamed=streamed)
    return Reading(
        model=model,
        action="chat",
        extra_actions=extra,
        streamed=streamed,
        wants_usage=wants_usage(body, streamed=streamed),
        own_output=_own_output(body),
        choices=_choices(body),
        covers_reasoning=provider.name in BYTE_LEVEL,
        # What is sent counts, too: 1e15 is four bytes of the app's and eighteen of ours.
        input_bound=(max(size, len(sent) + _LONGEST_MAXIMUM) - (pictures.data if pictures else 0)) * factor + constants,
        unbounded=not_bounded(needs) if needs else "",
        render=lambda output_max: b"%b,%b%d}" % (sent[:-1], maximum, output_max),
        target=path,
    )


def _sent(body: Body, provider: Provider, *, streamed: bool) -> bytes:
    """All of it but for its output maximum, which only the reservation knows; never empty, since it has a model."""
    sent = body.copy()
    for name in _MAXIMA:
        sent.pop(name, None)
    if provider.name == "openai":
        # Left out, a project's own setting would choose the tier, and with it the price.
        sent["service_tier"] = "default"
    if not streamed:
        sent.pop("stream_options", None)
    return rendered(sent | sent_options(body, streamed))


def sent_options(body: Body, streamed: bool) -> Body:
    """The usage of a stream is always asked for."""
    options = body.get("stream_options")
    return (
        {"stream_options": (options if isinstance(options, dict) else {}) | {"include_usage": True}} if streamed else {}
    )


def _is_plain(body: Body, model: str, messages: list[Body]) -> bool:
    """Whether it has nothing but harmless fields and texts, as most requests do; what has more is looked at closely."""
    return (
        body.keys() <= _HARMLESS
        and body.get("tools") is None
        and False not in [m.keys() <= _MESSAGE_FIELDS and isinstance(m.get("content"), str) for m in messages]
        and not SEARCHES.search(model)
    )


def _needs(body: Body, messages: list[Body], pictures: Pictures) -> Iterator[tuple[str, str]]:
    """(what, the action it needs or nothing) for all that has no bound here."""
    allowed = pictures.provider.allow_fields
    if SEARCHES.search(pictures.model):
        yield "model", "web_search"
    for name, value in body.items():
        if name in _ONLY and value not in _ONLY[name]:
            yield name, _FIELD_ACTIONS.get(name, "")
        elif name not in _ONLY and name not in _HARMLESS and name not in allowed:
            yield shown(name), ""
    for message in messages:
        for name in message.keys() - _MESSAGE_FIELDS:
            if message[name] is not None:
                yield f"messages.{shown(name)}", ""
        for part in _parts(message):
            kind = part.get("type")
            if kind == "image_url" and _is_taken(part, pictures):
                continue
            if kind not in ("text", "refusal"):
                word = shown(kind) if isinstance(kind, str) else "content"
                yield f"messages.content.{word}", _PART_ACTIONS.get(word, "")
                continue
            for name in part.keys() - _PART_MEMBERS - allowed:
                yield f"messages.content.{shown(name)}", _PART_ACTIONS.get(name, "")
    for tool in objects_of(body, "tools"):
        kind = tool.get("type")
        if kind not in ("function", "custom"):
            word = shown(kind) if isinstance(kind, str) else "type"
            yield f"tools.{word}", "web_search" if word.startswith("web_search") else ""


def _messages(body: Body) -> list[Body]:
    messages = objects_of(body, "messages")
    if not messages:
        raise refuse_request("messages must be an array of objects.")
    return messages


def _parts(message: Body) -> list[Body]:
    content = message.get("content")
    if content is None or isinstance(content, str):
        return []
    if not isinstance(content, list):
        raise refuse_request("content must be a string or an array of parts.")
    return [part if isinstance(part, dict) else {} for part in content]


def _is_taken(part: Body, pictures: Pictures) -> bool:
    image = part.get("image_url")
    if not isinstance(image, dict) or part.keys() != {"type", "image_url"} or not image.keys() <= {"url", "detail"}:
        return False
    return pictures.take_url(image.get("url"), image.get("detail"))


def wants_usage(body: Body, *, streamed: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict) or not streamed or not options.keys() <= {"include_usage", "include_obfuscation"}:
        raise refuse_request("stream_options must be an object, and goes with stream.")
    return flag_of(options, "include_usage")


def _own_output(body: Body) -> int | None:
    """The app's own maximum; of two spellings the smaller."""
    found = [count_of(body, name, 2**53) for name in _MAXIMA]
    return min((value for value in found if value is not None), default=None)


def _choices(body: Body) -> int:
    return count_of(body, "n", 128) or 1
