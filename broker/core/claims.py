"""What a verified access token says: who calls, for which grant. What it may do is read from the rows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of RFC 9068 that are acted on; `expires_at` in seconds since 1970."""

    jti: str
    grant_id: str
    client_id: str
    subject: str
    expires_at: int
    jkt: str = ""
    """Thumbprint of the key that it is bound to (RFC 9449 §6.1); empty for a bearer token."""
