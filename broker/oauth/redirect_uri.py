"""Redirect addresses: which may be registered, which one a request may name, and what is added to it at the end."""

import re
from urllib.parse import parse_qsl, quote, urlencode

MAX_LENGTH = 2000

_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_WEB = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]+))?(?P<rest>(?:[/?].*)?)"
)
_PRIVATE = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:.+", re.ASCII)
_DOTS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_LOOPBACK_NUMBERS = ("127.0.0.1", "[::1]")
_LOOPBACK = (*_LOOPBACK_NUMBERS, "localhost")
_OURS = {"code", "state", "iss", "error", "error_description"}


def fault(uri: str) -> str | None:
    """Why an address may not be registered; None if it may.

    Every rule here is about one spelling having one reader: addresses are compared as strings ever after.
    """
    if not 0 < len(uri) <= MAX_LENGTH or not _CHARACTERS.fullmatch(uri) or _BAD_ESCAPE.search(uri):
        return "it has characters that an address cannot have, or is too long"
    if "#" in uri:
        return "it has a fragment"
    web = _WEB.fullmatch(uri)
    if web is None:
        private = _PRIVATE.fullmatch(uri) and not uri.startswith(("http", "https"))
        return None if private else "it is neither https://…, http:// on this computer, nor a private scheme with a dot"
    if web["scheme"] == "http" and web["host"] not in _LOOPBACK:
        return "http is only for 127.0.0.1, [::1] and localhost"
    if web["port"] is not None and not _is_port(web["port"]):
        return "its port is not one"
    path, _, query = web["rest"].partition("?")
    if _DOTS.search(path):
        return "its path has dot segments"
    if {name for name, _ in parse_qsl(query, keep_blank_values=True)} & _OURS:
        return "its query uses a name that the answer needs"
    return None


def matches(registered: str, given: str) -> bool:
    """Simple string comparison; only the port of a loopback address may differ (RFC 8252 §7.3)."""
    if given == registered:
        return True
    left, right = _WEB.fullmatch(registered), _WEB.fullmatch(given)
    if left is None or right is None or left["scheme"] != "http" or left["host"] not in _LOOPBACK:
        return False
    if right["port"] is not None and not _is_port(right["port"]):
        return False
    return (left["scheme"], left["host"], left["rest"]) == (right["scheme"], right["host"], right["rest"])


def is_https(uri: str) -> bool:
    """Of an address without fault."""
    return uri.startswith("https://")


def is_this_computer(uri: str) -> bool:
    """By its number: which address localhost is, others may decide (RFC 8252 §8.3)."""
    web = _WEB.fullmatch(uri)
    return web is not None and web["scheme"] == "http" and web["host"] in _LOOPBACK_NUMBERS


def with_answer(uri: str, answer: dict[str, str]) -> str:
    """The address with the parameters of the answer added to its query."""
    if "?" not in uri:
        joint = "?"
    else:
        joint = "" if uri.endswith(("?", "&")) else "&"
    return uri + joint + urlencode(answer, quote_via=quote)


def _is_port(text: str) -> bool:
    return not text.startswith("0") and len(text) <= 5 and int(text) <= 65535
