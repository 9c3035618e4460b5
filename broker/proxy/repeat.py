"""The Idempotency-Key of a request (draft-ietf-httpapi-idempotency-key-header), as the books know it."""

import re
from hashlib import sha256

from broker.core.errors import CallRefused
from broker.ledger.ask import IdempotencyKey
from broker.providers.client import Headers

NAME = b"idempotency-key"
_KEY = re.compile(rb"[!-~](?:[ -~]{0,253}[!-~])?")


def read_key(headers: Headers) -> bytes | None:
    """As it was written, quotes and all; raises CallRefused for what is empty, too long, not printable, or there twice."""
    found = [value for name, value in headers if name == NAME]
    if not found:
        return None
    if len(found) > 1:
        raise CallRefused("invalid_request", "The request has more than one Idempotency-Key.")
    if not _KEY.fullmatch(found[0]):
        raise CallRefused("invalid_request", "An Idempotency-Key is 1 to 255 printable ASCII characters.")
    return found[0]


def key_in(grant_id: str, key: bytes, path: str, body: bytes) -> IdempotencyKey:
    """`path` is the whole of it, with the query that crosses: another address is another request."""
    request = sha256(path.encode() + b"\n" + body)
    return IdempotencyKey(sha256(f"{grant_id}\n".encode() + key).hexdigest(), request.hexdigest())
