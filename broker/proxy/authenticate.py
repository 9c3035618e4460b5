"""Access token to principal: the signature, the key that it is bound to, and nothing that can change."""

from collections.abc import Callable
from typing import NamedTuple

from broker.core.errors import CallRefused
from broker.ledger.judge import invalid_token
from broker.providers.client import Headers

TOKEN_HEADERS = (b"authorization", b"x-api-key", b"x-goog-api-key")


class UnverifiedToken(NamedTuple):
    text: str
    with_proof: bool = False
    """Whether it was shown as one that is bound to a key (RFC 9449 §7.1)."""


class Principal(NamedTuple):
    """A token that we signed and that has not ended; what it is worth now, the reservation judges."""

    jti: str
    grant_id: str
    jkt: str = ""
    """The key that it is bound to; empty for a bearer token."""


Verify = Callable[[str], Principal | None]
"""None for a token that is not ours or has ended; app.py builds it, since the proxy knows no authorization server."""


class NoToken(CallRefused):
    """No credential at all: the challenge then names no error."""


def read_token(headers: Headers) -> UnverifiedToken:
    """The one credential of a request; equal ones in several headers count once."""
    found = {_credential(name, value) for name, value in headers if name in TOKEN_HEADERS}
    if not found:
        raise NoToken("invalid_token", invalid_token().description)
    if len(found) > 1:
        raise CallRefused("invalid_request", "The request has more than one credential.")
    text, with_proof = found.pop()
    if not text:
        raise invalid_token()
    return UnverifiedToken(text, with_proof)


def authenticate(token: UnverifiedToken, verify: Verify) -> Principal:
    principal = verify(token.text)
    if principal is None:
        raise invalid_token()
    return principal


def _credential(name: bytes, value: bytes) -> tuple[str, bool]:
    """With whether a proof belongs to it; empty for a scheme that is not ours."""
    text = value.decode("latin-1")
    if name != b"authorization":
        return text, False
    scheme, _, credential = text.partition(" ")
    scheme = scheme.lower()
    return credential if scheme in ("bearer", "dpop") else "", scheme == "dpop"
