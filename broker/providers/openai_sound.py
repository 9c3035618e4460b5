"""Sound in a chat at OpenAI: recordings that go in, and speech that comes out.

"Managing costs", as of November 2026: 100 ms of sound are a token in a message of the user, 50 ms in one of the assistant; the
dearer is taken. The pages of gpt-audio, gpt-audio-1.5 and gpt-audio-mini, as of November 2026: a context of 128,000 tokens.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from dataclasses import dataclass, field

from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import JSONValue, NotStrict, loads
from broker.core.usage import Usage
from broker.providers.dialect import Body, Kept, Meter, Name, refuse_request
from broker.providers.registry import Provider
from broker.providers.sound import MOST_FRAMES, most_seconds
from broker.providers.sse import data_of

CONTEXT, TOKENS_A_SECOND = 128_000, 20
AROUND = 16
"""More than the few tokens that mark where a recording begins and ends."""
MOST_RECORDINGS = 100

SPOKEN = ("modalities", "audio")
"""The fields that ask for speech."""
SAID_ID = re.compile(r"audio_[A-Za-z0-9_-]{1,128}", re.ASCII)
KEPT_FOR = 86_400
"""Seconds: as long as it is looked for here, which is longer than OpenAI has it (`expires_at`)."""
_MODELS = re.compile(r"gpt-audio(?:-1\.5|-mini)?(?:-\d{4}-\d{2}-\d{2})?", re.ASCII)
_WORDS = (["audio"], ["text", "audio"], ["audio", "text"])
_FORMATS = ("wav", "aac", "mp3", "flac", "opus", "pcm16")


@dataclass(slots=True)
class Sounds:
    """Those of one request: what they can cost beside its text, and how much of it they are."""

    provider: Provider
    model: str
    recordings: list[bytes] = field(default_factory=list)
    data: int = 0
    """Bytes of recordings that stand in the body; their tokens have nothing to do with their number."""
    tokens: int = 0
    speaks: bool = False
    """Whether it asks for sound."""
    recalled: list[str] = field(default_factory=list)
    """Ids of what was said in earlier answers, which are heard again."""

    @property
    def actions(self) -> frozenset[str]:
        return frozenset(["audio"]) if self.recordings or self.speaks or self.recalled else frozenset()

    @property
    def names(self) -> tuple[Name, ...]:
        return tuple(Name("response", said) for said in self.recalled)

    @property
    def most(self) -> Extras:
        """What is spoken is part of the output, whose maximum bounds it: here it is only said that some of it may be."""
        if not self.actions:
            return NO_EXTRAS
        return Extras(input_audio_tokens=self.tokens, output_audio_tokens=int(self.speaks))

    @property
    def is_known(self) -> bool:
        return self.provider.name == "openai" and _MODELS.fullmatch(self.model) is not None

    def take_field(self, name: str, value: JSONValue) -> bool:
        """`modalities` and `audio`, which ask for speech; False where what they ask for has no bound."""
        if not self.is_known:
            return False
        taken = value in _WORDS if name == SPOKEN[0] else _is_voice(value)
        self.speaks = self.speaks or taken
        return taken

    def take(self, part: Body) -> bool:
        """Counts a recording in base64; how long it lasts is seen when all are there."""
        audio = part.get("input_audio")
        if not self.is_known or not isinstance(audio, dict) or part.keys() != {"type", "input_audio"}:
            return False
        data = audio.get("data")
        if audio.keys() != {"data", "format"} or not isinstance(data, str):
            return False
        recording = _decoded(data)
        if _format_of(recording) != audio["format"]:
            return False
        if len(self.recordings) == MOST_RECORDINGS:
            raise refuse_request(f"A request has at most {MOST_RECORDINGS} recordings here.")
        self.recordings.append(recording)
        self.data += len(data)
        return True

    def take_said(self, value: JSONValue) -> bool:
        """The sound of an earlier answer, by its id; what it comes to was written down when it was given."""
        if not self.is_known or not isinstance(value, dict) or value.keys() != {"id"}:
            return False
        said = value["id"]
        if not isinstance(said, str) or not SAID_ID.fullmatch(said):
            return False
        self.recalled.append(said)
        return True

    def bounded(self) -> Iterator[tuple[str, str]]:
        """(what, the action it needs) where one of them has no bound; otherwise the tokens of all are known from here on."""
        frames = MOST_FRAMES // max(1, len(self.recordings))
        lasting = [most_seconds(recording, frames) for recording in self.recordings]
        if None in lasting:
            yield "messages.content.input_audio", "audio"
        seconds = sum(each or 0 for each in lasting)
        self.tokens = min(CONTEXT, seconds * TOKENS_A_SECOND + AROUND * (len(lasting) + len(self.recalled)))


def _decoded(data: str) -> bytes:
    """Empty for what is no base64."""
    try:
        return b64decode(data, validate=True)
    except (Error, ValueError):
        return b""


def _format_of(recording: bytes) -> str:
    """By its first bytes: a reader that took it for something else could find more in it."""
    if recording[:4] == b"RIFF":
        return "wav"
    return "mp3" if recording[:3] == b"ID3" or recording[:1] == b"\xff" else ""


def _is_voice(value: JSONValue) -> bool:
    if not isinstance(value, dict) or value.keys() != {"voice", "format"}:
        return False
    return isinstance(value["voice"], str) and value["format"] in _FORMATS


def kept_said(answer: JSONValue, usage: Usage | None) -> tuple[Kept, ...]:
    """What an answer said aloud, by its id: heard again it is no more than all that was written and said."""
    tokens = None if usage is None else usage.output_tokens + AROUND
    return tuple(Kept(Name("response", said), tokens, KEPT_FOR) for said in said_in(answer, "message"))


def said_in(answer: JSONValue, part: str) -> list[str]:
    """The ids in an answer or a chunk, one a choice at the most."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    parts = [each.get(part) for each in choices if isinstance(each, dict)] if isinstance(choices, list) else []
    sounds = [each.get("audio") for each in parts if isinstance(each, dict)]
    found = [sound.get("id") for sound in sounds if isinstance(sound, dict)]
    return [said for said in found if isinstance(said, str) and SAID_ID.fullmatch(said)]


class SoundMeter:
    """Reads the ids of what is said, too, one of each choice: an app must not have them before they are written down."""

    def __init__(self, meter: Meter, choices: int) -> None:
        self._meter = meter
        self.seen = meter.seen
        self._choices = choices
        self._said: list[str] = []

    def concerns(self, events: bytes) -> bool:
        return self._meter.concerns(events) or self._may_name(events)

    def read(self, event: bytes) -> bool:
        if self._may_name(event):
            self._said += [said for said in _said_by(event) if said not in self._said]
            self._tell()
        knew = self.seen.usage
        passes = self._meter.read(event)
        if self.seen.usage is not knew:
            self._tell()
        return passes

    def ending(self, error: bytes) -> bytes:
        return self._meter.ending(error)

    def _may_name(self, events: bytes) -> bool:
        return len(self._said) < self._choices and b'"audio_' in events

    def _tell(self) -> None:
        choices: list[JSONValue] = [{"message": {"audio": {"id": said}}} for said in self._said]
        self.seen.made = {"choices": choices}


def _said_by(event: bytes) -> list[str]:
    try:
        return said_in(loads(data_of(event)), "delta")
    except NotStrict:
        return []
