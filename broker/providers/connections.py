"""The connections to one provider: the one used last is used next, as many as are needed and no more than allowed."""

import asyncio
import ssl
from collections import deque

from broker.providers.asking import NotReached
from broker.providers.dial import Dial, dial_by_name
from broker.providers.http1 import Connection
from broker.providers.origin import Origin

REST = 55.0
"""Seconds after which an idle connection is closed: sooner than most providers do (load balancers of AWS after 60, nginx after 75)."""


class Connections:
    def __init__(
        self, origin: Origin, tls: ssl.SSLContext | None, *, most: int, most_idle: int, dial: Dial = dial_by_name
    ) -> None:
        self._origin = origin
        self._tls = tls
        self._dial = dial
        self._most = most
        self._most_idle = most_idle
        self._loop = asyncio.get_running_loop()
        self._open: set[Connection] = set()
        self._opening = 0
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        """How many are open or being opened."""
        return len(self._open) + self._opening

    @property
    def is_deserted(self) -> bool:
        """Whether nothing is open and nobody waits for it."""
        return not len(self) and not self._waiting

    def idle(self) -> Connection | None:
        """One that is open and at rest, unless others came first."""
        return None if self._waiting else self._rested()

    async def another(self, patience: float) -> Connection:
        """A new one, or one that others have done with; raises NotReached after so many seconds."""
        try:
            async with asyncio.timeout(patience):
                came_first = False
                while len(self) >= self._most and not self._closed:
                    await self._turn(came_first=came_first)
                    if (connection := self._rested()) is not None:
                        return connection
                    came_first = True
                return await self._connect()
        except (OSError, UnicodeError) as error:  # OSError is also what TLS and time raise
            raise NotReached(type(error).__name__) from error

    async def close(self) -> None:
        """Whoever still waits or reads is told; returns when the last one is closed."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        for connection in list(self._open):
            connection.hang_up()
        if self._open:
            self._empty.clear()
            await self._empty.wait()

    def _rested(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fit():
                return connection
        return None

    async def _turn(self, *, came_first: bool) -> None:
        waiter = self._loop.create_future()
        if came_first:
            self._waiting.appendleft(waiter)
        else:
            self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._wake()  # its turn is another's
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            raise

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _connect(self) -> Connection:
        if self._closed:
            raise NotReached("closed")
        self._opening += 1
        try:
            connection = await self._dial(self._origin, self._tls, lambda: Connection(self._loop, self))
        finally:
            self._opening -= 1
            self._wake()  # there may be room now
        # Not before: a loop that is cancelled while it connects may close a connection without telling it.
        if self._closed or not connection.is_open:
            connection.hang_up()
            raise NotReached("the connection ended at once")
        self._open.add(connection)
        return connection

    # What connections say of themselves.

    def free(self, connection: Connection) -> None:
        if self._closed or len(self._idle) >= self._most_idle:
            connection.hang_up()
            return
        self._idle.append(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(REST, self._sweep)
        if self._waiting:
            self._wake()

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake()
        if not self._open:
            self._empty.set()

    def _sweep(self) -> None:
        """The longest at rest lies at the bottom."""
        self._timer = None
        rested = self._loop.time() - REST
        while self._idle and self._idle[0].idle_since <= rested:
            self._idle.pop(0).hang_up()
        if self._idle:
            self._timer = self._loop.call_at(self._idle[0].idle_since + REST, self._sweep)
