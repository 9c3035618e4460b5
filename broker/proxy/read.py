"""The request as it came in: a known path, sane framing, and a body in bounds and in time."""

import asyncio
import re
from functools import lru_cache
from typing import NamedTuple

from starlette.types import Receive, Scope

from broker.core.errors import CallRefused
from broker.core.strict_json import NotStrict, loads
from broker.providers.client import Headers
from broker.providers.dialect import Body, Endpoint, FormEndpoint

_PATH = re.compile(rb"/proxy/([a-z0-9][a-z0-9_-]{0,63})(/[A-Za-z0-9/:._-]{1,200})")
_PATIENCE = 15.0
_SLOWEST = 65_536
"""Bytes a second that a body must bring beyond the first patience."""


class ClientLeft(Exception):
    """The app hung up before its request was whole."""


class Route(NamedTuple):
    provider: str
    path: str


def read_route(scope: Scope) -> Route | None:
    """Provider and its own path, by the raw path: what a decoder or a normaliser would make of it counts for nothing."""
    match = _PATH.fullmatch(scope["raw_path"])
    return None if match is None else Route(match[1].decode(), match[2].decode())


def check_framing(headers: Headers, most: int) -> None:
    """Refuses what two readers could frame in two ways, before anything else is believed."""
    fields = dict(headers)
    if b"transfer-encoding" in fields and b"content-length" in fields:
        raise CallRefused("invalid_request", "The request is framed in two ways.")
    if sum([len(name) + len(value) for name, value in headers]) > most:
        raise CallRefused("invalid_request", "The request has too many or too long headers.")


BODY = "broker.body"
"""The extension of our own server that has the whole body, if it came with its head."""


async def read_typed(
    fields: dict[bytes, bytes], scope: Scope, receive: Receive, endpoint: Endpoint, most: int
) -> tuple[FormEndpoint | None, bytes]:
    """Who reads a body that comes in parts, and its bytes: none where there is none. Raises CallRefused."""
    if scope["method"] != "POST" or _is_without_body(fields, scope):
        return None, b""
    in_parts = _form_reader(fields, endpoint)
    return in_parts, await read_body(fields, scope, receive, most)


def _is_without_body(fields: dict[bytes, bytes], scope: Scope) -> bool:
    """Whether its head says that it has none: then there is nothing that could be of a wrong media type."""
    if b"content-type" in fields or b"transfer-encoding" in fields:
        return False
    # RFC 9112 §6.3: in HTTP/1.1, without either header, "the message body length is zero".
    unsaid = b"0" if scope.get("http_version", "").startswith("1") else b""
    return fields.get(b"content-length", unsaid) == b"0"


def _form_reader(fields: dict[bytes, bytes], endpoint: Endpoint) -> FormEndpoint | None:
    """Who reads a body that comes in parts; None for JSON. Raises CallRefused for a media type not taken here."""
    kind = _media_type(fields.get(b"content-type", b""))
    if kind == b"application/json":
        return None
    takes_parts = isinstance(endpoint, FormEndpoint)
    if kind == b"multipart/form-data" and isinstance(endpoint, FormEndpoint):
        return endpoint
    words = "application/json or multipart/form-data" if takes_parts else "application/json"
    raise CallRefused("unsupported_media_type", f"The body must be {words}.")


async def read_body(fields: dict[bytes, bytes], scope: Scope, receive: Receive, most: int) -> bytes:
    """Raises CallRefused for an encoding, too many bytes, or bytes that come too slowly."""
    encoding = fields.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() != b"identity":
        raise CallRefused("unsupported_media_type", "The body must not be compressed.")
    length = fields.get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) > most:
        raise _too_large()
    come = scope.get("extensions", {}).get(BODY)
    body: bytes | None = come() if come is not None else None
    if body is not None:
        if len(body) > most:
            raise _too_large()
        return body
    try:
        return await _gather(receive, most)
    except TimeoutError:
        raise CallRefused("invalid_request", "The body came too slowly.") from None


@lru_cache(maxsize=64)
def _media_type(value: bytes) -> bytes:
    return value.split(b";")[0].strip().lower()


async def _gather(receive: Receive, most: int) -> bytes:
    loop = asyncio.get_running_loop()
    start, pieces, size = loop.time(), [], 0
    while True:
        async with asyncio.timeout_at(start + _PATIENCE + size / _SLOWEST):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise _too_large()
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def parse_body(raw: bytes) -> Body:
    try:
        body = loads(raw)
    except NotStrict as error:
        raise CallRefused("invalid_request", "The body is not strict JSON.", detail=str(error)) from error
    if not isinstance(body, dict):
        raise CallRefused("invalid_request", "The body must be a JSON object.")
    return body


def _too_large() -> CallRefused:
    return CallRefused("too_large", "The body is larger than this server accepts.")
