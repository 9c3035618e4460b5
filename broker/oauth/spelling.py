"""Addresses that differ only in how they are written are one address."""

import re

_ADDRESS = re.compile(r"(https?)://((?:\[[0-9a-f:.]+\]|[^/?#@:\[\]]+))(?::([0-9]{0,5}))?([^?#]*)", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(?:[!#$&-;=?-Z\[\]_a-z~]|%[0-9A-Fa-f]{2})+")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_USUAL_PORTS = {"http": "80", "https": "443"}


def normal(address: str) -> str | None:
    """An http address without query and fragment, in the one spelling of RFC 3986 §6.2.2 and §6.2.3; None for anything else."""
    if not _IN_ADDRESS.fullmatch(address):
        return None
    found = _ADDRESS.match(address)
    if found is None:
        return None
    scheme, host, port, path = found[1].lower(), _plain(found[2]).lower(), found[3], _plain(found[4])
    if path and not path.startswith("/"):
        return None
    if port and port != _USUAL_PORTS[scheme]:
        host = f"{host}:{port}"
    return f"{scheme}://{host}{_without_dots(path or '/')}"


def _plain(text: str) -> str:
    """With nothing encoded that need not be, and the rest encoded in capitals."""
    return _ENCODED.sub(lambda found: _decoded(found[0]), text)


def _decoded(encoded: str) -> str:
    character = chr(int(encoded[1:], 16))
    return character if _UNRESERVED.fullmatch(character) else encoded.upper()


def _without_dots(path: str) -> str:
    """RFC 3986 §5.2.4, of a path that begins with a slash."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
