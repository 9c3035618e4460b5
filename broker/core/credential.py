"""What a provider's key looks like: what may be shown of it, and what cannot be one."""

from typing import NamedTuple

from broker.core.secret import Secret

SHORTEST, LONGEST = 8, 4096

NO_KEY = "no-key"
"""Begins what stands for the key of a server that wants none. It goes on at random: no answer may hold a key by chance."""

_SHOWN_PREFIXES = (f"{NO_KEY}_", "sk-ant-", "sk-", "AIza", "gsk_", "xai-", "hf_")

_TELLING = {"sk-ant-": "anthropic", "AIza": "google", "sk-": "openai"}
"""Prefixes by which a key of the best known providers is recognised, the longest first."""

_LABELS = {"anthropic": "an Anthropic", "google": "a Google", "openai": "an OpenAI"}


class SealedKey(NamedTuple):
    """A credential as a call needs it: its key, sealed, and all that the seal is bound to."""

    id: str
    user_id: str | None
    provider: str
    source: str
    sealed: str
    version: int
    state: str
    """What the provider said of it last."""
    removed_at: int | None
    rests_until: int = 0
    """When its quarantine ends; 0 where there is none."""
    expires_at: int = 0
    """When the access token in it ends; 0 of a key, which does not."""
    base_url: str = ""
    """Where it goes, of a person's own server; empty where that is the provider's address."""


def shown_prefix(key: Secret) -> str:
    """What stands before the first unguessable character, such as sk-; empty where that is not known."""
    text = key.reveal()
    return next((prefix for prefix in _SHOWN_PREFIXES if text.startswith(prefix)), "")


def masked(prefix: str, last_four: str) -> str:
    """The only form in which a key is ever shown, such as sk-…9f2A."""
    return f"{prefix}…{last_four}"


def with_article(label: str) -> str:
    return f"an {label}" if label[:1].lower() in "aeiou" else f"a {label}"


def key_problem(typed: str, provider: str, label: str) -> str:
    """Why this text cannot be a key of this provider, as a sentence for the person who typed it; empty if it can.

    Only keys of the providers we know by heart are recognised: an operator's own server may take any form.
    """
    text = typed.strip()
    if not text:
        return f"Enter {with_article(label)} API key"
    if not (SHORTEST <= len(text) <= LONGEST) or not all("!" <= character <= "~" for character in text):
        return f"This is not {with_article(label)} key. A key is {SHORTEST} to {LONGEST:,} letters, digits and signs without spaces"
    for prefix, owner in _TELLING.items():
        if text.startswith(prefix):
            if owner == provider or provider not in _LABELS:
                return ""
            return f"This looks like {_LABELS[owner]} key (it starts with {prefix}). Enter {with_article(label)} key"
    return ""
