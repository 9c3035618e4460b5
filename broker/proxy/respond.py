"""The app's side of a call: its head and pieces as they come, and the moment it hangs up."""

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

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


HANGUP = "broker.hangup"
"""The extension of our own server that calls back when the client hangs up: with it, nobody has to wait for that."""

Stop = Callable[[], object]


async def relay(exchange: Exchange, scope: Scope, receive: Receive, send: Send, *, begun: bool = False) -> None:
    """Sends the answer of a running call; however this ends, the call itself goes on to its settlement.

    `begun` says that it is a stream whose head was sent already.
    """
    stop_watching = _watch(exchange, scope, receive)
    try:
        head = await exchange.channel.head()
        if head.body is not None:
            await send_whole(scope, send, head)
            return
        if not begun:
            await send(_start(scope, head.status, head.headers))
        while (piece := await exchange.channel.piece()) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if exchange.channel.broke:
            return  # without its last piece the server closes the connection, which is all that can be said
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except AppLeft:
        pass
    except (asyncio.CancelledError, OSError):
        exchange.leave()
        raise
    finally:
        stop_watching()


async def send_whole(scope: Scope, send: Send, head: Head) -> None:
    body = head.body or b""
    length = (b"content-length", b"%d" % len(body))
    await send(_start(scope, head.status, [*head.headers, length]))
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _start(scope: Scope, status: int, headers: Headers) -> dict[str, object]:
    request_id = scope.get("state", {}).get("request_id") or new_id("req")
    return {"type": "http.response.start", "status": status, "headers": dressed(headers, request_id)}


def dressed(headers: Headers, request_id: str) -> Headers:
    """With what every answer has."""
    number = request_id.encode()
    return [*headers, *_SAFE, (b"x-request-id", number), (b"request-id", number)]


def _watch(exchange: Exchange, scope: Scope, receive: Receive) -> Stop:
    """Gives what ends the watch."""
    when_hung_up = scope.get("extensions", {}).get(HANGUP)
    if when_hung_up is not None:
        stop: Stop = when_hung_up(exchange.leave)
        return stop
    return asyncio.create_task(_listen(receive, exchange)).cancel


async def _listen(receive: Receive, exchange: Exchange) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.leave()
