"""POST /v1/messages as a request: an allow-list of fields, and the most that they can use."""

from collections.abc import Iterator

from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import JSONValue
from broker.providers.anthropic_search import BLOCKS, TURNS, is_of_search, needs_search, read_at_most, uses_of
from broker.providers.body import (
    count_of,
    counting,
    flag_of,
    not_bounded,
    objects_of,
    rendered,
    shown,
    text_of,
)
from broker.providers.dialect import Body, Reading, refuse_request
from broker.providers.images import Pictures
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.registry import Provider

REQUEST_TOKENS, MESSAGE_TOKENS, TOOL_TOKENS = 64, 16, 64
TOOLS_TOKENS = 1_024
"""The system prompt that any tools add: 159 to 804 tokens, by model and tool_choice, of Anthropic's own count."""
CLIENT_TOOL_TOKENS = 1_024
"""What a tool of Anthropic's own that the app itself runs adds: 245 to 700 tokens, of Anthropic's own count."""

Found = Iterator[tuple[str, str]]
"""(what, the action it needs or nothing) for all that has no bound here."""

_HARMLESS = frozenset(
    [
        "model", "messages", "system", "max_tokens", "metadata", "stop_sequences", "stream", "temperature", "top_p",
        "top_k", "tools", "tool_choice", "thinking", "output_config", "cache_control",
    ]
)  # fmt: skip
_ONLY: dict[str, tuple[JSONValue, ...]] = {
    "service_tier": ("standard_only", None),
    "speed": ("standard", None),
    "inference_geo": ("global", None),
    "container": (None,),
    "mcp_servers": (None, []),
    "context_management": (None,),
    "fallbacks": (None, []),
}
"""Fields that are harmless with these values alone: each of them chooses a price, or adds work that no field bounds."""

_FIELD_ACTIONS = {"container": "code_execution"}
_BLOCK_ACTIONS = {
    "image": "vision",
    "document": "files",
    "container_upload": "files",
    "server_tool_use": "web_search",
    "web_search_tool_result": "web_search",
    "web_fetch_tool_result": "web_search",
    "code_execution_tool_result": "code_execution",
    "bash_code_execution_tool_result": "code_execution",
    "text_editor_code_execution_tool_result": "code_execution",
}
_TOOL_ACTIONS = (
    ("web_search", "web_search"),
    ("web_fetch", "web_search"),
    ("code_execution", "code_execution"),
    ("computer", "vision"),
    ("browser", "vision"),
)
_CLIENT_TOOLS = ("bash_20", "text_editor_20", "memory_20")
"""Tools of Anthropic's own that the app runs itself: their results are text of the app's."""

_BLOCKS: dict[str, frozenset[str]] = {
    "text": frozenset(["text", "citations"]),
    "tool_use": frozenset(["id", "name", "input", "caller", "toolset_name"]),
    "tool_result": frozenset(["tool_use_id", "content", "is_error", "toolset_name"]),
    "thinking": frozenset(["thinking", "signature"]),
    "redacted_thinking": frozenset(["data"]),
    "search_result": frozenset(["source", "title", "content", "citations"]),
}
"""Blocks whose bytes bound their tokens, with their members."""

_TOOL = frozenset(
    ["name", "description", "input_schema", "type", "strict", "eager_input_streaming", "input_examples"]
)  # fmt: skip
_TIMES = ("5m", "1h")
_AN_HOUR = b'"ttl":"1h"'
"""As it is rendered, where a text cannot have it."""
_MOST = 2**53


def read_messages(body: Body, size: int, path: str, provider: Provider) -> Reading:
    """Reads a request body of `size` bytes; raises CallRefused when it is not valid."""
    model = text_of(body, "model", 200)
    pictures = Pictures(provider, model)
    unbounded, bound = _judged(body, pictures)
    searches = sum(uses_of(tool) or 0 for tool in objects_of(body, "tools"))
    streamed = flag_of(body, "stream")
    sent = rendered({name: value for name, value in body.items() if name != "max_tokens"} | _tier(body, provider))
    own = count_of(body, "max_tokens", _MOST, least=0)
    return Reading(
        model=model,
        action="chat",
        extra_actions=_actions(unbounded, pictures) | ({"web_search"} if needs_search(body) else frozenset()),
        streamed=streamed,
        # The events with the usage are part of every stream here.
        wants_usage=True,
        # 0 asks for nothing but the cache to be filled; one token is the least that can be held.
        own_output=None if own is None else max(own, 1),
        # Each turn after a search may write as much again.
        choices=TURNS if searches else 1,
        covers_reasoning=True,
        input_bound=read_at_most(provider.name, model) or 0
        if searches
        else (max(size, len(sent) + 40) - pictures.data) * NORMALISING_FACTOR + bound,
        unbounded=not_bounded(unbounded),
        render=lambda output_max: b'%b,"max_tokens":%d}' % (sent[:-1], 0 if own == 0 else output_max),
        target=path,
        writes_long=_AN_HOUR in sent,
        most=Extras(searches=searches) if searches else NO_EXTRAS,
        names=pictures.names,
    )


