"""What crosses back from a provider: a status, a content type, and listed headers; never keys or account ids."""

import re

from broker.core.secret import Secret
from broker.core.strict_json import JSONValue, dumps
from broker.providers.client import Headers

_MEASURES = (b"limit", b"remaining", b"reset")
_AS_THEY_ARE = [
    *(b"retry-after", b"x-should-retry", b"openai-processing-ms"),
    *(b"x-ratelimit-%s-%s" % (a, b) for a in _MEASURES for b in (b"requests", b"tokens")),
    # docs.claude.com/en/api/rate-limits#response-headers
    *(
        b"anthropic-ratelimit-%s-%s" % (b, a)
        for a in _MEASURES
        for b in (b"requests", b"tokens", b"input-tokens", b"output-tokens")
    ),
]
_PASSED = {name: name for name in _AS_THEY_ARE} | {
    b"x-request-id": b"x-provider-request-id",
    b"request-id": b"x-provider-request-id",
}
_ACCOUNT = re.compile(r"\b(?:sk|pk|rk|org|proj|user|key)[-_][A-Za-z0-9*_.-]{4,}|\bAIza[A-Za-z0-9_-]{10,}")
_IN_ERRORS = re.compile(
    _ACCOUNT.pattern
    # Anthropic names an organisation by a UUID, Google a project by its number.
    + r"|\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b|\bproject(?:s/|_number:)[0-9]{4,}"
)
_REMOVED = "[removed]"
_PLAIN = re.compile(rb"[ -~]{0,256}")


def passed_headers(headers: Headers, key: Secret) -> Headers:
    """By list. The provider's own request id goes under another name: ours is the one to ask us about."""
    return [(_PASSED[name], value) for name, value in headers if name in _PASSED and _is_harmless(value, key)]


def is_media_type(headers: Headers, wanted: bytes) -> bool:
    for name, value in headers:
        if name == b"content-type":
            return value == wanted or value.split(b";")[0].strip().lower() == wanted
    return False


def scrub(answer: JSONValue, key: Secret) -> bytes:
    """A provider's error without keys and account ids."""
    return dumps(_scrubbed(answer, key.reveal()))


def scrub_event(event: bytes) -> bytes:
    """As `scrub`, of an error in a stream, which the key was looked for in before."""
    return _IN_ERRORS.sub(_REMOVED, event.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


class KeyGuard:
    """Looks for the key in a stream, however it was cut: only bytes that may be its beginning wait for the next piece."""

    def __init__(self, key: Secret) -> None:
        self.found = False
        self._key = key.reveal().encode()
        self._waiting = b""

    def feed(self, piece: bytes) -> bytes:
        """What may pass; nothing once the key was found."""
        seen = self._waiting + piece
        self.found = self.found or self._key in seen
        if self.found:
            return b""
        size = 0
        if seen[-1:] in self._key:  # hardly ever: events end with a line feed
            sizes = range(min(len(seen), len(self._key) - 1), 0, -1)
            size = next((size for size in sizes if seen.endswith(self._key[:size])), 0)
        self._waiting = seen[len(seen) - size :]
        return seen[: len(seen) - size]

    def rest(self) -> bytes:
        """What waited at the end of the stream."""
        rest, self._waiting = self._waiting, b""
        return rest


def _scrubbed(value: JSONValue, key: str) -> JSONValue:
    if isinstance(value, str):
        return _without(value, key)
    if isinstance(value, list):
        return [_scrubbed(each, key) for each in value]
    if isinstance(value, dict):
        return {_without(name, key): _scrubbed(each, key) for name, each in value.items()}
    return value


def _without(text: str, key: str) -> str:
    """Half a character of UTF-16, which JSON can name and no answer can hold, is a question mark."""
    return _IN_ERRORS.sub(_REMOVED, text.replace(key, _REMOVED)).encode("utf-8", "replace").decode()


def _is_harmless(value: bytes, key: Secret) -> bool:
    """Short printable ASCII that names no key and no account."""
    if not _PLAIN.fullmatch(value):
        return False
    text = value.decode("ascii")
    return key.reveal() not in text and not _ACCOUNT.search(text)
