"""OpenAI's audio endpoints as requests: a text to be spoken, a recording to be written down, and what they can cost.

Context and output of the transcribing models: OpenAI's pages of gpt-4o-transcribe and gpt-4o-mini-transcribe, November 2026.
"""

import re

from broker.core.extras import Extras
from broker.providers.body import flag_of, not_bounded, rendered, shown, text_of
from broker.providers.dialect import Body, Reading, refuse_request
from broker.providers.form import Form, FormRule, rendered_form
from broker.providers.registry import Provider
from broker.providers.sound import most_seconds

_SPEECH = frozenset(["model", "input", "voice", "instructions", "response_format", "speed", "stream_format"])
_SPEAKING_BY_CHARACTER = re.compile(r"tts-1(?:-hd)?(?:-\d{4})?", re.ASCII)
_SOUNDS: dict[str, frozenset[bytes]] = {
    "mp3": frozenset([b"audio/mpeg", b"audio/mp3"]),
    "opus": frozenset([b"audio/opus", b"audio/ogg"]),
    "aac": frozenset([b"audio/aac"]),
    "flac": frozenset([b"audio/flac", b"audio/x-flac"]),
    "wav": frozenset([b"audio/wav", b"audio/x-wav"]),
    "pcm": frozenset([b"audio/pcm", b"application/octet-stream"]),
}

_TRANSCRIPTION = frozenset(
    [
        *(
            "model",
            "language",
            "prompt",
            "response_format",
            "temperature",
            "timestamp_granularities",
            "include",
            "stream",
        ),
        "chunking_strategy",
    ]
)
_TRANSLATION = frozenset(["model", "prompt", "response_format", "temperature"])
_HEARING = re.compile(r"gpt-4o(?:-mini)?-transcribe(?:-\d{4}-\d{2}-\d{2})?", re.ASCII)
CONTEXT, MOST_WRITTEN = 16_000, 2_000
_TEXTS: dict[str, frozenset[bytes]] = {
    "json": frozenset(),
    "verbose_json": frozenset(),
    "text": frozenset([b"text/plain"]),
    "srt": frozenset([b"text/plain", b"application/x-subrip"]),
    "vtt": frozenset([b"text/plain", b"text/vtt"]),
}
RECORDING = FormRule(
    files={"file": 1}, lists=frozenset(["timestamp_granularities", "include"]), flags=frozenset(["stream"])
)


def read_speech(body: Body, size: int, provider: Provider, path: str) -> Reading:
    """POST /v1/audio/speech: each character of the text is paid for, as Unicode counts them."""
    model, spoken = text_of(body, "model", 200), text_of(body, "input", 2**20)
    instructions = body.get("instructions")
    if not isinstance(instructions, str | None):
        raise refuse_request("instructions must be a string.")
    unbounded = [shown(name) for name in body.keys() - _SPEECH - provider.allow_fields]
    by_character = _SPEAKING_BY_CHARACTER.fullmatch(model) is not None
    # Models paid for by what they say have no maximum that could be sent, and none is published.
    unbounded += [] if by_character else ["model"]
    if body.get("stream_format") not in (None, "audio"):
        unbounded.append("stream_format")
    sent = rendered(body)
    return _reading(
        model, path, sent, b"application/json",
        streamed=False, units=by_character, unbounded=not_bounded(unbounded),
        gives=_one_of(_SOUNDS, body.get("response_format"), "mp3"),
        most=Extras(characters=len(spoken) + len(instructions or "")) if by_character else Extras(),
    )  # fmt: skip


def read_recording(form: Form, size: int, provider: Provider, path: str) -> Reading:
    """POST /v1/audio/transcriptions and /v1/audio/translations: by the second, or by the whole context of the model."""
    body = form.body
    model, recordings = text_of(body, "model", 200), form.files.get("file", ())
    if len(recordings) != 1:
        raise refuse_request("file must be a recording.")
    known = _TRANSLATION if path.endswith("translations") else _TRANSCRIPTION
    unbounded = [shown(name) for name in body.keys() - known - provider.allow_fields]
    unbounded += [shown(name) for name in form.files.keys() - {"file"}]
    if body.get("chunking_strategy") is not None:
        # Each piece would have a context of its own.
        unbounded.append("chunking_strategy")
    by_token = _HEARING.fullmatch(model) is not None
    seconds = None if by_token else most_seconds(recordings[0].data)
    if not by_token and seconds is None:
        unbounded.append("file")
    content_type, sent = rendered_form(body, form.files)
    return _reading(
        model, path, sent, content_type,
        streamed=by_token and flag_of(body, "stream"), units=not by_token, unbounded=not_bounded(unbounded),
        gives=_one_of(_TEXTS, body.get("response_format"), "json"),
        most=Extras(input_audio_tokens=CONTEXT) if by_token else Extras(seconds=seconds or 0),
    )  # fmt: skip


def _one_of(known: dict[str, frozenset[bytes]], asked: object, usual: str) -> frozenset[bytes]:
    named = usual if asked is None else asked
    if not isinstance(named, str) or named not in known:
        raise refuse_request(f"response_format must be one of {', '.join(known)}.")
    return known[named]


def _reading(
    model: str, path: str, sent: bytes, content_type: bytes,
    *, streamed: bool, units: bool, unbounded: str, gives: frozenset[bytes], most: Extras,
) -> Reading:  # fmt: skip
    return Reading(
        model=model, action="audio", extra_actions=frozenset(), streamed=streamed,
        # The event with the usage is part of every stream here.
        wants_usage=True, own_output=0 if units else None, choices=1, covers_reasoning=False,
        input_bound=most.of_input, unbounded=unbounded, render=lambda _: sent, target=path, most=most, units=units,
        fixed_output=0 if units else MOST_WRITTEN, content_type=content_type, gives=gives,
    )  # fmt: skip
