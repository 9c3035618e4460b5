"""What begins a call on the straight way: a head that is known, and a request of our own server."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.types import Message

from broker.core.errors import CallRefused
from broker.ledger.ready import Use
from broker.providers.client import Headers, Start
from broker.providers.dialect import Dialect, Endpoint
from broker.providers.registry import Provider
from broker.proxy.authenticate import Principal
from broker.proxy.forward import Work


@dataclass(slots=True)
class Usual:
    """What a head said when it was read."""

    generation: int
    provider: Provider
    dialect: Dialect
    endpoint: Endpoint
    headers: Headers
    """Of the app's, those that cross."""
    path: str
    whole: Start
    streamed: Start
    """How its requests begin: of an answer in one piece, and of a stream."""
    alone: set[Use]
    """Whose calls go by one key, as far as is known: with several, it matters whose conversation a call is of."""


class Asked(Protocol):
    """A request of our own server, which can be answered without waiting."""

    gone: bool

    def answer(self, status: int, headers: Headers, body: bytes) -> None: ...
    def start(self, status: int, headers: Headers) -> None: ...
    def give(self, piece: bytes, *, more: bool) -> None: ...
    def when_flushed(self, callback: Callable[[], None]) -> bool: ...
    def run(self, answering: Coroutine[Any, Any, None]) -> None: ...
    def when_hung_up(self, callback: Callable[[], None]) -> object: ...
    async def receive(self) -> Message: ...
    async def send(self, message: Message) -> None: ...


Rest = Coroutine[Any, Any, CallRefused | None]
"""What is still to be done of a call; gives the refusal of one that was never admitted."""

Complete = Callable[[Rest, Principal, Work], None]
"""Runs the rest of a call as a task."""
