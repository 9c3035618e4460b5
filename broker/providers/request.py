"""A request as the bytes it is on the wire: framed here and by nobody else, head and body in one piece."""

import re
from functools import lru_cache

from broker.providers.asking import Headers
from broker.providers.origin import Origin, locate

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
OURS = frozenset(
    b"accept-encoding connection content-length expect host keep-alive proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
"""Headers of the connection and of the framing, which no caller may set."""


def render(method: str, url: str, headers: Headers, body: bytes = b"") -> tuple[Origin, bytes]:
    """Raises ValueError for what would be another request to another reader; names headers, never their values."""
    origin, start = opening(method, url, headers)
    # RFC 9110 §8.6: no content-length where the method means no content.
    return origin, closed(start, body) if body or method not in ("GET", "HEAD") else start + b"\r\n"


def opening(method: str, url: str, headers: Headers) -> tuple[Origin, bytes]:
    """The head without its length. Raises ValueError as `render` does."""
    origin, start = _start(method, url)
    return origin, start + fields(headers)


def fields(headers: Headers) -> bytes:
    """These headers as lines. Raises ValueError as `render` does."""
    lines: list[bytes] = []
    for name, value in headers:
        lines += (_field(name), value, b"\r\n")
    joined = b"".join(lines)
    count = len(headers)
    if joined.count(b"\r") != count or joined.count(b"\n") != count or b"\0" in joined:
        raise ValueError("a header holds a line break or NUL")
    return joined


def closed(head: bytes, body: bytes) -> bytes:
    """The whole request."""
    return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)


@lru_cache(maxsize=1024)
def _start(method: str, url: str) -> tuple[Origin, bytes]:
    """The request line, which holds nothing a caller of ours typed, and the two headers that are always the same."""
    origin, target = locate(url)
    if not _TOKEN.fullmatch(method.encode()):
        raise ValueError("not a method")
    host = origin.authority
    return origin, b"%b %b HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\n" % (method.encode(), target, host)


@lru_cache(maxsize=256)
def _field(name: bytes) -> bytes:
    if not _TOKEN.fullmatch(name) or name.lower() in OURS:
        raise ValueError("not a header that a caller may set")
    return name + b": "
