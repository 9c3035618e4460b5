"""Tokens as they are sealed in a credential: the access token, which stands for the key, and what renews it."""

import json
from typing import NamedTuple

from broker.core.secret import Secret

_MARK = "oauth2:"
"""What no key begins with that a person has typed: it has a brace behind it."""


class Tokens(NamedTuple):
    """`expires_at` in microseconds."""

    access: Secret
    refresh: Secret | None
    expires_at: int


def pack(tokens: Tokens) -> Secret:
    parts = {
        "access_token": tokens.access.reveal(),
        "refresh_token": None if tokens.refresh is None else tokens.refresh.reveal(),
        "expires_at": tokens.expires_at,
    }
    return Secret(_MARK + json.dumps(parts, separators=(",", ":")))


def unpack(opened: Secret) -> Tokens | None:
    """None of what is a key as it was typed."""
    text = opened.reveal()
    if not text.startswith(_MARK + "{"):
        return None
    try:
        parts = json.loads(text.removeprefix(_MARK))
        refresh = parts["refresh_token"]
        return Tokens(Secret(parts["access_token"]), None if refresh is None else Secret(refresh), parts["expires_at"])
    except (ValueError, KeyError, TypeError):
        return None


def key_of(opened: Secret) -> Secret:
    """What a request carries: of tokens the access token."""
    tokens = unpack(opened)
    return opened if tokens is None else tokens.access
