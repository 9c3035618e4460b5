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
from broker.core.strict_json import JSONValue
from broker.providers.dialect import Body, refuse_request
from broker.providers.registry import Provider
from broker.providers.sound import MOST_FRAMES, most_seconds

CONTEXT, TOKENS_A_SECOND = 128_000, 20
AROUND = 16
"""More than the few tokens that mark where a recording begins and ends."""
MOST_RECORDINGS = 100

SPOKEN = ("modalities", "audio")
"""The fields that ask for speech."""
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

    @property
    def actions(self) -> frozenset[str]:
        return frozenset(["audio"]) if self.recordings or self.speaks else frozenset()

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

    def bounded(self) -> Iterator[tuple[str, str]]:
        """(what, the action it needs) where one of them has no bound; otherwise the tokens of all are known from here on."""
        frames = MOST_FRAMES // max(1, len(self.recordings))
        lasting = [most_seconds(recording, frames) for recording in self.recordings]
        if None in lasting:
            yield "messages.content.input_audio", "audio"
        seconds = sum(each or 0 for each in lasting)
        self.tokens = min(CONTEXT, seconds * TOKENS_A_SECOND + AROUND * len(lasting))


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
