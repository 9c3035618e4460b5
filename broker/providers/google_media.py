"""Pictures, recordings and documents in a request of Gemini's: what they can cost beside its text.

"Audio understanding", as of November 2026: each second of sound is 32 tokens. How long a recording lasts at most is told by its
bytes, of WAV, MP3 and Opus in Ogg alone.
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
KINDS = frozenset(["image/png", "image/jpeg", "image/webp", "image/gif"])
"""Of files that are pictures, which can be seen by their first bytes."""
_KEPT = re.compile(r"https://generativelanguage\.googleapis\.com/v1(?:beta)?/files/([A-Za-z0-9_-]{1,128})", re.ASCII)
_SOUNDS = frozenset(["audio/wav", "audio/x-wav", "audio/mp3", "audio/mpeg", "audio/ogg"])
_HEARING = re.compile(r"gemini-(?:2\.[05]|3(?:\.[0-9])?)-(?:pro|flash|flash-lite)(?:-preview)?(?:-\d{3,8})?", re.ASCII)
_DOCUMENTS = re.compile(r"application/pdf|text/[a-z-]{1,40}", re.ASCII)
_USUAL_ALPHABET = str.maketrans("-_", "+/")


@dataclass(slots=True)
class Media(Pictures):
    """Both, of one request."""

    heard: int = 0
    """Tokens of sound, which are part of `tokens`."""
    kept_documents: list[str] = field(default_factory=list)
    """Ids of those that Google keeps."""

    @property
    def all_actions(self) -> frozenset[str]:
        return self.actions | {"audio"} if self.heard else self.actions

    def take_kept(self, uri: JSONValue, kind: JSONValue, resolution: JSONValue) -> bool:
        """As `take_data`, of one that Google keeps; that it is a picture was seen when it was uploaded."""
        match = _KEPT.fullmatch(uri) if isinstance(uri, str) else None
        if match is None or kind not in KINDS or self.provider.name != "google" or not self._take(resolution, 0):
            return False
        self.files.append(match[1])
        return True

    def take_document(self, told: JSONValue) -> bool:
        """One in base64; how many tokens its pages come to is left to the model, which reads no more than its context."""
        held = told if isinstance(told, dict) else {}
        if not is_document(held.get("mimeType")) or not isinstance(held.get("data"), str) or not self._reads_wholes:
            return False
        self.documents += 1
        return True

    def take_kept_document(self, uri: JSONValue, kind: JSONValue) -> bool:
        """As `take_document`, of one that Google keeps."""
        match = _KEPT.fullmatch(uri) if isinstance(uri, str) else None
        if match is None or not is_document(kind) or not self._reads_wholes:
            return False
        self.kept_documents.append(match[1])
        self.documents += 1
        return True

    @property
    def all_names(self) -> tuple[Name, ...]:
        """A kept document has a name of its own, by which one finds nothing that was uploaded as anything else."""
        return *self.names, *(document_name(file_id) for file_id in dict.fromkeys(self.kept_documents))

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


def document_name(file_id: str) -> Name:
    """Of a kept file where it is read as a document; no path can have it."""
    return Name("file", f"{file_id}#{DOCUMENT}")


def is_document(kind: JSONValue) -> bool:
    """Pages and text: what they come to has the price of text."""
    return isinstance(kind, str) and _DOCUMENTS.fullmatch(kind) is not None


def _seconds(data: str) -> int | None:
    """Only of base64 that has one reading."""
    plain = data.translate(_USUAL_ALPHABET).rstrip("=")
    try:
        return most_seconds(a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True))
    except (Error, ValueError):
        return None
