"""POST /v1/responses as a request: an allow-list of fields, items and tools, and the most that they can use."""

from collections.abc import Iterator

from broker.core.strict_json import JSONValue
from broker.providers.body import (
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
from broker.providers.openai_kept import STORED, read_stored
from broker.providers.openai_request import MESSAGE_TOKENS, REQUEST_TOKENS, SEARCHES, TOOL_TOKENS
from broker.providers.openai_search import CALL, CALL_MEMBERS, INCLUDED, is_search, read_searching
from broker.providers.openai_tiers import own_tier
from broker.providers.registry import Provider

Found = Iterator[tuple[str, str]]
"""(what, the action it needs or nothing) for all that has no bound here."""

_HARMLESS = frozenset(
    [
        "model", "input", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls",
        "prompt_cache_key", "reasoning", "safety_identifier", "stream", "stream_options", "temperature", "text",
        "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user", "include", "client_metadata",
    ]
)  # fmt: skip
_ONLY: dict[str, tuple[JSONValue, ...]] = {
    "background": (False, None),
    "conversation": (None,),
    "previous_response_id": (None,),
    "prompt": (None,),
    "store": (False, None),
    "service_tier": ("default", None),
    "prompt_cache_retention": ("in_memory", None),
    "context_management": (None, []),
}
"""Fields that are harmless with these values alone: with others they bring in what stands at the provider, or its price."""

_FIELD_ACTIONS = {"background": "background"}
_INCLUDED = frozenset(["reasoning.encrypted_content", "message.output_text.logprobs", INCLUDED])
_ITEMS: dict[str, frozenset[str]] = {
    "message": frozenset(["role", "content", "id", "status", "phase"]),
    "function_call": frozenset(["call_id", "name", "arguments", "id", "status", "namespace"]),
    "function_call_output": frozenset(["call_id", "output", "id", "status"]),
    "custom_tool_call": frozenset(["call_id", "name", "input", "id", "status", "namespace"]),
    "custom_tool_call_output": frozenset(["call_id", "output", "id", "status"]),
    "reasoning": frozenset(["id", "summary", "content", "encrypted_content", "status"]),
    "local_shell_call": frozenset(["id", "action", "call_id", "status"]),
    "local_shell_call_output": frozenset(["id", "output", "call_id", "status"]),
    "apply_patch_call": frozenset(["id", "call_id", "operation", "status"]),
    "apply_patch_call_output": frozenset(["id", "call_id", "output", "status"]),
}
"""Items whose bytes bound their tokens, with their members."""
_ITEM_ACTIONS = {
    "web_search_call": "web_search",
    "file_search_call": "files",
    "code_interpreter_call": "code_execution",
    "image_generation_call": "images",
    "computer_call": "vision",
    "computer_call_output": "vision",
}
_PARTS = frozenset(["input_text", "output_text", "refusal", "text", "summary_text", "reasoning_text"])
_PART_MEMBERS = frozenset(["type", "text", "refusal", "annotations", "logprobs"])
_PART_ACTIONS = {"input_image": "vision", "input_file": "files", "input_audio": "audio"}
_TOOLS = frozenset(["function", "custom", "local_shell", "apply_patch", "namespace"])
"""Tools that the app itself runs; a namespace is a list of them."""
_TOOL_ACTIONS = (
    ("web_search", "web_search"),
    ("file_search", "files"),
    ("code_interpreter", "code_execution"),
    ("shell", "code_execution"),
    ("image_generation", "images"),
    ("computer", "vision"),
)
_MOST = 2**53


def read_response(body: Body, size: int, provider: Provider, path: str) -> Reading:
    """Reads a request body of `size` bytes; raises CallRefused when it is not valid."""
    model = text_of(body, "model", 200)
    items, tools = _items(body), list(_tools(body))
    pictures = Pictures(provider, model)
    needs = dict(_needs(body, items, tools, pictures))
    stored = read_stored(body, provider)
    factor = provider.kind.tokens_a_byte
    constants = pictures.tokens + REQUEST_TOKENS + MESSAGE_TOKENS * max(len(items), 1) + TOOL_TOKENS * len(tools)
    own = {name: value for name, value in body.items() if name != "max_output_tokens"} | _tier(body, provider)
    sent = rendered(own | {"store": stored.is_asked})
    bound = pictures.bound((max(size, len(sent) + 60) - pictures.data) * factor + constants)
    searching = read_searching(body, items, tools, provider, bound)
    if searching:
        needs |= searching.unbounded()
        own |= searching.sent
        sent = rendered(own | {"store": stored.is_asked})
    return Reading(
        model=model,
        action="chat",
        extra_actions=pictures.actions.union(action for action in needs.values() if action)
        | stored.actions
        | searching.actions,
        streamed=flag_of(body, "stream"),
        # The event with the usage is part of every stream here.
        wants_usage=True,
        own_output=count_of(body, "max_output_tokens", _MOST),
        choices=1,
        covers_reasoning=provider.kind.covers_reasoning,
        input_bound=searching.bound(bound),
        unbounded=not_bounded(needs),
        render=lambda output_max: _with_maximum(sent, output_max),
        target=path,
        tier=own_tier(body, provider),
        most=searching.most,
        at_once=searching.context if searching else None,
        at_first=bound if searching else 0,
        names=stored.follows + pictures.names,
        is_whole=pictures.documents > 0,
        follows=stored.is_chain,
        goes_into=stored.goes_into(_own_tokens(body, items, pictures) + searching.most_found)
        if stored.is_in_conversation
        else None,
        kept=stored.kept,
        wish=stored.wish,
        render_kept=(lambda output_max: _with_maximum(rendered(own | {"store": True}), output_max))
        if stored.wish
        else None,
    )


def _own_tokens(body: Body, items: list[Body], pictures: Pictures) -> int:
    """The most that what stands in `input` is, which alone is added to a conversation."""
    text = len(rendered({"input": body.get("input")})) - pictures.data
    return pictures.bound(text + pictures.tokens + MESSAGE_TOKENS * max(len(items), 1))


def _with_maximum(sent: bytes, output_max: int) -> bytes:
    return b'%b,"max_output_tokens":%d}' % (sent[:-1], output_max)


def _tier(body: Body, provider: Provider) -> Body:
    # Left out, a project's own setting would choose the tier, and with it the price.
    return {"service_tier": own_tier(body, provider) or "default"} if provider.name == "openai" else {}


def needs_of_items(items: list[Body], provider: Provider) -> Found:
    """(what, the action it needs or nothing) for all items that have no bound but in the request of a model."""
    nowhere = Pictures(provider, "")
    for item in items:
        yield from _item(item, nowhere)
        if item.get("type") == CALL:
            yield f"input.{CALL}", "web_search"


def _items(body: Body) -> list[Body]:
    asked = body.get("input")
    if isinstance(asked, str):
        return []
    items = objects_of(body, "input")
    if not items:
        raise refuse_request("input must be a text or an array of items.")
    return items


def _tools(holder: Body) -> Iterator[Body]:
    """Each by itself, those of namespaces, too."""
    for tool in objects_of(holder, "tools"):
        yield tool
        if tool.get("type") == "namespace":
            yield from _tools(tool)


def _needs(body: Body, items: list[Body], tools: list[Body], pictures: Pictures) -> Found:
    if SEARCHES.search(pictures.model):
        yield "model", "web_search"
    for name, value in body.items():
        if name in STORED and pictures.provider.name == "openai":
            continue
        if name in _ONLY:
            if value not in _ONLY[name] and not (name == "service_tier" and own_tier(body, pictures.provider)):
                yield name, _FIELD_ACTIONS.get(name, "")
        elif name not in _HARMLESS and name not in pictures.provider.allow_fields:
            yield shown(name), ""
    yield from _included(body.get("include"))
    for item in items:
        yield from _item(item, pictures)
    for tool in tools:
        kind = tool.get("type")
        if kind not in _TOOLS and not is_search(tool, pictures.provider, pictures.model):
            word = shown(kind) if isinstance(kind, str) else "type"
            yield f"tools.{word}", next((action for start, action in _TOOL_ACTIONS if word.startswith(start)), "")


def _included(include: JSONValue) -> Found:
    if include is None:
        return
    if not isinstance(include, list):
        raise refuse_request("include must be an array.")
    for name in include:
        if name not in _INCLUDED:
            yield f"include.{shown(name) if isinstance(name, str) else '?'}", ""


def _item(item: Body, pictures: Pictures) -> Found:
    kind = item.get("type", "message")
    word = shown(kind) if isinstance(kind, str) else "type"
    members = _ITEMS.get(word)
    if word == CALL and pictures.provider.name == "openai":
        members = CALL_MEMBERS
    if members is None:
        yield f"input.{word}", _ITEM_ACTIONS.get(word, "")
        return
    for name in item.keys() - members - {"type"}:
        yield f"input.{word}.{shown(name)}", ""
    for name in ("content", "output", "summary"):
        yield from _parts(item.get(name), word, pictures)


def _parts(content: JSONValue, where: str, pictures: Pictures) -> Found:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise refuse_request("content must be a text or an array of parts.")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        word = shown(kind) if isinstance(kind, str) else "type"
        if isinstance(part, dict) and word == "input_image" and _is_taken(part, pictures):
            continue
        if isinstance(part, dict) and word == "input_file" and pictures.take_document(_without_type(part)):
            continue
        if not isinstance(part, dict) or word not in _PARTS:
            yield f"input.{where}.{word}", _PART_ACTIONS.get(word, "")
            continue
        for name in part.keys() - _PART_MEMBERS:
            yield f"input.{where}.{shown(name)}", _PART_ACTIONS.get(f"input_{name.partition('_')[0]}", "")


def _without_type(part: Body) -> Body:
    return {name: value for name, value in part.items() if name != "type"}


def _is_taken(part: Body, pictures: Pictures) -> bool:
    """An address or a data: URL; or a picture that OpenAI itself keeps."""
    file_id, url = part.get("file_id"), part.get("image_url")
    if not part.keys() <= {"type", "image_url", "detail", "file_id"}:
        return False
    if file_id is None:
        return pictures.take_url(url, part.get("detail"))
    return url is None and pictures.provider.name == "openai" and pictures.take_file(file_id, part.get("detail"))
