"""What one connection does with heads: begins a request by one that is known, and has a new one kept."""

from functools import partial

from broker.serve.http1_deadline import Deadline
from broker.serve.http1_head import Framing, RawHeaders
from broker.serve.http1_known import LONGEST, Begin, Heads, Keep, Seen, see
from broker.serve.http1_request import Request, Wire

MOST_AWAITED = 65_536
"""Bytes of a request whose body is waited for; a longer one is read as it comes."""
REST_SECONDS = 0.25
"""For the rest of such a body: clients that write head and body one after the other send it at once."""


class Sight:
    __slots__ = ("_begin", "_come", "_deadline", "_heads", "_missing", "_new", "waits")

    def __init__(self, heads: Heads, deadline: Deadline) -> None:
        self._heads = heads
        self._deadline = deadline
        self._new: Seen | None = None
        """What is about to be read, and whose head may be kept."""
        self._begin: Begin | None = None
        self._come: list[bytes] = []
        self._missing = 0
        self.waits = False
        """For the rest of a body, before anything of the request is read."""

    def begin(self, data: bytes, wire: Wire) -> Request | None:
        """A request that its app has begun by its head alone. None where what came is to be read, or while this waits.

        The data begin a request, or go on with the one that is waited for; where none come, it is waited for no more.
        """
        if self.waits:
            self._come.append(data)
            self._missing -= len(data)
            self.waits = self._missing > 0 and data != b""
            return None if self._missing else self._begun(wire)
        self._come = [data]
        new = self._new = see(data)
        self._begin = None if new is None else self._heads.begin(new.name)
        if new is None or self._begin is None:
            return None
        self._missing = new.end - len(data)
        if not self._missing:
            return self._begun(wire)
        if new.end <= MOST_AWAITED:
            self.waits = True
            self._deadline.within(REST_SECONDS)
        return None

    def _begun(self, wire: Wire) -> Request | None:
        new, begin, request = self._new, self._begin, Request.known(wire)
        if new is None or begin is None or not begin(new.token, self.come()[new.body_at :], request):
            return None
        self.over()
        return request

    def come(self) -> bytes:
        """All that came of what is to be read."""
        return b"".join(self._come)

    def keeper(self, headers: RawHeaders, framing: Framing, *, last: bool) -> Keep | None:
        """For the head that was just read; none where it may not be kept."""
        new, self._new = self._new, None
        if new is None or last or len(new.name) > LONGEST or not new.is_of(headers, framing):
            return None
        return partial(self._heads.keep, new.name)

    def over(self) -> None:
        """What was to be read has been, or never will be."""
        self._new = self._begin = None
        self._come = []
        self.waits = False
