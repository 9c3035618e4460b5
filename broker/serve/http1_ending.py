"""How a connection ends: at once, when its last bytes are written, or when the client has had time to read them."""

import asyncio

from broker.serve import http1_worker
from broker.serve.http1_deadline import Deadline


class Ending:
    __slots__ = ("_deadline", "_lingering", "_transport", "begun")

    def __init__(self, transport: asyncio.Transport, deadline: Deadline) -> None:
        self._transport = transport
        self._deadline = deadline
        self._lingering = False
        self.begun = False

    def close(self) -> None:
        """When all that was written has been read, if that is soon."""
        if not self.begun:
            self.begun = True
            self._deadline.within(http1_worker.STALL_SECONDS)
        self._transport.close()

    def linger(self) -> None:
        """RFC 9112 §9.6: a connection that is closed with bytes unread is reset, and the answer may be lost with it."""
        self.begun = self._lingering = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._deadline.within(http1_worker.LINGER_SECONDS)

    def abort(self) -> None:
        self.begun = True
        self._transport.abort()

    def expire(self) -> bool:
        """The deadline is over: whether that is for this to see to."""
        stalls = self._transport.get_write_buffer_size() > 0
        if self._lingering and stalls:
            self._lingering = False
            self._deadline.within(http1_worker.STALL_SECONDS)
        elif self.begun or stalls:
            self.abort()
        return self.begun
