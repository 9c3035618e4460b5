"""The bare passthrough on hypercorn and httpx as they come: what the same few lines cost without Broker's own."""

import asyncio
import sys
from typing import cast

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from starlette.types import Receive, Scope, Send

from tests.bench.passthrough import live, read

_KEPT = (b"content-type", b"authorization")


class Stock:
    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._client = httpx.AsyncClient(timeout=60, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        headers = [pair for pair in scope["headers"] if pair[0] in _KEPT]
        url, body = self._provider + scope["path"], await read(receive)
        async with self._client.stream("POST", url, headers=headers, content=body) as answer:
            kept = [pair for pair in answer.headers.raw if pair[0].lower() == b"content-type"]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _serve(port: int, provider: str) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    await serve(cast("ASGIFramework", Stock(provider)), config, shutdown_trigger=asyncio.Event().wait)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))
