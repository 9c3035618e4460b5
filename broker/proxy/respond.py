"""The app's side of a call: its head and pieces as they come, and the moment it hangs up."""

import asyncio
from contextlib import suppress

from starlette.types import Receive, Send

from broker.core.handle import new_id
from broker.providers.client import Headers
from broker.proxy.channel import AppLeft, Head
from broker.proxy.exchange import Exchange

_SAFE: Headers = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # What a provider says is never a page of ours, whatever it claims to be.
    (b"content-security-policy", b"sandbox; default-src 'none'"),
]


async def relay(exchange: Exchange, receive: Receive, send: Send) -> None:
    """Sends the answer of a running call; however this ends, the call itself goes on to its settlement."""
    watching = asyncio.create_task(_watch(receive, exchange))
    try:
        head = await exchange.channel.head()
        if head.body is not None:
            await send_whole(send, head)
            return
        await send(_start(head.status, head.headers))
        while (piece := await exchange.channel.piece()) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except AppLeft:
        pass
    except (asyncio.CancelledError, OSError):
        exchange.leave()
        raise
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def send_whole(send: Send, head: Head) -> None:
    body = head.body or b""
    length = (b"content-length", str(len(body)).encode())
    await send(_start(head.status, [*head.headers, length]))
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _start(status: int, headers: Headers) -> dict[str, object]:
    request_id = new_id("req").encode()
    ids: Headers = [(b"x-request-id", request_id), (b"request-id", request_id)]
    return {"type": "http.response.start", "status": status, "headers": [*headers, *_SAFE, *ids]}


async def _watch(receive: Receive, exchange: Exchange) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.leave()
