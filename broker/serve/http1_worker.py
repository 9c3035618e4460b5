"""What all connections of one process share: the app, the bounds, and the end of all of them."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from hypercorn.config import Config
from hypercorn.typing import AppWrapper, LifespanState, WorkerContext

from broker.serve.http1_known import Heads

HEAD_SECONDS = 15.0
"""From the first byte of a head to its last."""
STALL_SECONDS = 120.0
"""For a client to read some of what waits for it."""
LINGER_SECONDS = 2.0
"""For a client to read a last answer that it got before it had sent all of its request."""


class Idle(Protocol):
    def close_if_idle(self) -> None: ...


class Worker:
    __slots__ = (
        "__weakref__", "_config", "_lines", "_second", "_state", "_watching", "app", "connections", "ending", "head_seconds",
        "heads", "idle_seconds", "log", "loop", "most_head_bytes", "spawn",
    )  # fmt: skip

    def __init__(
        self,
        app: AppWrapper,
        loop: asyncio.AbstractEventLoop,
        config: Config,
        context: WorkerContext,
        state: LifespanState,
    ) -> None:
        self.app = app
        self.loop = loop
        self.log = config.log
        self.most_head_bytes = config.h11_max_incomplete_size
        self.idle_seconds = config.keep_alive_timeout
        self.head_seconds = HEAD_SECONDS
        self.connections: set[Idle] = set()
        self.ending = False
        self.heads = Heads()
        self.spawn = partial(loop.run_in_executor, None)
        self._state = state
        self._config = config
        self._second = -1
        self._lines = b""
        self._watching = loop.create_task(self._watch(context))

    def common_lines(self) -> bytes:
        """The headers of every answer, written anew once a second."""
        second = int(self.loop.time())
        if second != self._second:
            self._second = second
            self._lines = b"".join(b"%b: %b\r\n" % header for header in self._config.response_headers("h11"))
        return self._lines

    def state(self) -> dict[str, Any]:
        return dict(self._state)

    def call_soon(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """From a thread; hypercorn gives this to apps of another kind than ours."""
        return asyncio.run_coroutine_threadsafe(function(*arguments), self.loop).result()

    async def _watch(self, context: WorkerContext) -> None:
        await context.terminated.wait()
        self.ending = True
        for connection in list(self.connections):
            connection.close_if_idle()
