"""Gemini's generateContent as a request: an allow-list of fields, and the most that they can use."""

import re
from collections.abc import Iterator

from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import JSONValue
from broker.prices.book import output_limit
from broker.providers.body import count_of, counting, not_bounded, objects_of, rendered, shown
from broker.providers.dialect import Body, Reading, refuse_request
from broker.providers.google_media import Media
from broker.providers.google_search import SEARCH_TOOLS, bounded, read_at_most, why
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.registry import Provider

REQUEST_TOKENS, CONTENT_TOKENS, TOOL_TOKENS = 64, 16, 64
TOOLS_TOKENS = 1_024
"""What any functions add to the prompt; Google publishes no figure."""

SSE = "?alt=sse"

Found = Iterator[tuple[str, str]]
"""(what, the action it needs or nothing) for all that has no bound here."""

_HARMLESS = frozenset(
    ["contents", "tools", "toolConfig", "safetySettings", "systemInstruction", "generationConfig", "labels", "model"]
)
_ONLY: dict[str, tuple[JSONValue, ...]] = {
    "cachedContent": (None, ""),
    "serviceTier": (None,),
    "store": (None, False),
}
"""Fields that are harmless with these values alone."""
_CONFIG = frozenset(
    [
        "temperature", "topP", "topK", "stopSequences", "presencePenalty", "frequencyPenalty", "seed", "responseMimeType",
        "responseSchema", "responseJsonSchema", "responseLogprobs", "logprobs", "thinkingConfig", "candidateCount",
        "maxOutputTokens", "enableEnhancedCivicAnswers", "mediaResolution",
    ]
)  # fmt: skip
_CONFIG_ACTIONS = {"speechConfig": "audio", "imageConfig": "images", "responseModalities": "images"}
_PART = frozenset(
    ["text", "thought", "thoughtSignature", "functionCall", "executableCode", "codeExecutionResult", "mediaResolution"]
)
"""The resolution of a part changes no bound: that of a picture is the one of the highest."""
_PART_ACTIONS = {"fileData": "files", "toolCall": "web_search", "toolResponse": "web_search"}
_TOOL_ACTIONS = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "googleMaps": "web_search",
    "urlContext": "web_search",
    "codeExecution": "code_execution",
    "fileSearch": "files",
    "computerUse": "vision",
}
_MEDIA = {"image": "vision", "video": "vision", "audio": "audio"}
_SNAKE = re.compile(r"[a-z]+(?:_[a-z0-9]+)+", re.ASCII)
_DRAWS = re.compile(r"(?:^|-)(?:image|banana)(?:-|$)", re.ASCII)
"""Models that answer with pictures whether asked to or not."""
DRAWN = ("gemini-2.5-flash-image",)
"""Those whose pictures have a price by token, and whose output has a listed most."""
_MODALITIES = ("TEXT", "text", "IMAGE", "image")
_MOST = 2**31 - 1


def read_generate(body: Body, size: int, provider: Provider, path: str, model: str) -> Reading:
    """Reads a request body of `size` bytes; raises CallRefused when it is not valid."""
    asked = spelt(body)
    streamed = path.endswith(SSE)
    config = _config_of(asked)
    choices = count_of(config, "candidateCount", 8) or 1
    if streamed and choices > 1:
        raise refuse_request("candidateCount does not go with a stream here.")
    if asked.get("model") not in (None, model, f"models/{model}"):
        raise refuse_request("model must be that of the path.")
    media = Media(provider, model)
    unbounded, bound = _judged(asked, media)
    own = own_tools(asked, media)
    sent = rendered({name: value for name, value in asked.items() if name not in ("model", "generationConfig")})
    rest = rendered({name: value for name, value in config.items() if name != "maxOutputTokens"})
    return Reading(
        model=model,
        action="chat",
        extra_actions=_actions(unbounded, media, own),
        streamed=streamed,
        # Every event may have the usage, and none can be left out.
        wants_usage=True,
        own_output=count_of(config, "maxOutputTokens", _MOST),
        choices=choices,
        # Of each step between its tools a model may give as much as it can.
        covers_reasoning=not own and _covers_thoughts(model, config, provider),
        input_bound=read_at_most(model)
        if own or media.documents
        else (max(size, len(sent) + len(rest) + 60) - media.data) * NORMALISING_FACTOR + bound,
        unbounded=not_bounded(unbounded),
        render=lambda output_max: _put_together(sent, rest, output_max),
        target=path,
        most=_most(media, own),
        names=media.all_names,
    )


