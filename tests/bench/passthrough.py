"""The least that a gateway can do: read the body, send it on, give the answer back, on Broker's own server and client."""

import asyncio
import socket
import sys

import uvloop
from starlette.types import Receive, Scope, Send

from broker.providers.client import Headers, Waits, provider_client
from broker.serve.http import BACKLOG, listen_config, serve_http
from broker.settings import Settings

_SENT = (b"content-type", b"authorization")
_KEPT = (b"content-type", b"content-length")


class Passthrough:
    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._client = provider_client(Waits(10, 60, 60))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        headers: Headers = [pair for pair in scope["headers"] if pair[0] in _SENT]
        answer = await self._client.send("POST", self._provider + scope["path"], headers, await read(receive))
        try:
            kept = [pair for pair in answer.headers if pair[0] in _KEPT]
            await send({"type": "http.response.start", "status": answer.status, "headers": kept})
            body = b""
            if answer.header(b"content-length"):
                body = b"".join([chunk async for chunk in answer.chunks()])
            else:
                async for chunk in answer.chunks():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": body, "more_body": False})
        finally:
            await answer.close()


async def read(receive: Receive) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


async def live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _serve(port: int, provider: str) -> None:
    settings = Settings()
    listening = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    app, config = Passthrough(provider), listen_config(settings, listening.fileno())
    await serve_http(app, config, settings.http_parser, _for_ever)


async def _for_ever() -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2]))
