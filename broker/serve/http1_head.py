"""The head of a request, judged before any app sees it: what has two readings, or none, is refused here."""

from dataclasses import dataclass
from typing import NamedTuple

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserInvalidURLError

MOST_LINE = 8192
MOST_HEADERS = 100

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is given without the app, and after which nothing more is read from the connection."""

    status: int
    error: str
    description: str


MALFORMED = Refusal(400, "invalid_request", "This is not a request of HTTP/1.1, or one that can be read in two ways.")
HOSTS = Refusal(400, "invalid_request", "A request names exactly one host.")
CODING = Refusal(400, "invalid_request", "The only transfer coding that is known here is chunked, given once.")
FORBIDDEN = Refusal(403, "invalid_request", "Nothing here is spoken over a WebSocket.")
NOWHERE = Refusal(404, "not_found", "There is nothing at this address.")
SLOW = Refusal(408, "invalid_request", "The request came too slowly.")
LONG_LINE = Refusal(414, "invalid_request", "The address of the request is too long.")
LARGE_HEAD = Refusal(431, "headers_too_large", "The headers of the request are too large.")
FAILED = Refusal(500, "server_error", "Something went wrong on our side.")
METHOD = Refusal(501, "method_not_implemented", "This server does not know that method.")
VERSION = Refusal(505, "invalid_request", "This server speaks HTTP/1.1.")


class Framing(NamedTuple):
    """How long the body is; `line` is the header that says so, empty where there is no body."""

    line: bytes
    expects: bool


NO_BODY = Framing(b"", expects=False)
_TELLING = frozenset([b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"])


def judge(
    method: bytes, version: str, target: bytes, headers: RawHeaders, most_bytes: int, *, upgrades: bool
) -> Framing | Refusal:
    """Of a head that is sound by grammar; names are in lower case."""
    if version not in ("1.1", "1.0"):
        return VERSION
    if method == b"CONNECT":
        return METHOD
    if not target.startswith(b"/"):
        return NOWHERE
    if len(method) + len(target) + len(b"  HTTP/1.1") > MOST_LINE:
        return LONG_LINE
    size, hosts, line, expects = 0, 0, b"", False
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name not in _TELLING:
            continue
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            line = b"content-length: " + value
        elif name == b"transfer-encoding":
            # RFC 9112 §6.1: "A server MUST NOT apply" a transfer coding to what a client of HTTP/1.0 sent.
            if value.lower() != b"chunked" or version != "1.1":
                return CODING
            line = b"transfer-encoding: chunked"
        elif name == b"expect":
            expects = value.lower() == b"100-continue"
        elif upgrades and method == b"GET" and value.lower() == b"websocket":
            return FORBIDDEN
    if size > most_bytes or len(headers) > MOST_HEADERS:
        return LARGE_HEAD
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        return HOSTS
    return Framing(line, expects) if line or expects else NO_BODY


def refusal_of(error: HttpParserError) -> Refusal:
    """What the parser itself did not take."""
    if isinstance(error, HttpParserInvalidMethodError):
        return METHOD
    if isinstance(error, HttpParserInvalidURLError):
        return NOWHERE
    return MALFORMED
