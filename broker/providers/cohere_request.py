"""Cohere's chat and embeddings as requests: an allow-list of fields, and the most that they can use (docs.cohere.com)."""

from broker.core.strict_json import JSONValue
from broker.providers.body import count_of, flag_of, not_bounded, objects_of, rendered, shown, text_of
from broker.providers.dialect import Body, Reading, refuse_request
from broker.providers.openai_request import Found
from broker.providers.registry import Provider

REQUEST_TOKENS, MESSAGE_TOKENS, DOCUMENT_TOKENS, TOOL_TOKENS = 1_024, 16, 32, 64
"""A preamble stands before every chat, of a few hundred tokens; Cohere bills none of it, but publishes no rule."""
TEXT_TOKENS = 16

_CHAT = frozenset(
    [
        "model", "messages", "tools", "strict_tools", "tool_choice", "documents", "citation_options", "response_format",
        "safety_mode", "max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty", "presence_penalty",
        "k", "p", "logprobs", "thinking", "stream",
    ]
)  # fmt: skip
_EMBED = frozenset(
    ["model", "texts", "inputs", "input_type", "embedding_types", "truncate", "output_dimension", "max_tokens"]
)
_ONLY: dict[str, tuple[JSONValue, ...]] = {"priority": (None, 0), "images": (None, [])}
"""Fields that are harmless with these values alone; what another priority costs is published nowhere."""
_ACTIONS = {"images": "vision", "connectors": "web_search", "image_url": "vision"}
_MESSAGE = frozenset(["role", "content", "tool_calls", "tool_plan", "tool_call_id", "citations"])
_PARTS = {
    "text": frozenset(["type", "text"]),
    "thinking": frozenset(["type", "thinking"]),
    "document": frozenset(["type", "document"]),
}
"""Parts whose bytes bound their tokens, with their members."""
_MOST = 2**31 - 1
_TEXTS = 4_096


def read_chat(body: Body, size: int, provider: Provider, path: str) -> Reading:
    """POST /v2/chat; raises CallRefused when it is not valid."""
    model = text_of(body, "model", 200)
    messages, tools = objects_of(body, "messages"), objects_of(body, "tools")
    if not messages:
        raise refuse_request("messages must be an array of objects.")
    documents = body.get("documents") or []
    if not isinstance(documents, list):
        raise refuse_request("documents must be an array.")
    needs = dict(
        [
            *_fields(body, _CHAT, provider),
            *(each for message in messages for each in _message(message)),
            *((f"tools.{_word(tool)}", "") for tool in tools if tool.get("type") != "function"),
        ]
    )
    sent = rendered({name: value for name, value in body.items() if name != "max_tokens"})
    constants = REQUEST_TOKENS + MESSAGE_TOKENS * len(messages) + TOOL_TOKENS * len(tools)
    constants += DOCUMENT_TOKENS * len(documents)
    return Reading(
        model=model,
        action="chat",
        extra_actions=frozenset(action for action in needs.values() if action),
        streamed=flag_of(body, "stream"),
        # The event with the usage is part of every stream here.
        wants_usage=True,
        own_output=count_of(body, "max_tokens", _MOST),
        choices=1,
        covers_reasoning=_thinks_nothing(model, body, provider),
        input_bound=max(size, len(sent) + 30) * provider.kind.tokens_a_byte + constants,
        unbounded=not_bounded(needs),
        render=lambda output_max: b'%b,"max_tokens":%d}' % (sent[:-1], output_max),
        target=path,
    )


def read_embed(body: Body, size: int, provider: Provider, path: str) -> Reading:
    """POST /v2/embed: nothing but what goes in is paid for."""
    needs = dict([*_fields(body, _EMBED, provider), *_inputs(body)])
    texts = body.get("texts")
    if texts is not None and not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise refuse_request("texts must be an array of strings.")
    count = len(texts or []) + len(objects_of(body, "inputs"))
    if not 0 < count <= _TEXTS and not needs:
        raise refuse_request("A request for embeddings has texts or inputs.")
    sent = rendered(body)
    return Reading(
        model=text_of(body, "model", 200),
        action="embeddings",
        extra_actions=frozenset(action for action in needs.values() if action),
        streamed=False,
        wants_usage=False,
        own_output=0,
        choices=1,
        covers_reasoning=True,
        input_bound=max(size, len(sent)) * provider.kind.tokens_a_byte + TEXT_TOKENS * count,
        unbounded=not_bounded(needs),
        render=lambda _: sent,
        target=path,
    )


def _thinks_nothing(model: str, body: Body, provider: Provider) -> bool:
    """Whether the maximum is all that is given: what a model that thinks adds to it is not published."""
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "disabled":
        return True
    return (
        provider.name == "cohere" and thinking is None and model.startswith(("command-r", "command-a-03", "c4ai-aya"))
    )


def _fields(body: Body, known: frozenset[str], provider: Provider) -> Found:
    for name, value in body.items():
        if name in _ONLY:
            if value not in _ONLY[name]:
                yield name, _ACTIONS.get(name, "")
        elif name not in known and name not in provider.allow_fields:
            yield shown(name), _ACTIONS.get(name, "")


def _message(message: Body) -> Found:
    yield from ((f"messages.{shown(name)}", "") for name in message.keys() - _MESSAGE)
    yield from _content(message.get("content"), "messages.content")


def _inputs(body: Body) -> Found:
    for each in objects_of(body, "inputs"):
        yield from ((f"inputs.{shown(name)}", "") for name in each.keys() - {"content"})
        yield from _content(each.get("content"), "inputs.content")


def _content(content: JSONValue, where: str) -> Found:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise refuse_request(f"{where} must be a string or an array of parts.")
    for part in content:
        members = _PARTS.get(_word(part))
        if members is None:
            yield f"{where}.{_word(part)}", _ACTIONS.get(_word(part), "")
        elif isinstance(part, dict):
            yield from ((f"{where}.{shown(name)}", _ACTIONS.get(name, "")) for name in part.keys() - members)


def _word(part: JSONValue) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    return shown(kind) if isinstance(kind, str) else "type"
