"""The events of a stream on their way past: looked through for the key, read for what was used, and passed as they came."""

from broker.core.secret import Secret
from broker.providers.dialect import Meter
from broker.providers.sse import EventSplitter
from broker.proxy.answer import KeyGuard, scrub_event

_ENDS = (b"\n\n", b"\r\n\r\n")
_FEW = 256
"""Bytes of events that are sooner read than looked through."""
_LAST = 1024
"""Bytes at the end of many events, where there mostly is what has to be read, if there is."""


class KeyFound(Exception):
    """The provider repeats the key."""


class Passing:
    """Only whole events pass: a stream that breaks within one can still end with an event of ours, and half an event may
    have an id in it that is not written down yet.
    """

    __slots__ = ("_guard", "_splitter", "meter")

    def __init__(self, key: Secret, meter: Meter) -> None:
        self.meter = meter
        self._guard = KeyGuard(key)
        self._splitter = EventSplitter()

    def feed(self, arrived: bytes) -> bytes:
        """What may pass now; raises KeyFound or TooLong, and does so again whatever comes then."""
        meter, splitter = self.meter, self._splitter
        chunk = self._guard.feed(arrived)
        if self._guard.found:
            raise KeyFound
        unread = self._unread(chunk) if splitter.is_empty and not meter.seen.failed else 0
        if 0 < unread == len(chunk):
            return chunk
        events = [event for event in splitter.feed(chunk[unread:]) if meter.read(event)]
        return chunk[:unread] + self._shown(events)

    def rest(self) -> bytes:
        """What still passes of a stream that has ended: of one that is not complete no half event."""
        meter, splitter = self.meter, self._splitter
        rest = b"".join(splitter.feed(self._guard.rest())) + splitter.rest()
        passes = bool(rest) and meter.read(rest)
        return self._shown([rest]) if passes and (meter.seen.is_complete or meter.seen.failed) else b""

    def _unread(self, chunk: bytes) -> int:
        """The bytes of whole events at its beginning that need not be read; of many, most are found by halves."""
        concerns = self.meter.concerns
        start, end = 0, len(chunk)
        if end > _LAST and (last := _cut(chunk, 0, end - _LAST)) and not concerns(chunk[:last]):
            start = last
        if not concerns(chunk[start:]):
            return end if chunk.endswith(_ENDS) else _cut(chunk, start, end)
        while end - start > _FEW and (middle := _cut(chunk, start, (start + end) // 2)) > start:
            if concerns(chunk[start:middle]):
                end = middle
            else:
                start = middle
        return start

    def _shown(self, events: list[bytes]) -> bytes:
        """As they came; an error of the provider's own loses what names an account."""
        whole = b"".join(events)
        return scrub_event(whole) if self.meter.seen.failed else whole


def _cut(chunk: bytes, start: int, end: int) -> int:
    """The end of the last event between these that ends as nearly all do."""
    at = chunk.rfind(b"\n\n", start, end)
    return start if at < 0 else at + 2
