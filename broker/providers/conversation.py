"""What the calls of one conversation have in common, so that they may go by the same key and find the provider's cache."""

from zlib import crc32

from broker.core.strict_json import JSONValue
from broker.providers.client import Headers
from broker.providers.dialect import Body

_HEADERS = (b"x-claude-code-session-id", b"session_id", b"conversation_id")
"""What Claude Code and Codex send of their own."""

_FIELDS = ("prompt_cache_key", "safety_identifier", "user")
_BEGINNING = 1024
"""Characters of a text that are looked at."""


def conversation_of(body: Body, headers: Headers) -> int:
    """A number that tells conversations apart well enough to spread them; 0 where nothing tells.

    By what an SDK names it with; else by how it begins, which stays the same from turn to turn. Not a secret, nor one's guard.
    """
    named = next((value for name, value in headers if name in _HEADERS and value), b"")
    return crc32(named or _named(body) or _begins(body))


def _named(body: Body) -> bytes:
    for name in _FIELDS:
        value = body.get(name)
        if isinstance(value, str) and value:
            return value.encode("utf-8", "replace")
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    return user.encode("utf-8", "replace") if isinstance(user, str) else b""


def _begins(body: Body) -> bytes:
    """What the model is told to be, and all up to the end of the first thing that the user says."""
    said = [_text(body.get(name)) for name in ("system", "instructions", "systemInstruction")]
    turns = next((value for name in ("messages", "input", "contents") if (value := body.get(name))), None)
    for turn in turns if isinstance(turns, list) else [turns]:
        said.append(_text(turn))
        if not isinstance(turn, dict) or turn.get("role", "user") == "user":
            break
    return "".join(said).encode("utf-8", "replace")


def _text(value: JSONValue) -> str:
    if isinstance(value, str):
        return value[:_BEGINNING]
    if isinstance(value, list):
        return "".join(_text(each) for each in value[:2])
    if isinstance(value, dict):
        return "".join(_text(value.get(name)) for name in ("content", "parts", "text"))
    return ""
