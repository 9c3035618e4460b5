"""POST /v1/chat/completions as a request: an allow-list of fields, and the most that they can use."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from broker.core.extras import NO_EXTRAS
from broker.core.strict_json import JSONValue
from broker.providers.body import count_of, flag_of, not_bounded, objects_of, rendered, shown, text_of
from broker.providers.dialect import Body, Name, Reading, refuse_request
from broker.providers.images import Pictures
from broker.providers.openai_sound import SPOKEN, Sounds, kept_said
from broker.providers.openai_tiers import own_tier
from broker.providers.registry import Provider

Found = Iterator[tuple[str, str]]
"""(what, the action it needs or nothing) for all that has no bound here."""

REQUEST_TOKENS, MESSAGE_TOKENS, TOOL_TOKENS = 64, 16, 64
"""Added to the bytes of the body: more than the few tokens that chat templates put around messages and tools."""


class Lists(NamedTuple):
    """What is known of a chat request, in its dialect."""

    harmless: frozenset[str]
    only: Mapping[str, tuple[JSONValue, ...]]
    """Fields that are harmless with these values alone."""
    field_actions: Mapping[str, str]
    message: frozenset[str]
    parts: Mapping[str, frozenset[str]]
    """Parts whose bytes bound their tokens, with their members."""
    part_actions: Mapping[str, str]
    tool_actions: Mapping[str, str]
    """By how the name of a tool that the provider runs begins."""
    tools: frozenset[str] = frozenset(["function", "custom"])
    """Those that the app itself runs."""


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
    "modalities": (["text"], None),
    "audio": (None,),
    "prediction": (None,),
    "web_search_options": (None,),
}
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
_TEXT = frozenset(["type", "text", "refusal"])
"""Of a part that says it is text: chat templates have been seen that take an image_url beside it for a picture."""
SEARCHES = re.compile(r"(?:^|[-/])search(?:[-:]|$)|deep-research", re.ASCII)
"""Models that search the web whether asked to or not: the provider bills each search, and no token price says so."""
OPENAI = Lists(
    harmless=_HARMLESS,
    only=_ONLY,
    field_actions={"web_search_options": "web_search", "audio": "audio", "modalities": "audio"},
    message=_MESSAGE_FIELDS,
    parts={"text": _TEXT, "refusal": _TEXT},
    part_actions={"image_url": "vision", "input_audio": "audio", "file": "files"},
    tool_actions={"web_search": "web_search"},
)


class Media(NamedTuple):
    """What a request has besides text, as it is read."""

    pictures: Pictures
    sounds: Sounds

    @property
    def actions(self) -> frozenset[str]:
        return self.pictures.actions | self.sounds.actions

    @property
    def names(self) -> tuple[Name, ...]:
        return self.pictures.names + self.sounds.names

    @property
    def tokens(self) -> int:
        return self.pictures.tokens + self.sounds.tokens

    @property
    def data(self) -> int:
        return self.pictures.data + self.sounds.data


_MAXIMA = ("max_tokens", "max_completion_tokens")
_LONGEST_MAXIMUM = len(b',"max_completion_tokens":9007199254740992')
_NOTHING: frozenset[str] = frozenset()


def read_chat(
    body: Body, size: int, provider: Provider, path: str, lists: Lists = OPENAI, *, added: int = 0
) -> Reading:
    """Reads a request body of `size` bytes; raises CallRefused when it is not valid.

    `added` are the tokens of texts that the provider puts in by itself.
    """
    kind, model = provider.kind, text_of(body, "model", 200)
    maximum = kind.maximum.encode()
    messages = _messages(body)
    media = (
        None if _is_plain(body, model, messages, lists) else Media(Pictures(provider, model), Sounds(provider, model))
    )
    needs = {} if media is None else dict(_needs(body, messages, media, lists))
    extra = _NOTHING if media is None else media.actions.union(action for action in needs.values() if action)
    tools = sum([len(objects_of(body, name)) for name in ("tools", "functions") if name in body])
    constants = added + REQUEST_TOKENS + MESSAGE_TOKENS * len(messages) + TOOL_TOKENS * tools
    if media:
        constants += media.tokens
    streamed = flag_of(body, "stream")
    sent = _sent(body, provider, streamed=streamed)
    # What is sent counts, too: 1e15 is four bytes of the app's and eighteen of ours.
    bound = (max(size, len(sent) + _LONGEST_MAXIMUM) - (media.data if media else 0)) * kind.tokens_a_byte + constants
    return Reading(
        model=model,
        action="chat",
        extra_actions=extra,
        streamed=streamed,
        wants_usage=wants_usage(body, streamed=streamed),
        own_output=_own_output(body),
        choices=_choices(body),
        covers_reasoning=kind.covers_reasoning,
        input_bound=media.pictures.bound(bound) if media else bound,
        unbounded=not_bounded(needs) if needs else "",
        render=lambda output_max: b'%b,"%b":%d}' % (sent[:-1], maximum, output_max),
        target=path,
        tier=own_tier(body, provider),
        most=media.sounds.most if media else NO_EXTRAS,
        names=media.names if media else (),
        recalls=media is not None and bool(media.sounds.recalled),
        kept=kept_said if media and media.sounds.speaks else None,
        is_whole=media is not None and media.pictures.documents > 0,
    )


def _sent(body: Body, provider: Provider, *, streamed: bool) -> bytes:
    """All of it but for its output maximum, which only the reservation knows; never empty, since it has a model."""
    sent = body.copy()
    for name in _MAXIMA:
        sent.pop(name, None)
    if provider.kind.tier:
        # Left out, a project's own setting would choose the tier, and with it the price.
        sent["service_tier"] = own_tier(body, provider) or provider.kind.tier
    sent.pop("stream_options", None)
    return rendered(sent | sent_options(body, streamed, provider))


def sent_options(body: Body, streamed: bool, provider: Provider) -> Body:
    """The usage of a stream is always asked for, where it does not come by itself."""
    if not streamed or not provider.kind.takes_stream_options:
        return {}
    options = body.get("stream_options")
    return {"stream_options": (options if isinstance(options, dict) else {}) | {"include_usage": True}}


def _is_plain(body: Body, model: str, messages: list[Body], lists: Lists) -> bool:
    """Whether it has nothing but harmless fields and texts, as most requests do; what has more is looked at closely."""
    return (
        body.keys() <= lists.harmless
        and body.get("tools") is None
        and False not in [m.keys() <= lists.message and isinstance(m.get("content"), str) for m in messages]
        and not SEARCHES.search(model)
    )


def _needs(body: Body, messages: list[Body], media: Media, lists: Lists) -> Found:
    """(what, the action it needs or nothing) for all that has no bound here."""
    if SEARCHES.search(media.pictures.model):
        yield "model", "web_search"
    yield from _fields(body, media, lists)
    for message in messages:
        for name in message.keys() - lists.message:
            if message[name] is not None and not (name == "audio" and media.sounds.take_said(message[name])):
                yield f"messages.{shown(name)}", ""
        for part in _parts(message.get("content")):
            yield from _part(part, media, lists)
    yield from media.sounds.bounded()
    for tool in objects_of(body, "tools"):
        kind = tool.get("type")
        if kind not in lists.tools:
            word = shown(kind) if isinstance(kind, str) else "type"
            action = next((needed for start, needed in lists.tool_actions.items() if word.startswith(start)), "")
            yield f"tools.{word}", action


def _fields(body: Body, media: Media, lists: Lists) -> Found:
    provider = media.pictures.provider
    kind = provider.kind
    only = {"service_tier": (*kind.tells_tier, own_tier(body, provider) or None), **lists.only}
    known = lists.harmless | kind.fields | provider.allow_fields
    for name, value in body.items():
        if name in only:
            if value not in only[name] and not (name in SPOKEN and media.sounds.take_field(name, value)):
                yield name, lists.field_actions.get(name, "")
        elif name not in known:
            yield shown(name), kind.field_actions.get(name, "")


_TAKEN: dict[str, Callable[[Body, Media], bool]] = {
    "image_url": lambda part, media: _is_taken(part, media.pictures),
    "input_audio": lambda part, media: media.sounds.take(part),
    "file": lambda part, media: part.keys() == {"type", "file"} and media.pictures.take_document(part["file"]),
}
"""Parts whose bytes say nothing of their tokens, where something else does."""


def _part(part: Body, media: Media, lists: Lists) -> Found:
    kind = part.get("type")
    if isinstance(kind, str) and kind in _TAKEN and _TAKEN[kind](part, media):
        return
    members = lists.parts.get(kind) if isinstance(kind, str) else None
    if members is None:
        word = shown(kind) if isinstance(kind, str) else "content"
        yield f"messages.content.{word}", lists.part_actions.get(word, "")
        return
    for name in part.keys() - members - media.pictures.provider.allow_fields:
        yield f"messages.content.{shown(name)}", lists.part_actions.get(name, "")
    if kind in part:
        # A part that is itself made of parts.
        for inner in _parts(part[kind]) if kind != "text" else []:
            yield from _part(inner, media, lists)


def _messages(body: Body) -> list[Body]:
    messages = objects_of(body, "messages")
    if not messages:
        raise refuse_request("messages must be an array of objects.")
    return messages


def _parts(content: JSONValue) -> list[Body]:
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
    first, second = [count_of(body, name, 2**53) for name in _MAXIMA]
    return second if first is None else first if second is None else min(first, second)


def _choices(body: Body) -> int:
    return count_of(body, "n", 128) or 1
