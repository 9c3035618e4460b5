"""Gemini's usageMetadata: what was read, cached and given, by what it was of, where that has a price of its own.

Sound that goes in, and pictures and sound that come out, are paid for apart; text, pictures, video and documents that go in
have one price ("Gemini Developer API pricing", as of November 2026). Where counts contradict each other, or say nothing of a
part, the dearer reading is booked.
"""

from typing import NamedTuple

from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.providers.dialect import Body, counted

_PLAIN = frozenset(["TEXT", "IMAGE", "VIDEO", "DOCUMENT", "MODALITY_UNSPECIFIED"])
_KINDS = _PLAIN | {"AUDIO"}
_USUAL_TRAFFIC = (None, "TRAFFIC_TYPE_UNSPECIFIED", "ON_DEMAND", "ON_DEMAND_FLEX", "ON_DEMAND_OFFPEAK")
_USUAL_TIERS = (None, "unspecified", "standard", "flex")
"""Where it was run at the standard price, or a lower one."""


class Apart(NamedTuple):
    """What a request asks for that is paid for apart: sound goes in, pictures may come out, the web may be searched."""

    hears: bool = False
    draws: bool = False
    searches: bool = False


NOTHING_APART = Apart()


class _Absurd(ValueError):
    """A count that is none."""


class _Counts(NamedTuple):
    """Of one side: all of it, and what of it is of a kind with a price of its own."""

    all: int
    audio: int = 0
    images: int = 0


def read_usage(usage: JSONValue, apart: Apart = NOTHING_APART) -> tuple[Usage | None, bool]:
    """The usage, and whether there was one that cannot be true: thoughts are output, a tool's results input."""
    if usage is None:
        return None, False
    if not isinstance(usage, dict) or _is_dearer(usage):
        return None, True
    try:
        read = _read(usage, apart)
    except _Absurd:
        return None, True
    return (None, True) if read.is_absurd() or read.input_tokens == 0 else (read, False)


def _read(usage: Body, apart: Apart) -> Usage:
    _count(usage, "promptTokenCount", needed=True)
    prompt = _counts(usage, "prompt", hears=apart.hears)
    tools = _counts(usage, "toolUsePrompt", hears=apart.hears)
    given = _counts(usage, "candidates", draws=apart.draws)
    if given.audio:
        raise _Absurd  # no request that is forwarded asks for sound
    thoughts = _count(usage, "thoughtsTokenCount")
    kept = _counts(usage, "cache", "cachedContentTokenCount")
    told = prompt.all + tools.all + given.all + thoughts
    # What the total counts beside all of them is taken for what costs most.
    beside = max(0, _count(usage, "totalTokenCount") - told)
    read, audio = prompt.all + tools.all, prompt.audio + tools.audio
    # Where it is not said which tokens the cache had, it had as many of text as it can have: those save less.
    heard_before = max(min(kept.audio, audio), kept.all - (read - audio))
    images = given.images + (beside if apart.draws else 0)
    extras = Extras(
        input_audio_tokens=audio, cached_audio_tokens=heard_before, output_image_tokens=images,
    ) if audio or images else NO_EXTRAS  # fmt: skip
    return Usage(read, given.all + thoughts + beside, kept.all, extras=extras)


def _counts(usage: Body, side: str, total: str = "", *, hears: bool = False, draws: bool = False) -> _Counts:
    """Of two counts of all, the greater; what no detail is told of is of the dearest kind that it may be of."""
    stated = _count(usage, total or f"{side}TokenCount")
    details = usage.get(f"{side}TokensDetails")
    if details is None:
        return _Counts(stated, audio=stated if hears else 0, images=stated if draws else 0)
    by_kind = _by_kind(details)
    together = sum(by_kind.values())
    whole = min(stated, together) if side == "cache" else max(stated, together)
    rest = whole - together if side != "cache" else 0
    audio = by_kind.get("AUDIO", 0) + (rest if hears else 0)
    images = (by_kind.get("IMAGE", 0) if side == "candidates" else 0) + (rest if draws else 0)
    return _Counts(whole, min(audio, whole), min(images, whole))


def _by_kind(details: JSONValue) -> dict[str, int]:
    if not isinstance(details, list):
        raise _Absurd
    found: dict[str, int] = {}
    for each in details:
        kind = each.get("modality", "MODALITY_UNSPECIFIED") if isinstance(each, dict) else None
        count = _count(each, "tokenCount") if isinstance(each, dict) else -1
        if not isinstance(kind, str) or kind not in _KINDS or count < 0:
            raise _Absurd
        found[kind] = found.get(kind, 0) + count
    return found


def _count(holder: Body, name: str, *, needed: bool = False) -> int:
    value = holder.get(name)
    if value is None and not needed:
        return 0
    count = counted(value)
    if count < 0:
        raise _Absurd
    return count


def _is_dearer(usage: Body) -> bool:
    """Whether it was run at a price that was not asked for: the bound is booked then."""
    tier = usage.get("serviceTier")
    told = tier.lower() if isinstance(tier, str) else tier
    return usage.get("trafficType") not in _USUAL_TRAFFIC or told not in _USUAL_TIERS


def grounded(usage: Usage | None, *, is_searched: bool) -> Usage | None:
    """With the search that is paid for, once for a prompt."""
    if usage is None or not is_searched:
        return usage
    return usage._replace(extras=usage.extras._replace(searches=1))
