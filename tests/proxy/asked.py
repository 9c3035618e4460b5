"""A request as our own server hands it to whom a known head leads: it is answered at once, or by `receive` and `send`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.proxy.world import ASK, Answered, World

Begin = Callable[[bytes, "AskedAtSight"], bool]


@dataclass
class AskedAtSight:
    answered: Answered = field(default_factory=Answered)
    gone: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    """Of those that left the straight way."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    full: Callable[[], None] | None = None
    """What is to be called once its client has read, where `fills` says that it does not."""
    fills: bool = False
    _hangups: list[Callable[[], None]] = field(default_factory=list)

    def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._start(status, headers)
        self.answered.pieces.append(body)
        self.over.set()

    def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._start(status, headers)

    def give(self, piece: bytes, *, more: bool) -> None:
        if piece:
            self.answered.pieces.append(piece)
        if not more:
            self.answered.ended = True
            self.over.set()

    def when_flushed(self, callback: Callable[[], None]) -> bool:
        self.full = callback if self.fills else None
        return self.fills

    def run(self, answering: Coroutine[Any, Any, None]) -> None:
        async def until_the_end() -> None:
            await answering
            self.over.set()

        self.tasks.append(asyncio.create_task(until_the_end()))

    def when_hung_up(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._hangups.append(callback)
        return lambda: self._hangups.remove(callback)

    async def receive(self) -> dict[str, Any]:
        raise AssertionError("nobody listens who is told of a hang-up")

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._start(message["status"], message["headers"])
        else:
            self.give(message["body"], more=message["more_body"])

    def hang_up(self) -> None:
        self.gone = True
        for callback in list(self._hangups):
            callback()

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.answered.status = status
        self.answered.headers = {name.decode(): value.decode() for name, value in headers}


async def learn(world: World, token: str, body: object = None, *, then: str | None = None, **more: str) -> list[Begin]:
    """What the proxy lets its server keep of the head of a first call, which goes the complete way; another token may come `then`."""
    kept: list[Begin] = []

    def keep(begin: Callable[[bytes, bytes, AskedAtSight], bool]) -> None:
        kept.append(partial(begin, (token if then is None else then).encode()))

    raw = json.dumps(ASK if body is None else body).encode()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", **more}
    path = "/proxy/openai/v1/chat/completions"
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "extensions": {"broker.known": keep},
    }  # fmt: skip
    await world.service.app(scope, _receiving(raw), _sending)
    return kept


def _receiving(raw: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
    pieces = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not pieces:
            await asyncio.sleep(3600)
        return pieces.pop()

    return receive


async def _sending(_message: Any) -> None:
    """Nobody reads the first answer."""


async def begun(begin: Begin, body: object = None) -> AskedAtSight:
    """A second call with the same head, which is begun at sight."""
    asked = AskedAtSight()
    raw = body if isinstance(body, bytes) else json.dumps(ASK if body is None else body).encode()
    assert begin(raw, asked)
    return asked
