"""Where a provider may be: the address an operator types, read once and strictly."""

import re
from urllib.parse import urlsplit

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_PLAIN = re.compile(r"[!-~]+", re.ASCII)


def clean_base_url(url: str) -> str:
    """A trailing slash, and a trailing /v1, are taken as the same address without it."""
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def host_of(base_url: str) -> str:
    """The host, with its port where that is not the usual one, as a person recognises it."""
    return urlsplit(base_url).netloc


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
