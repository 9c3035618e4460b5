"""What OpenAI's usage objects say: tokens, those of the cache, and those of sound."""

from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.providers.dialect import Body, counted


def read_usage(usage: JSONValue) -> tuple[Usage | None, bool]:
    """OpenAI's usage object, and whether there was one that cannot be true.

    A chat has at least one token of input: a zero there is a fault, not a gift.
    """
    if usage is None:
        return None, False
    if not isinstance(usage, dict):
        return None, True
    details = usage.get("prompt_tokens_details")
    inner = {} if details is None else details
    if not isinstance(inner, dict):
        return None, True
    prompt, completion = counted(usage.get("prompt_tokens")), counted(usage.get("completion_tokens"))
    # DeepSeek has a name of its own for it.
    cached = _counted_or_none(inner.get("cached_tokens", usage.get("prompt_cache_hit_tokens")))
    told = usage.get("completion_tokens_details")
    said = told.get("audio_tokens") if isinstance(told, dict) else None
    heard = inner.get("audio_tokens")
    read = Usage(
        input_tokens=prompt,
        output_tokens=completion + _thoughts_beside(usage, prompt + completion),
        cached_input_tokens=cached,
        cache_write_tokens=_counted_or_none(inner.get("cache_write_tokens")),
        extras=_sound(heard, said, prompt, cached) if heard or said else NO_EXTRAS,
    )
    if read.is_absurd() or read.input_tokens == 0:
        return None, True
    return read, False


def _sound(heard: JSONValue, said: JSONValue, prompt: int, cached: int) -> Extras:
    """Of what was cached it is not told what was sound: text comes first, which saves the least."""
    sound = _counted_or_none(heard)
    return Extras(
        input_audio_tokens=sound,
        cached_audio_tokens=max(0, cached - (prompt - sound)),
        output_audio_tokens=_counted_or_none(said),
    )


def all_sound(usage: JSONValue, most: Extras) -> JSONValue:
    """A usage that does not tell how much of it was sound, of a request with sound: all is that is not told to be text."""
    if not isinstance(usage, dict):
        return usage
    filled = dict(usage)
    for side, asked in (("prompt", most.input_audio_tokens), ("completion", most.output_audio_tokens)):
        details = usage.get(f"{side}_tokens_details")
        told = {} if details is None else details
        if asked and isinstance(told, dict) and told.get("audio_tokens") is None:
            beside = counted(usage.get(f"{side}_tokens")) - _counted_or_none(told.get("text_tokens"))
            filled[f"{side}_tokens_details"] = told | {"audio_tokens": beside}
    return filled


def _thoughts_beside(usage: Body, told: int) -> int:
    """What was thought, where it is no part of the completion: xAI's total says so."""
    details = usage.get("completion_tokens_details")
    thought = details.get("reasoning_tokens") if isinstance(details, dict) else None
    thoughts = _counted_or_none(thought)
    return thoughts if thoughts > 0 and usage.get("total_tokens") == told + thoughts else 0


def read_response_usage(usage: JSONValue) -> tuple[Usage | None, bool]:
    """The usage of a response, which has other names for the same figures."""
    if not isinstance(usage, dict):
        return None, usage is not None
    same = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    told = {name: usage.get(other) for name, other in same.items()}
    return read_usage(told | {"prompt_tokens_details": usage.get("input_tokens_details")})


def _counted_or_none(value: JSONValue) -> int:
    """A class of tokens that need not be told."""
    return 0 if value is None else counted(value)
