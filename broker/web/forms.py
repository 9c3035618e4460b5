"""Reads a posted form and a query, within bounds of size and time."""

import anyio
from starlette.requests import ClientDisconnect, Request

from broker.core.errors import BadForm, PageError
from broker.core.forms import MAX_BYTES, Form, parse_form

MAX_SECONDS = 10
_TYPE = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Form:
    """Raises BadForm, or PageError 413 for a form that is too large."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != _TYPE:
        raise BadForm(detail="not an urlencoded form")
    raw = bytearray()
    try:
        with anyio.fail_after(MAX_SECONDS):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > MAX_BYTES:
                    raise PageError(413, "That is too large", "The form is larger than this server takes.")
    except TimeoutError:
        raise BadForm(detail="the form came too slowly") from None
    except ClientDisconnect:
        raise BadForm(detail="the browser left") from None
    return parse_form(bytes(raw))


def read_query(request: Request) -> Form:
    """Raises BadForm."""
    query: bytes = request.scope["query_string"]
    return parse_form(query)
