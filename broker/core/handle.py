"""Opaque values: identifiers, and handles that only their holder knows (stored as digests)."""

import hashlib
import hmac
import os
from binascii import b2a_base64
from collections.abc import Callable

Entropy = Callable[[int], bytes]
"""Gives n random bytes; tests hand in a counted one."""

system_entropy: Entropy = os.urandom

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def new_id(prefix: str, entropy: Entropy = system_entropy) -> str:
    """An identifier of 128 random bits with a type prefix, such as grt_…; it is no secret."""
    return f"{prefix}_{_text(entropy(16))}"


def new_ordered_id(prefix: str, now: int, entropy: Entropy = system_entropy) -> str:
    """As `new_id`, with the instant before the random bits: where millions are stored, new ones lie side by side.

    Random ids alone doubled what is written for a call.
    """
    return f"{prefix}_{now:014x}{_text(entropy(16))}"


def new_handle(prefix: str, entropy: Entropy = system_entropy) -> str:
    """A bearer value of 256 random bits; only its digest is ever stored."""
    return f"{prefix}_{_text(entropy(32))}"


def digest(handle: str) -> str:
    return hashlib.sha256(handle.encode()).hexdigest()


def same(left: str, right: str) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())


def _text(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).rstrip(b"=").translate(_URL_SAFE).decode()
