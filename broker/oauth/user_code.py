"""The code that a person carries from a device to a browser: short enough to be typed, and never a word (RFC 8628 §6.1)."""

import hashlib
import hmac
from dataclasses import dataclass

from broker.core.handle import Entropy, system_entropy

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8

_FAIR = 256 - 256 % len(LETTERS)
"""Bytes from here on are thrown away: they would make some letters likelier than others."""


@dataclass(frozen=True, slots=True, repr=False)
class UserCode:
    """Eight letters, as read or made."""

    letters: str

    def shown(self) -> str:
        """WDJB-MJHT."""
        return f"{self.letters[:4]}-{self.letters[4:]}"


def new_user_code(entropy: Entropy = system_entropy) -> UserCode:
    letters = ""
    while len(letters) < LENGTH:
        (byte,) = entropy(1)
        letters += LETTERS[byte % len(LETTERS)] if byte < _FAIR else ""
    return UserCode(letters)


def read_user_code(typed: str) -> UserCode | None:
    """Small letters, dashes, spaces and other marks do not matter; None for what cannot be a code."""
    letters = "".join(character for character in typed[:200].upper() if character.isalnum())
    is_code = len(letters) == LENGTH and all(letter in LETTERS for letter in letters)
    return UserCode(letters) if is_code else None


class UserCodes:
    """Names codes in the store by a keyed digest: who reads the database could find so short a code from a plain one."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, code: UserCode) -> str:
        return hmac.new(self._key, code.letters.encode(), hashlib.sha256).hexdigest()
