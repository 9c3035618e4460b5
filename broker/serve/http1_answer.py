"""The bytes of an answer's head."""

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

from broker.core.handle import new_id
from broker.serve.http1_head import Refusal

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_FRAMING = frozenset([b"content-length", b"connection", b"transfer-encoding", b"keep-alive"])
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"connection: close\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class Opening(NamedTuple):
    """Status line and the app's own headers; what they say of the length, and of the connection."""

    lines: bytes
    length: int | None
    close: bool


def opening(status: int, headers: Iterable[tuple[bytes, bytes]]) -> Opening:
    """Raises ValueError for a header that would end its own line."""
    lines, length, close = [_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status], None, False
    for pair in headers:
        name, value = pair
        kind = name.lower()
        if kind not in _FRAMING:
            lines.append(b"%b: %b\r\n" % pair)
            continue
        if kind == b"content-length":
            length = int(value)
            if status == HTTPStatus.NO_CONTENT:
                continue
        elif kind == b"connection":
            close = close or b"close" in value.lower()
            continue
        else:
            continue  # how the bytes are framed is not for the app to say
        lines.append(b"%b: %b\r\n" % pair)
    joined = b"".join(lines)
    if joined.count(b"\n") != len(lines) or joined.count(b"\r") != len(lines) or b"\0" in joined:
        raise ValueError("a header of the answer holds a line end or a NUL")
    return Opening(joined, length, close)


def has_no_body(method: str, status: int) -> bool:
    return method == "HEAD" or status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def refuse(refusal: Refusal, common: bytes) -> bytes:
    """A whole answer, after which the connection ends; its number is of no request that the app knows."""
    body = json.dumps({"error": refusal.error, "error_description": refusal.description}).encode()
    number = new_id("req").encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", number),
        (b"request-id", number),
    ]
    return b"".join((opening(refusal.status, headers).lines, common, CLOSE, b"\r\n", body))
