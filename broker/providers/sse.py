"""Server-sent events, split into their bytes without changing or delaying one."""

import re

_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class TooLong(Exception):
    """An event longer than any dialect sends."""


class EventSplitter:
    """Gives each event as the bytes it came in, its blank line with it, wherever the pieces were cut."""

    def __init__(self, longest: int = 4 * 1024 * 1024) -> None:
        self._pending = bytearray()
        self._longest = longest

    @property
    def is_empty(self) -> bool:
        """Whether no event has begun that is not whole."""
        return not self._pending

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events completed by this piece; raises TooLong."""
        # What was searched before is not searched again, but for a blank line that the cut may have gone through.
        fresh = max(0, len(self._pending) - 3)
        self._pending += chunk
        events, start = [], 0
        for match in _END.finditer(self._pending, fresh):
            events.append(bytes(self._pending[start : match.end()]))
            start = match.end()
        del self._pending[:start]
        if len(self._pending) > self._longest:
            raise TooLong
        return events

    def rest(self) -> bytes:
        """What came after the last complete event."""
        rest = bytes(self._pending)
        self._pending.clear()
        return rest


def data_of(event: bytes) -> bytes:
    """The data lines of an event, joined by newlines as the standard says; empty for a comment."""
    lines = event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    values = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(values)
