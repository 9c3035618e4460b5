"""Pictures, recordings and documents in a request of Gemini's: what they can cost beside its text.

"Audio understanding", as of November 2026: each second of sound is 32 tokens. How long a recording lasts at most is told by its
bytes, of WAV, MP3 and Opus in Ogg alone. What has no such rule is held at the model's whole context.
"""

import re
from binascii import Error, a2b_base64
from dataclasses import dataclass, field

from broker.core.strict_json import JSONValue
from broker.prices.book import context_limit
from broker.providers.dialect import Name
from broker.providers.images import AROUND, DOCUMENT, Pictures
from broker.providers.sound import most_seconds

TOKENS_A_SECOND = 32
SOUNDING = "sounding"
KINDS = frozenset(["image/png", "image/jpeg", "image/webp", "image/gif"])
"""Of files that are pictures, which can be seen by their first bytes."""
_KEPT = re.compile(r"https://generativelanguage\.googleapis\.com/v1(?:beta)?/files/([A-Za-z0-9_-]{1,128})", re.ASCII)
_SOUNDS = frozenset(["audio/wav", "audio/x-wav", "audio/mp3", "audio/mpeg", "audio/ogg"])
_HEARING = re.compile(r"gemini-(?:2\.[05]|3(?:\.[0-9])?)-(?:pro|flash|flash-lite)(?:-preview)?(?:-\d{3,8})?", re.ASCII)
_DOCUMENTS = re.compile(r"application/pdf|text/[a-z-]{1,40}", re.ASCII)
_SOUNDING = re.compile(r"(?:audio|video)/[a-z0-9][a-z0-9.+-]{0,60}", re.ASCII)
_USUAL_ALPHABET = str.maketrans("-_", "+/")


@dataclass(slots=True)
class Media(Pictures):
    """All of them, of one request."""

    heard: int = 0
    """Tokens of sound, which are part of `tokens`."""
    kept_documents: list[Name] = field(default_factory=list)
    """Those that Google keeps."""
    moving: int = 0
    """Of the documents, those that may be heard."""
    sounds: frozenset[str] = frozenset()
    """The actions that need what may be heard throughout, which is held as sound of the model's whole context."""

    @property
    def all_actions(self) -> frozenset[str]:
        keeps = self.files or self.kept_documents or self.documents > self.moving
        needed = {"vision": self.count, "audio": self.heard, "files": keeps}
        return self.sounds.union(action for action, is_needed in needed.items() if is_needed)

    def take_kept(self, uri: JSONValue, kind: JSONValue, resolution: JSONValue) -> bool:
        """As `take_data`, of one that Google keeps; that it is a picture was seen when it was uploaded."""
        match = _KEPT.fullmatch(uri) if isinstance(uri, str) else None
        if match is None or kind not in KINDS or self.provider.name != "google" or not self._take(resolution, 0):
            return False
        self.files.append(match[1])
        return True

    def take_document(self, told: JSONValue) -> bool:
        """Anything else in base64; how many tokens it comes to is left to the model, which reads no more than its context."""
        held = told if isinstance(told, dict) else {}
        return isinstance(held.get("data"), str) and self._take_whole(held.get("mimeType"))

    def take_kept_document(self, uri: JSONValue, kind: JSONValue) -> bool:
        """As `take_document`, of one that Google keeps."""
        match = _KEPT.fullmatch(uri) if isinstance(uri, str) else None
        if match is None or not self._take_whole(kind):
            return False
        self.kept_documents.append(document_name(match[1], sort_of(kind)))
        return True

    def _take_whole(self, kind: JSONValue) -> bool:
        sort = sort_of(kind) if self._reads_wholes else ""
        if not sort or (sort == SOUNDING and not _HEARING.fullmatch(self.model)):
            return False
        self.documents += 1
        if sort == SOUNDING:
            self.moving += 1
            self.sounds |= {"audio" if str(kind).startswith("audio/") else "vision"}
        return True

    @property
    def most_heard(self) -> int:
        """Tokens of sound: where something may be heard throughout, all that the model reads."""
        return (context_limit("google", self.model) or 0) if self.sounds else self.heard

    @property
    def all_names(self) -> tuple[Name, ...]:
        """A kept document has a name of its own, by which one finds nothing that was uploaded as anything else."""
        return *self.names, *dict.fromkeys(self.kept_documents)

    @property
    def _reads_wholes(self) -> bool:
        known = self.provider.name == "google" and self.model.startswith("gemini-") and "embedding" not in self.model
        return known and context_limit("google", self.model) is not None

    def take_sound(self, kind: JSONValue, data: JSONValue) -> bool:
        """Counts a recording in base64; False where it has no bound, so that nothing of it may be sent."""
        if kind not in _SOUNDS or not isinstance(data, str) or self.provider.name != "google":
            return False
        seconds = _seconds(data) if _HEARING.fullmatch(self.model) else None
        if seconds is None:
            return False
        tokens = seconds * TOKENS_A_SECOND + AROUND
        self.heard, self.tokens, self.data = self.heard + tokens, self.tokens + tokens, self.data + len(data)
        return True


def document_name(file_id: str, sort: str) -> Name:
    """Of a kept file where it is read as one of this sort; no path can have it."""
    return Name("file", f"{file_id}#{sort}")


def sort_of(kind: JSONValue) -> str:
    """Pages and text have the price of text; what can be heard, of which film is the sound, has one of its own."""
    if not isinstance(kind, str):
        return ""
    return DOCUMENT if _DOCUMENTS.fullmatch(kind) else SOUNDING if _SOUNDING.fullmatch(kind) else ""


def _seconds(data: str) -> int | None:
    """Only of base64 that has one reading."""
    plain = data.translate(_USUAL_ALPHABET).rstrip("=")
    try:
        return most_seconds(a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True))
    except (Error, ValueError):
        return None
