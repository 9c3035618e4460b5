"""The end of a worker: no new connection, running calls for a while, then none."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Drain:
    """Stands before the app, so that it can also refuse what still comes in on an open connection."""

    def __init__(self, app: ASGIApp, end_calls: Callable[[], Awaitable[None]], seconds: float) -> None:
        self.begun = asyncio.Event()
        self.closed = False
        self._app = app
        self._end_calls = end_calls
        self._seconds = seconds
        self._ending: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.closed and scope["type"] == "http":
            body = {
                "error": "unavailable",
                "error_description": "This server is being replaced. Try again in a moment.",
            }
            await JSONResponse(body, 503, {"retry-after": "1", "cache-control": "no-store"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def begin(self) -> None:
        """Idempotent: the parent and a signal may both ask for it."""
        if not self.begun.is_set():
            self.begun.set()
            asyncio.get_running_loop().call_later(self._seconds, self.hurry)

    def hurry(self) -> None:
        """Running calls are cut and settled now."""
        self.begun.set()
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end_calls())

    def close(self) -> None:
        """Answers nothing more but 503, and ends."""
        self.closed = True
        self.hurry()
