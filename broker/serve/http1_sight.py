"""What one connection does with heads: begins a request by one that is known, and has a new one kept."""

from functools import partial

from broker.serve.http1_head import Framing, RawHeaders
from broker.serve.http1_known import Heads, Keep, Whole, whole
from broker.serve.http1_request import Request, Wire


class Sight:
    __slots__ = ("_heads", "_new")

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._new: Whole | None = None
        """What is about to be read, and whose head may be kept."""

    def begin(self, data: bytes, wire: Wire) -> Request | None:
        """A request that its app has begun by its head alone; None where the data, which begin a request, are to be read."""
        new = self._new = whole(data)
        begin = None if new is None else self._heads.begin(new.name)
        if new is None or begin is None:
            return None
        request = Request.known(wire)
        return request if begin(data[new.body_at :], request) else None

    def keeper(self, headers: RawHeaders, framing: Framing, *, last: bool) -> Keep | None:
        """For the head that was just read; none where it may not be kept."""
        new, self._new = self._new, None
        if new is None or last or not new.is_of(headers, framing):
            return None
        return partial(self._heads.keep, new.name)

    def over(self) -> None:
        """What was to be read has been."""
        self._new = None
