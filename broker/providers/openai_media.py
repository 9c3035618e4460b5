"""OpenAI's pictures and sound as endpoints: where their answers and streams say what was used."""

from math import ceil

from broker.core.extras import Extras
from broker.core.strict_json import JSONValue, NotStrict, loads
from broker.core.usage import Usage
from broker.providers.dialect import Body, Meter, Reading, Seen, counted
from broker.providers.form import Form, not_in_parts
from broker.providers.openai_audio import RECORDING, read_recording, read_speech
from broker.providers.openai_images import PICTURES, read_edit, read_generation
from broker.providers.registry import Provider
from broker.providers.sse import data_of

Read = tuple[Usage | None, bool]


class EventMeter:
    """The last event of these streams has a name of its own, and the usage of all."""

    def __init__(self, *endings: bytes, hears: bool = False) -> None:
        self.seen = Seen()
        self._hears = hears
        self._endings = endings

    def concerns(self, events: bytes) -> bool:
        return any(ending in events for ending in (*self._endings, b'"error"'))

    def read(self, event: bytes) -> bool:
        if self.seen.is_complete or not self.concerns(event):
            return True
        try:
            said = loads(data_of(event))
        except NotStrict:
            return True
        if isinstance(said, dict):
            self._take(said)
        return True

    def ending(self, error: bytes) -> bytes:
        return b"event: error\ndata: " + error + b"\n\n"

    def _take(self, said: Body) -> None:
        kind = said.get("type")
        if kind == "error" or said.get("error"):
            self.seen.failed = True
        elif isinstance(kind, str) and kind.encode() in self._endings:
            self.seen.usage, self.seen.is_absurd = read_media_usage(said.get("usage"), hears=self._hears)
            self.seen.is_complete = True


class ImageGenerations:
    """POST /v1/images/generations."""

    hears = False
    """Whether what goes in is sound and not pictures."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_generation(body, size, provider, path)

    def usage(self, answer: JSONValue) -> Read:
        return read_media_usage(answer.get("usage") if isinstance(answer, dict) else None, hears=self.hears)

    def meter(self, *, wants_usage: bool) -> Meter:
        return EventMeter(b"image_generation.completed", b"image_edit.completed")


class ImageEdits(ImageGenerations):
    """POST /v1/images/edits."""

    form = PICTURES

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        raise not_in_parts()

    def read_form(self, form: Form, size: int, provider: Provider, path: str) -> Reading:
        return read_edit(form, size, provider, path)


class Speech(ImageGenerations):
    """POST /v1/audio/speech, whose answer says nothing of what was used: the request says all of it."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return read_speech(body, size, provider, path)

    def meter(self, *, wants_usage: bool) -> Meter:
        return EventMeter(b"speech.audio.done")


class Recordings(ImageGenerations):
    """POST /v1/audio/transcriptions and /v1/audio/translations."""

    form = RECORDING
    hears = True

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        raise not_in_parts()

    def read_form(self, form: Form, size: int, provider: Provider, path: str) -> Reading:
        return read_recording(form, size, provider, path)

    def meter(self, *, wants_usage: bool) -> Meter:
        return EventMeter(b"transcript.text.done", hears=True)


def read_media_usage(usage: JSONValue, *, hears: bool) -> Read:
    """Tokens with their classes, or seconds; and whether there was something that cannot be true."""
    if usage is None:
        return None, False
    if not isinstance(usage, dict):
        return None, True
    read = _by_second(usage) if usage.get("type") == "duration" else _by_token(usage, hears=hears)
    return (None, True) if read is None or read.is_absurd() or read == Usage(0, 0) else (read, False)


def _by_second(usage: Body) -> Usage | None:
    seconds = usage.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 2**31:
        return None
    return Usage(0, 0, extras=Extras(seconds=ceil(seconds)))


def _by_token(usage: Body, *, hears: bool) -> Usage | None:
    """Input that no class is told of is of the dearest: sound, or pictures."""
    read, written = counted(usage.get("input_tokens")), counted(usage.get("output_tokens"))
    details = usage.get("input_tokens_details", usage.get("input_token_details"))
    if not isinstance(details, dict | None) or read <= 0 or written < 0:
        return None
    told = {} if details is None else details
    text, cached = (0 if told.get(name) is None else counted(told[name]) for name in ("text_tokens", "cached_tokens"))
    if min(text, cached) < 0 or text > read or cached > read:
        return None
    named = told.get("audio_tokens" if hears else "image_tokens")
    beside = read - text if named is None else counted(named)
    kept = _kept_of(told, "audio_tokens" if hears else "image_tokens", cached, read - beside)
    if hears:
        return Usage(read, written, cached, extras=Extras(input_audio_tokens=beside, cached_audio_tokens=kept))
    return Usage(read, written, cached, extras=Extras(input_image_tokens=beside, cached_image_tokens=kept))


def _kept_of(told: Body, name: str, cached: int, text: int) -> int:
    """What of this class was cached; where that is not told, text comes first, which saves the least."""
    split = told.get("cached_tokens_details")
    if isinstance(split, dict) and split.get(name) is not None:
        return counted(split[name])
    return max(0, cached - text)
