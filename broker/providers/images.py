"""How many tokens a picture in a request can be at most, for the models of which their provider publishes a rule.

OpenAI: "Images and vision", as of September 2026. Tiles: a picture is fitted into 2048 by 2048 pixels with a short side of
768, so that it has no more than 8 tiles of 512. Patches of 32 pixels: as many as the model's budget, times its multiplier;
models that keep a picture's own size refuse more than 30,000. Anthropic: "Vision", as of September 2026: a token for each
28 by 28 pixels, after a picture is made smaller until it has 1568 of them, or 4784 from Claude 4.7 on; before that it was
width × height / 750 and about 1600. Google: "Media resolution", as of September 2026: 2240 at the most for Gemini 3, and
for Gemini 2.5 an exact figure at a low or medium resolution only.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from broker.core.counted import counted
from broker.core.strict_json import JSONValue
from broker.prices.book import context_limit
from broker.providers.dialect import Name, refuse_request
from broker.providers.registry import Provider

AROUND = 16
"""More than the few tokens that mark where a picture begins and ends."""

MOST_TILES = 8
PATCHES, PATCHES_OF_OWN_SIZE = 6_144, 30_000
STANDARD_TOKENS, HIGH_TOKENS = 1_600, 4_784
GEMINI_3_TOKENS, GEMINI_2_TOKENS = 2_240, 258


class Rule(NamedTuple):
    """Tokens of one picture."""

    most: int | None
    low: int
    """The most where the request asks for little detail."""


def _tiles(base: int, tile: int) -> Rule:
    return Rule(base + MOST_TILES * tile, base)


def _patches(budget: int, hundredths: int) -> Rule:
    tokens = -(-budget * hundredths // 100)
    return Rule(tokens, tokens)


_OPENAI: tuple[tuple[str, Rule], ...] = (
    (r"gpt-4o|gpt-4\.1|gpt-4\.5-preview", _tiles(85, 170)),
    (r"gpt-4o-mini", _tiles(2_833, 5_667)),
    (r"gpt-5|gpt-5-chat-latest", _tiles(70, 140)),
    (r"o1|o1-pro|o3", _tiles(75, 150)),
    (r"gpt-4\.1-mini|gpt-5-mini|gpt-5\.4-mini", _patches(PATCHES, 162)),
    (r"gpt-4\.1-nano|gpt-5-nano|gpt-5\.4-nano", _patches(PATCHES, 246)),
    (r"o4-mini", _patches(PATCHES, 172)),
    (r"gpt-5\.6-(?:luna|sol|terra)|gpt-6-(?:astra|luna|sol)", _patches(PATCHES_OF_OWN_SIZE, 120)),
)
_ANTHROPIC = (
    (
        r"claude-(?:3-(?:[57]-)?(?:haiku|sonnet|opus)|(?:opus|sonnet)-4(?:-[0156])?|haiku-4-5)(?:-latest)?",
        Rule(STANDARD_TOKENS, STANDARD_TOKENS),
    ),
    (
        r"claude-(?:opus-4-[78]|(?:opus|sonnet)-5(?:-5)?|haiku-5-5|fable-5(?:-[12])?|mythos-5(?:-[12])?)",
        Rule(HIGH_TOKENS, HIGH_TOKENS),
    ),
)
_GOOGLE = (
    (r"gemini-3(?:\.[1-8])?-(?:pro|flash|flash-lite)(?:-preview)?", Rule(GEMINI_3_TOKENS, GEMINI_3_TOKENS)),
    (r"gemini-2\.5-(?:pro|flash|flash-lite)", Rule(None, GEMINI_2_TOKENS)),
)
_DATE = r"(?:-\d{4}-\d{2}-\d{2}|-\d{8})?"


class Known(NamedTuple):
    """What a provider publishes of pictures."""

    rules: tuple[tuple[re.Pattern[str], Rule], ...]
    most: int
    """How many a request may have."""


def _known(rules: tuple[tuple[str, Rule], ...], most: int) -> Known:
    return Known(tuple((re.compile(f"(?:{names}){_DATE}", re.ASCII), rule) for names, rule in rules), most)


_PROVIDERS = {"openai": _known(_OPENAI, 1_500), "anthropic": _known(_ANTHROPIC, 600), "google": _known(_GOOGLE, 3_600)}

_KINDS = frozenset(["image/png", "image/jpeg", "image/webp", "image/gif", "image/heic", "image/heif"])
_DATA_URL = re.compile(r"data:(image/[a-z]{3,4});base64,", re.ASCII)
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_"
_LITTLE = ("low", "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM")
_DOCUMENT = frozenset(["filename", "file_data", "file_id", "file_url", "detail"])
_DETAILS = (None, "auto", "low", "high", "original")


_SIGNATURE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP", re.DOTALL)
PICTURE, DOCUMENT = "picture", "document"
"""What a kept file may be known to be."""


def facts_of(data: bytes) -> str:
    """JSON: what is to be remembered of a file that a provider keeps; a picture is one by its first bytes."""
    return f'{{"{PICTURE}":true}}' if _SIGNATURE.match(data) else "{}"


@dataclass(slots=True)
class Pictures:
    """Those of one request: what they can cost beside its text, and how much of it they are."""

    provider: Provider
    model: str
    count: int = 0
    tokens: int = 0
    data: int = 0
    """Bytes of pictures that stand in the body themselves; their tokens have nothing to do with their number."""
    files: list[str] = field(default_factory=list)
    """Ids of those that the provider keeps."""
    documents: int = 0
    """Files that are read as what they are."""

    @property
    def actions(self) -> frozenset[str]:
        seen = frozenset(["vision"]) if self.count else frozenset()
        return seen | {"files"} if self.files or self.documents else seen

    def bound(self, own: int) -> int:
        """The input of a request that has `own` tokens besides: of documents, all that the model reads at once."""
        return (context_limit(self.provider.name, self.model) or 0) if self.documents else own

    @property
    def names(self) -> tuple[Name, ...]:
        return tuple(Name("file", file_id) for file_id in dict.fromkeys(self.files))

    def take_file(self, file_id: JSONValue, detail: JSONValue) -> bool:
        """As `take_data`, of one that the provider keeps; that it is a picture was seen when it was uploaded."""
        if not isinstance(file_id, str) or detail not in _DETAILS or not self._take(detail, 0):
            return False
        self.files.append(file_id)
        return True

    def take_document(self, told: JSONValue) -> bool:
        """A file at OpenAI, of which nobody says how many tokens it is: no model reads more than its context, if that is known."""
        if self.provider.name != "openai" or context_limit(self.provider.name, self.model) is None:
            return False
        if not isinstance(told, dict) or not told.keys() <= _DOCUMENT or told.get("detail") not in _DETAILS:
            return False
        ways = {name: told[name] for name in ("file_data", "file_id", "file_url") if told.get(name) is not None}
        if len(ways) != 1 or not all(isinstance(value, str) for value in (*ways.values(), told.get("filename", ""))):
            return False
        self.documents += 1
        self.files += [str(ways["file_id"])] if "file_id" in ways else []
        return True

    def take_url(self, url: JSONValue, detail: JSONValue) -> bool:
        """As `take_data`, of the address of a picture or a data: URL."""
        if not isinstance(url, str) or detail not in _DETAILS:
            return False
        if url.startswith("https://"):
            return self._take(detail, 0)
        inline = _DATA_URL.match(url)
        return inline is not None and self.take_data(inline[1], url[inline.end() :], detail)

    def take_data(self, kind: JSONValue, data: JSONValue, detail: JSONValue) -> bool:
        """Counts a picture in base64; False where it has no bound, so that nothing of it may be sent."""
        if kind not in _KINDS or not isinstance(data, str) or not data.isascii():
            return False
        return not data.encode().translate(None, _BASE64) and self._take(detail, len(data))

    def _take(self, detail: JSONValue, data: int) -> bool:
        known = _PROVIDERS.get(self.provider.name)
        rule = known and next((rule for names, rule in known.rules if names.fullmatch(self.model)), None)
        tokens = rule and (rule.low if detail in _LITTLE else rule.most)
        if tokens is None or known is None:
            return False
        if self.count == known.most:
            raise refuse_request(f"A request has at most {counted(known.most, 'picture')} here.")
        self.count, self.tokens, self.data = self.count + 1, self.tokens + tokens + AROUND, self.data + data
        return True