def read_count(body: Body, path: str, provider: Provider) -> Reading:
    """POST /v1/messages/count_tokens, which runs no model and costs nothing."""
    model = text_of(body, "model", 200)
    pictures = Pictures(provider, model)
    unbounded, _ = _judged(body, pictures)
    actions = _actions(unbounded, pictures)
    reading = counting(body, model, path, extra_actions=actions, unbounded=not_bounded(unbounded))
    return reading._replace(names=pictures.names)


def _actions(unbounded: dict[str, str], pictures: Pictures) -> frozenset[str]:
    return pictures.actions.union(action for action in unbounded.values() if action)


def _judged(body: Body, pictures: Pictures) -> tuple[dict[str, str], int]:
    """What has no bound, and the tokens that are added to those of the body's own bytes."""
    messages, tools = objects_of(body, "messages"), objects_of(body, "tools")
    if not messages:
        raise refuse_request("messages must be an array of objects.")
    found = dict(
        [
            *_fields(body, pictures.provider),
            *_cache(body, "cache_control"),
            *(each for message in messages for each in _message(message, pictures)),
            *_content(body.get("system"), "system", pictures),
            *(each for tool in tools for each in _tool(tool, pictures)),
        ]
    )
    bound = REQUEST_TOKENS + MESSAGE_TOKENS * len(messages) + pictures.tokens
    if tools:
        bound += TOOLS_TOKENS + sum(TOOL_TOKENS if _is_own(tool) else CLIENT_TOOL_TOKENS for tool in tools)
    return found, bound


def _tier(body: Body, provider: Provider) -> Body:
    # Left out, an account's own priority tier would be taken, and with it another price.
    return {"service_tier": "standard_only"} if provider.name == "anthropic" else {}


def _fields(body: Body, provider: Provider) -> Found:
    for name, value in body.items():
        if name in _ONLY:
            if value not in _ONLY[name]:
                yield name, _FIELD_ACTIONS.get(name, "")
        elif name not in _HARMLESS and name not in provider.allow_fields:
            yield shown(name), ""
    config = body.get("output_config")
    if isinstance(config, dict):
        yield from ((f"output_config.{shown(name)}", "") for name in config.keys() - {"effort", "format"})


def _message(message: Body, pictures: Pictures) -> Found:
    yield from ((f"messages.{shown(name)}", "") for name in message.keys() - {"role", "content"})
    yield from _content(message.get("content"), "messages.content", pictures)


def _content(content: JSONValue, where: str, pictures: Pictures) -> Found:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise refuse_request(f"{where} must be a string or an array of blocks.")
    for block in content:
        yield from _block(block if isinstance(block, dict) else {}, where, pictures)


def _block(block: Body, where: str, pictures: Pictures) -> Found:
    kind = block.get("type")
    word = shown(kind) if isinstance(kind, str) else "type"
    members = _BLOCKS.get(word)
    if word == "image" and _is_taken(block.get("source"), pictures):
        members = frozenset(["source"])
    elif is_of_search(block):
        members = BLOCKS[word]
    if members is None:
        yield f"{where}.{word}", _BLOCK_ACTIONS.get(word, "")
        return
    for name in block.keys() - members - {"type", "cache_control"}:
        yield f"{where}.{word}.{shown(name)}", ""
    yield from _cache(block, f"{where}.cache_control")
    if word in ("tool_result", "search_result"):
        yield from _content(block.get("content"), f"{where}.{word}", pictures)


def _is_taken(source: JSONValue, pictures: Pictures) -> bool:
    """Base64, an address that Anthropic fetches, or a picture that it keeps."""
    if not isinstance(source, dict):
        return False
    if source.get("type") == "base64" and source.keys() <= {"type", "media_type", "data"}:
        return pictures.take_data(source.get("media_type"), source.get("data"), None)
    if source.get("type") == "file" and source.keys() <= {"type", "file_id"}:
        return pictures.provider.name == "anthropic" and pictures.take_file(source.get("file_id"), None)
    return (
        source.get("type") == "url" and source.keys() <= {"type", "url"} and pictures.take_url(source.get("url"), None)
    )


def _cache(holder: Body, where: str) -> Found:
    control = holder.get("cache_control")
    if control is None:
        return
    if not isinstance(control, dict) or control.get("ttl", "5m") not in _TIMES or control.keys() - {"type", "ttl"}:
        yield where, ""


def _is_own(tool: Body) -> bool:
    return tool.get("type") in (None, "custom")


def _tool(tool: Body, pictures: Pictures) -> Found:
    kind = tool.get("type")
    if uses_of(tool) and read_at_most(pictures.provider.name, pictures.model):
        yield from _cache(tool, "tools.cache_control")
        return
    if not _is_own(tool) and not (isinstance(kind, str) and kind.startswith(_CLIENT_TOOLS)):
        word = shown(kind) if isinstance(kind, str) else "type"
        yield f"tools.{word}", next((action for start, action in _TOOL_ACTIONS if word.startswith(start)), "")
        return
    if _is_own(tool):
        yield from ((f"tools.{shown(name)}", "") for name in tool.keys() - _TOOL - {"cache_control"})
    yield from _cache(tool, "tools.cache_control")
