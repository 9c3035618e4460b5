"""A body has a time by which it must have come: a byte now and then would hold a connection for ever."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

BODY_SECONDS = 20.0


def in_time(receive: Receive, seconds: float = BODY_SECONDS) -> Receive:
    """Raises HTTPException 408 out of the endpoint that reads; once the body is there, waiting is unbounded again."""
    until: float | None = None
    complete = False

    async def receive_in_time() -> Message:
        nonlocal until, complete
        if complete:
            return await receive()
        loop = asyncio.get_running_loop()
        if until is None:
            until = loop.time() + seconds
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408) from None
        complete = not message.get("more_body", False)
        return message

    return receive_in_time
