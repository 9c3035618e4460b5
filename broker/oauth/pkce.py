"""Proof Key for Code Exchange (RFC 7636), S256 only."""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256

from broker.core.handle import same

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""What S256 makes: the unpadded base64url of 32 bytes."""
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


def is_challenge(text: str) -> bool:
    return _CHALLENGE.fullmatch(text) is not None


def verifies(verifier: str, challenge: str) -> bool:
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    made = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return same(made, challenge)
