"""Where a provider may be: the address an operator types, read once and strictly."""

import re
from urllib.parse import urlsplit

from broker.providers.registry import clean_base_url

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_PLAIN = re.compile(r"[!-~]+", re.ASCII)


def read_base_url(text: str) -> str | None:
    """The address without trailing slash and /v1; None for one that two readers could understand in two ways."""
    if not _PLAIN.fullmatch(text) or "\\" in text or "%" in text:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return None
    odd = "?" in text or "#" in text or "@" in parts.netloc or parts.netloc.endswith(":")
    if odd or any(segment in (".", "..") for segment in parts.path.split("/")) or "//" in parts.path:
        return None
    return clean_base_url(text)