def read_count(body: Body, provider: Provider, path: str, model: str) -> Reading:
    """countTokens, which runs no model and costs nothing."""
    outer = spelt(body)
    inner = outer.get("generateContentRequest")
    asked = spelt(inner) if isinstance(inner, dict) else outer
    media = Media(provider, model)
    unbounded, _ = _judged(asked, media)
    actions = _actions(unbounded, media, own_tools(asked, media))
    reading = counting(body, model, path, extra_actions=actions, unbounded=not_bounded(unbounded))
    return reading._replace(names=media.all_names)


def own_tools(asked: Body, media: Media) -> frozenset[str]:
    """Those of Google's own that it may use, and that have a bound."""
    named = [item for tool in objects_of(asked, "tools") for item in spelt(tool).items()]
    return frozenset(name for name, tool in named if _is_taken(name, tool, media))


def _is_taken(name: str, tool: JSONValue, media: Media) -> bool:
    return bounded(name, spelt(tool) if isinstance(tool, dict) else tool, media.model, media.provider)


def _actions(unbounded: dict[str, str], media: Media, own: frozenset[str]) -> frozenset[str]:
    searching = frozenset(["web_search"]) if own else frozenset()
    drawing = frozenset(["images"]) if _DRAWS.search(media.model) else frozenset()
    return (media.all_actions | searching | drawing).union(action for action in unbounded.values() if action)


def _most(media: Media, own: frozenset[str]) -> Extras:
    if not media.most_heard and not own & SEARCH_TOOLS:
        return NO_EXTRAS
    return Extras(input_audio_tokens=media.most_heard, searches=1 if own & SEARCH_TOOLS else 0)


def _put_together(sent: bytes, config: bytes, output_max: int) -> bytes:
    comma = b"" if config == b"{}" else b","
    return b'%b,"generationConfig":%b%b"maxOutputTokens":%d}}' % (sent[:-1], config[:-1], comma, output_max)


def _covers_thoughts(model: str, config: Body, provider: Provider) -> bool:
    """Google counts thoughts in maxOutputTokens: a model that thinks too long ends with MAX_TOKENS and no text.

    Of a model that draws nothing says that its pictures are counted in it: all that it can give is held.
    """
    if _DRAWS.search(model):
        return False
    thinking = config.get("thinkingConfig")
    thinks_nothing = isinstance(thinking, dict) and spelt(thinking).get("thinkingBudget") == 0
    return thinks_nothing or (provider.name == "google" and model.startswith("gemini-"))


def spelt(body: Body) -> Body:
    """Google takes names in camelCase and in snake_case; two spellings of one name at once are refused."""
    read: Body = {}
    for name, value in body.items():
        known = _camel(name) if _SNAKE.fullmatch(name) else name
        if known in read:
            raise refuse_request(f"{shown(known)} stands in two spellings.")
        read[known] = value
    return read


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _config_of(asked: Body) -> Body:
    config = asked.get("generationConfig")
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise refuse_request("generationConfig must be an object.")
    return spelt(config)


