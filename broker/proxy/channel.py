"""Between a call, which always runs to its settlement, and the app, which may leave at any moment."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from broker.providers.client import Headers

_DEPTH = 8


class Head(NamedTuple):
    """Status and headers; with a body when the answer is whole, without one when it streams."""

    status: int
    headers: Headers
    body: bytes | None = None


class AppLeft(Exception):
    """Nobody reads any more."""


class Channel:
    """One head and then pieces, a few at a time, so that a slow reader slows the provider and not our memory."""

    def __init__(self) -> None:
        self.left = False
        """Whether the app has hung up."""
        self.is_raw = False
        """Whether what is given are bytes of no shape that could hold an error."""
        self.broke = False
        """Whether the answer ended before it was whole, where nothing in it can say so."""
        self.ending: Callable[[bytes], bytes] = bytes
        """Makes an error the last event of the stream that began."""
        self._head: asyncio.Future[Head] = asyncio.get_running_loop().create_future()
        self._pieces: asyncio.Queue[bytes | None] | None = None
        """Made for the answers that come in pieces."""

    # The call's side.

    def give_head(self, head: Head) -> None:
        if not self._head.done():
            if head.body is None:
                self._pieces = asyncio.Queue(_DEPTH)
            self._head.set_result(head)

    def resume(self, ending: Callable[[bytes], bytes]) -> None:
        """For a stream of which the app has had the beginning."""
        self.ending = ending
        self.give_head(Head(200, []))

    @property
    def has_head(self) -> bool:
        return self._head.done()

    @property
    def streams(self) -> bool:
        return self._pieces is not None

    async def give(self, piece: bytes | None, patience: float) -> None:
        """None ends the stream. A reader that takes nothing for so many seconds counts as gone."""
        pieces = self._pieces
        if self.left or pieces is None:
            return
        try:
            pieces.put_nowait(piece)
        except asyncio.QueueFull:
            try:
                async with asyncio.timeout(patience):
                    await pieces.put(piece)
            except TimeoutError:
                self.leave()

    # The app's side.

    async def head(self) -> Head:
        """Raises AppLeft."""
        head = await self._head
        if self.left:
            raise AppLeft
        return head

    async def piece(self) -> bytes | None:
        """Raises AppLeft."""
        piece = None if self._pieces is None else await self._pieces.get()
        if self.left:
            raise AppLeft
        return piece

    def leave(self) -> None:
        """Wakes whoever waits on either side; what was not read is dropped."""
        if self.left:
            return
        self.left = True
        if self._pieces is not None:
            while not self._pieces.empty():
                self._pieces.get_nowait()
            self._pieces.put_nowait(None)
        self.give_head(Head(499, [], b""))
