"""Files that come in two requests, as Google's libraries send them: the second has no token, but an address that the first was given.

What the first says of the file, and the token that it came with, stand in that address under a signature of ours, so that nothing
has to be remembered between them. It is worth one file of that size and kind, for a few minutes, at one provider.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.types import Message, Scope, Send

from broker.core.clock import MINUTE, Clock
from broker.core.errors import CallRefused
from broker.core.strict_json import dumps, loads
from broker.providers.client import Headers
from broker.providers.google_files import MOST_BYTES, Announced, read_announced
from broker.proxy.authenticate import Principal
from broker.proxy.channel import Head

UPLOADED = "broker.uploaded"
"""In the scope of a second request."""
ENDS_IN = 10 * MINUTE
NAME = "upload_id"
STATUS = (b"x-goog-upload-status", b"final")
_LONGEST = 4_096


class Upload(NamedTuple):
    """What the first request was about."""

    provider: str
    jti: str
    grant_id: str
    kind: str
    name: str
    size: int
    ends_at: int


class Uploads:
    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def begun(self, principal: Principal, provider: str, address: str, headers: Headers, raw: bytes, most: int) -> Head:
        """The answer to the first request; raises CallRefused."""
        if principal.jkt:
            raise CallRefused(
                "invalid_request",
                "A token that is bound to a key cannot send a file: its second request proves nothing.",
            )
        told: Announced = read_announced(headers, raw)
        if told.size > min(most, MOST_BYTES):
            raise CallRefused("too_large", f"Files of more than {min(most, MOST_BYTES)} bytes are not taken here.")
        ends_at = self._clock() + ENDS_IN
        upload = Upload(provider, principal.jti, principal.grant_id, told.kind, told.name, told.size, ends_at)
        url = f"{address}?{NAME}={self._signed(upload)}&upload_protocol=resumable"
        answer: Headers = [(b"content-type", b"application/json"), (b"x-goog-upload-url", url.encode())]
        return Head(200, [*answer, (b"x-goog-upload-status", b"active")], b"{}")

    def told(self, scope: Scope, provider: str) -> Upload | None:
        """What the address of a second request says; None where it says nothing that we signed, or too late."""
        query = scope["query_string"]
        given = parse_qs(query.decode("latin-1")).get(NAME, []) if len(query) <= _LONGEST else []
        upload = self._read(given[0]) if len(given) == 1 else None
        if upload is None or upload.provider != provider or self._clock() >= upload.ends_at:
            return None
        return upload

    def principal(self, upload: Upload) -> Principal:
        """Whose token the first request came with; what it is worth now, the reservation judges."""
        return Principal(upload.jti, upload.grant_id)

    def _signed(self, upload: Upload) -> str:
        said = urlsafe_b64encode(dumps(list(upload))).rstrip(b"=").decode()
        return f"{said}.{self._mac(said)}"

    def _read(self, text: str) -> Upload | None:
        said, _, mac = text.partition(".")
        if not text.isascii() or not hmac.compare_digest(mac, self._mac(said)):
            return None
        try:
            members = loads(urlsafe_b64decode(said + "=" * (-len(said) % 4)))
        except (Error, ValueError):
            return None
        return Upload(*members) if isinstance(members, list) else None  # type: ignore[arg-type]

    def _mac(self, said: str) -> str:
        return urlsafe_b64encode(hmac.digest(self._key, said.encode(), sha256)).rstrip(b"=").decode()


def check_whole(upload: Upload, headers: Headers, raw: bytes) -> None:
    """The second request has all of the file; raises CallRefused."""
    told = dict(headers)
    command = [word.strip() for word in told.get(b"x-goog-upload-command", b"").split(b",")]
    if (
        command != [b"upload", b"finalize"]
        or told.get(b"x-goog-upload-offset", b"0") != b"0"
        or len(raw) != upload.size
    ):
        raise CallRefused(
            "invalid_request", "A file is sent whole, by upload and finalize, and has the size that was said."
        )


def telling_status(send: Send) -> Send:
    """With the header by which Google's libraries know that a file is sent, whatever came of it."""

    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), STATUS]
        await send(message)

    return send_more