def _judged(asked: Body, media: Media) -> tuple[dict[str, str], int]:
    """What has no bound, and the tokens that are added to those of the body's own bytes."""
    contents, tools = [spelt(each) for each in objects_of(asked, "contents")], objects_of(asked, "tools")
    if not contents:
        raise refuse_request("contents must be an array of objects.")
    system = asked.get("systemInstruction")
    if isinstance(system, dict):
        contents.append(spelt(system))
    elif system is not None:
        raise refuse_request("systemInstruction must be an object.")
    named, config = [spelt(tool) for tool in tools], _config_of(asked)
    resolution = config.get("mediaResolution")
    found = dict(
        [
            *_fields(asked, media.provider),
            *_settings(config, draws=_is_drawn(media)),
            *([("model", "images")] if _DRAWS.search(media.model) and not _is_drawn(media) else ()),
            *(each for content in contents for each in needs_of_content(content, media, resolution)),
            *(each for tool in named for each in _tool(tool, media)),
        ]
    )
    functions = sum(len(objects_of(tool, "functionDeclarations")) for tool in named)
    bound = REQUEST_TOKENS + CONTENT_TOKENS * len(contents) + TOOL_TOKENS * functions + media.tokens
    return found, bound + (TOOLS_TOKENS if tools else 0)


def _fields(asked: Body, provider: Provider) -> Found:
    for name, value in asked.items():
        if name in _ONLY:
            if value not in _ONLY[name]:
                yield name, "files" if name == "cachedContent" else ""
        elif name not in _HARMLESS and name not in provider.allow_fields:
            yield shown(name), ""


def _is_drawn(media: Media) -> bool:
    """Whether what the model gives, pictures and all, has a most that is known."""
    known = media.provider.name == "google" and media.model in DRAWN
    return known and output_limit("google", media.model) is not None


def _settings(config: Body, *, draws: bool) -> Found:
    for name, value in config.items():
        if name == "responseModalities" and _is_usual(value, draws=draws):
            continue
        if name == "imageConfig" and draws and isinstance(value, dict) and spelt(value).keys() <= {"aspectRatio"}:
            continue
        if name not in _CONFIG:
            yield f"generationConfig.{shown(name)}", _CONFIG_ACTIONS.get(name, "")


def _is_usual(modalities: JSONValue, *, draws: bool) -> bool:
    if modalities is None:
        return True
    known = _MODALITIES if draws else _MODALITIES[:2]
    return isinstance(modalities, list) and all(each in known for each in modalities)


def needs_of_content(content: Body, media: Media, resolution: JSONValue = None) -> Found:
    """`resolution` is the one that the request asks for where a part says nothing."""
    yield from ((f"contents.{shown(name)}", "") for name in content.keys() - {"role", "parts"})
    for part in objects_of(content, "parts"):
        yield from _part(spelt(part), media, resolution)


def _part(part: Body, media: Media, resolution: JSONValue) -> Found:
    for name, value in part.items():
        if name == "functionResponse" and isinstance(value, dict):
            for inner in objects_of(value, "parts"):
                yield from _part(spelt(inner), media, resolution)
        elif name == "inlineData":
            yield from _inline(spelt(value) if isinstance(value, dict) else {}, media, resolution)
        elif name == "fileData" and _is_kept(value, media, resolution):
            continue
        elif name not in _PART:
            yield f"parts.{shown(name)}", _PART_ACTIONS.get(name, "")


def _is_kept(value: JSONValue, media: Media, resolution: JSONValue) -> bool:
    held = spelt(value) if isinstance(value, dict) else {}
    if not held.keys() <= {"fileUri", "mimeType", "displayName"}:
        return False
    uri, kind = held.get("fileUri"), held.get("mimeType")
    return media.take_kept(uri, kind, resolution) or media.take_kept_document(uri, kind)


def _inline(held: Body, media: Media, resolution: JSONValue) -> Found:
    kind, data = held.get("mimeType"), held.get("data")
    is_known = held.keys() <= {"mimeType", "data", "displayName"}
    if is_known and (
        media.take_data(kind, data, resolution) or media.take_sound(kind, data) or media.take_document(held)
    ):
        return
    word = kind.partition("/")[0] if isinstance(kind, str) else ""
    yield f"parts.{shown(word) or 'inlineData'}", _MEDIA.get(word, "files")


def _tool(tool: Body, media: Media) -> Found:
    for name in tool.keys() - {"functionDeclarations"}:
        if not _is_taken(name, tool[name], media):
            yield f"tools.{shown(name)}{why(name, media.model)}", _TOOL_ACTIONS.get(name, "")
